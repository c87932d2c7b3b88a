/* One KAN layer for a stack of networks, forward and backward:
 *
 *     y[s,b,o] = sum_i ( sum_c coef[s,i,c,o] B_c(x[s,b,i]) + base[s,i,o] silu(x[s,b,i]) )
 *
 * Plain C, compiled once for each REAL (float, double) and DEGREE (0..5) by build.py and called by native.py, on contiguous
 * tensors. What makes it fast: a point reads only the K + 1 rows of the coefficients that matter to it, and those rows lie
 * side by side; sums stay in registers; the gradient of the coefficients takes the points of each input cell by cell, so that
 * every row is written once. Every output number is summed by one thread in a fixed order: results do not depend on the
 * number of threads.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef DOUBLE
#define REAL double
#define SIZE 8
#else
#define REAL float
#define SIZE 4
#endif
#ifndef DEGREE
#define DEGREE 3
#endif
#define K DEGREE
#define NEAR (DEGREE + 1) /* functions that are not zero at a point */

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define LEAST(a, b) ((a) < (b) ? (a) : (b))

/* Numbers per vector register. */
#if defined(__AVX512F__)
#define LANES (64 / SIZE)
#elif defined(__AVX__)
#define LANES (32 / SIZE)
#else
#define LANES (16 / SIZE)
#endif

typedef struct {
    int64_t seeds, batch, inputs, outputs, intervals;
    int64_t x_seed;                  /* from one seed's points to the next's; 0 if all seeds share them */
    int64_t knots;                   /* extended knots of an arbitrary grid; 0 for a uniform one */
    int64_t table_seed, table_input; /* from one lane of the grid's table to the next; 0 if shared */
    int64_t threads;
} Sizes;

/* ------------------------------------------------------------------------------------------------ points
 * For each point of a block: the first of the NEAR rows that it reads, their weights, and what else is asked for. */

/* Points of a block, column after column; a column holds one input's and is padded to whole vectors. Rows of 4096 bytes
 * would share few lines of the cache, hence some room beside. */
enum { MOST = 1024, ROOM = MOST + 64 / SIZE };
enum { FEW = 32 }; /* intervals up to which a block may be sorted by cell as a whole */

typedef struct {
    int64_t rows, stride; /* points in a column, and from one column to the next */
    int32_t row[ROOM];
    REAL x[ROOM], weight[NEAR][ROOM], slope[NEAR][ROOM]; /* slope: derivatives of the weights in x */
    REAL silu[ROOM], dsilu[ROOM];
    int32_t order[ROOM]; /* each column's points (0 .. rows - 1), cell by cell */
} Points;

INLINE int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

/* exp(x) for |x| < 80, good to 2 units in the last place: x = n ln 2 + r, a Taylor polynomial in r, times 2^n.
 * Written out here, since the mathematical library's exp is not vectorised under strict floating-point rules. */
INLINE REAL exponential(REAL x) {
    REAL n = SIZE == 4 ? (REAL)rintf((float)x * 1.44269504f) : (REAL)rint((double)x * 1.4426950408889634);
    REAL r = SIZE == 4 ? (REAL)((x - n * (REAL)0.693145751953125) - n * (REAL)1.428606765330187e-06)
                         : (REAL)((x - n * (REAL)0.6931471803691238) - n * (REAL)1.9082149292705877e-10);
    const int terms = SIZE == 4 ? 7 : 13;
    REAL sum = 1;
    UNROLL
    for (int k = terms; k > 0; k--) sum = 1 + sum * r * ((REAL)1 / k);
    union { float f; int32_t i; } small;
    union { double f; int64_t i; } large;
    if (SIZE == 4) {
        small.i = ((int32_t)n + 127) << 23;
        return sum * (REAL)small.f;
    }
    large.i = ((int64_t)(int32_t)n + 1023) << 52;
    return sum * (REAL)large.f;
}

static void silu(Points *p, int64_t from, int64_t to, int derivative) {
    const REAL *restrict x = p->x;
    REAL *restrict value = p->silu, *restrict slope = p->dsilu;
    for (int64_t n = from; n < to; n++) {
        REAL t = x[n] > 80 ? 80 : x[n] < -80 ? -80 : x[n]; /* NaN stays */
        REAL safe = t == t ? t : 0;                        /* its conversion to an integer is undefined */
        REAL gate = x[n] < -80 ? 0 : (1 + 0 * t) / (1 + exponential(-safe));
        value[n] = x[n] * gate;
        if (derivative) slope[n] = gate * (1 + x[n] * (1 - gate));
    }
}

/* Rows that do not exist (the point lies on the extension of the grid): move the window inside, its weights along. */
static void move_inside(Points *p, int64_t from, int64_t to, int64_t intervals, int slopes) {
    for (int64_t n = from; n < to; n++) {
        int64_t cell = p->row[n], first = cell < 0 ? 0 : LEAST(cell, intervals - 1);
        if (first == cell) continue;
        REAL weight[NEAR], slope[NEAR];
        for (int64_t k = 0; k < NEAR; k++) {
            int64_t source = k + first - cell;
            int there = source >= 0 && source < NEAR;
            weight[k] = there ? p->weight[source][n] : 0;
            slope[k] = there && slopes ? p->slope[source][n] : 0;
        }
        for (int64_t k = 0; k < NEAR; k++) p->weight[k][n] = weight[k];
        for (int64_t k = 0; slopes && k < NEAR; k++) p->slope[k][n] = slope[k];
        p->row[n] = (int32_t)first;
    }
}

typedef REAL Vector __attribute__((vector_size(LANES * SIZE), aligned(SIZE), may_alias));
typedef REAL Eight __attribute__((vector_size(8 * SIZE), may_alias));
typedef REAL Four __attribute__((vector_size(4 * SIZE), may_alias));
typedef REAL Two __attribute__((vector_size(2 * SIZE), may_alias));
typedef int32_t Rows __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#if SIZE == 8
typedef int64_t Mask __attribute__((vector_size(LANES * SIZE)));
#else
typedef int32_t Mask __attribute__((vector_size(LANES * SIZE)));
#endif

INLINE Vector every(REAL x) { return x - (Vector){0}; }
INLINE Vector choose(Mask yes, Vector one, Vector other) { return (Vector)((yes & (Mask)one) | (~yes & (Mask)other)); }

/* The recursion of Cox and de Boor for knots at distance 1, in the fraction f of the cell alone, for LANES points at a time
 * (the last ones may be padding). The comparisons are made of the same operations as grid.py's, so that a point next to a
 * knot falls on the same side of it. Returns whether any point reads rows that do not exist. */
INLINE int uniform_points(Points *p, int64_t from, int64_t to, int64_t intervals, const REAL *lane, const int slopes) {
    const Vector highest = every((REAL)(intervals + K - 1)), zero = every(0), one = every(1);
    Mask beyond = {0};
    const Vector low = every(lane[0]), step = every(lane[1]), first = every(lane[2]), last = every(lane[3]);
    const Vector per_step = one / step;
    for (int64_t n = from; n < to; n += LANES) {
        const Vector x = *(Vector *)&p->x[n], u = (x - low) / step;
        Vector cell = choose(u > highest, highest, u);
        cell = choose(cell < -K, zero - K, cell);
        cell = choose(cell == cell, cell, zero); /* the conversion of NaN to an integer is undefined */
        const Vector whole = __builtin_convertvector(__builtin_convertvector(cell, Rows), Vector);
        cell = whole - choose(whole > cell, one, zero);
        const Mask outside = (x < first) | (x > last);
        const Vector f = choose(outside, zero + (REAL)0.5, u - cell), keep = choose(outside, zero, one);
        Vector b[NEAR] = {one + 0 * f}, under[NEAR + 1] = {zero}; /* NaN shows for degree 0 as well */
        UNROLL
        for (int k = 1; k <= K; k++) {
            UNROLL
            for (int r = 0; r < k; r++) under[r + 1] = b[r]; /* the lower degree's, between two zeros */
            Vector saved = zero;
            UNROLL
            for (int r = 0; r < k; r++) {
                b[r] = saved + under[r + 1] * (((REAL)(r + 1) - f) * ((REAL)1 / k));
                saved = under[r + 1] * ((f + (REAL)(k - r - 1)) * ((REAL)1 / k));
            }
            b[k] = saved;
        }
        UNROLL
        for (int r = 0; r < NEAR; r++) *(Vector *)&p->weight[r][n] = keep * b[r];
        if (slopes) {
            const Vector scale = keep * per_step;
            UNROLL
            for (int r = 0; r < NEAR; r++) *(Vector *)&p->slope[r][n] = (under[r] - under[r + 1]) * scale;
        }
        *(Rows *)&p->row[n] = __builtin_convertvector(cell, Rows);
        beyond |= (cell < 0) | (cell > (REAL)(intervals - 1));
    }
    int any = 0;
    for (int lane = 0; lane < LANES; lane++) any |= beyond[lane] != 0;
    return any;
}

/* De Boor's triangle (Piegl and Tiller, The NURBS Book, A2.2) on the knots t around the point's cell, found by bisection. */
static void knot_points(Points *p, int64_t from, int64_t to, int64_t knots, const REAL *t, int slopes) {
    for (int64_t n = from; n < to; n++) {
        const REAL x = p->x[n];
        int64_t left = 0, right = knots - 1;
        while (right - left > 1) {
            int64_t middle = (left + right) / 2;
            if (t[middle] <= x) left = middle;
            else right = middle;
        }
        if (x != x) left = K;
        const int outside = (x < t[0]) | (x > t[knots - 1]);
        REAL around[2 * K + 2]; /* around[j] is the knot left - K + j; beyond the ends any increasing numbers do */
        for (int64_t j = 0; j < 2 * K + 2; j++) {
            const int64_t at = left - K + j, over = at - knots + 1;
            around[j] = at < 0 ? t[0] + at * (t[1] - t[0]) : over > 0 ? t[knots - 1] + over * (t[knots - 1] - t[knots - 2]) : t[at];
        }
        REAL b[NEAR] = {1 + 0 * x}, part[NEAR + 1] = {0};
        for (int k = 1; k <= K; k++) {
            REAL saved = 0;
            for (int r = 0; r < k; r++) {
                const REAL after = around[K + 1 + r], before = around[K + 1 + r - k];
                part[r + 1] = b[r] / (after - before);
                b[r] = saved + (after - x) * part[r + 1];
                saved = (x - before) * part[r + 1];
            }
            b[k] = saved;
        }
        for (int r = 0; r < NEAR; r++) p->weight[r][n] = outside ? 0 : b[r];
        for (int r = 0; slopes && r < NEAR; r++) p->slope[r][n] = outside ? 0 : K * (part[r] - (r < K ? part[r + 1] : 0));
        p->row[n] = (int32_t)(left - K);
    }
}

/* Read `rows` points of `inputs` inputs, from a table of points and the lane of the first input, and locate them. */
static void take_points(Points *p, const Sizes *z, const REAL *x, const REAL *table, int64_t rows, int64_t inputs, int slopes,
                        int based) {
    const int64_t stride = padded(rows);
    p->rows = rows;
    p->stride = stride;
    for (int64_t b = 0; b < rows; b++, x += z->inputs) {
        __builtin_prefetch(x + inputs); /* for the next block: these lines are too far apart to be foreseen */
        for (int64_t i = 0; i < inputs; i++) p->x[i * stride + b] = x[i];
    }
    for (int64_t i = 0; i < inputs; i++) {
        const int64_t from = i * stride, to = from + stride;
        const REAL *lane = table + i * z->table_input;
        int beyond = 1;
        for (int64_t n = from + rows; n < to; n++) p->x[n] = p->x[from];
        if (z->knots) knot_points(p, from, to, z->knots, lane, slopes);
        else if (slopes) beyond = uniform_points(p, from, to, z->intervals, lane, 1);
        else beyond = uniform_points(p, from, to, z->intervals, lane, 0);
        if (beyond) move_inside(p, from, to, z->intervals, slopes);
    }
    if (based) silu(p, 0, inputs * stride, slopes);
}

/* Counting sort of column i: `order` lists its points, cell by cell, and `start[c]` is where cell c begins. */
static void sort_by_cell(Points *p, int64_t i, int64_t intervals, int32_t *start) {
    const int32_t *row = p->row + i * p->stride;
    int32_t *order = p->order + i * p->stride;
    for (int64_t c = 0; c <= intervals; c++) start[c] = 0;
    for (int64_t b = 0; b < p->rows; b++) start[row[b] + 1]++;
    for (int64_t c = 0; c < intervals; c++) start[c + 1] += start[c];
    for (int64_t b = 0; b < p->rows; b++) order[start[row[b]]++] = (int32_t)b;
    for (int64_t c = intervals; c > 0; c--) start[c] = start[c - 1]; /* each has moved to the beginning of the next */
    start[0] = 0;
}

/* ------------------------------------------------------------------------------------------------ tiles
 * The inner loops, once for each width of a strip of outputs: four, two and one vector registers, and parts of one. */

typedef struct {
    int64_t inputs, intervals, outputs; /* inputs: of this block */
    const REAL *coef, *base;            /* where this block and strip begin; base may be NULL */
    const int32_t (*start)[FEW + 1];    /* of every column if the block is sorted, else NULL */
} Block;

/* outputs, gradient in x, gradient in the coefficients; `begin`: set what is there instead of adding to it */

typedef void Forward(const Points *p, Block block, REAL *y, int begin);
typedef void Inward(const Points *p, Block block, const REAL *grad, REAL *dx, int64_t inputs, int begin);
typedef void Outward(const Points *p, Block block, const REAL *grad, const int32_t *start, REAL *dcoef, REAL *dbase, int begin);

#define WIDTH LANES
#define VECTORS 4
#define TILE(name) name##_four
#include "native_tile.h"
#define WIDTH LANES
#define VECTORS 2
#define TILE(name) name##_two
#include "native_tile.h"
#define WIDTH LANES
#define VECTORS 1
#define TILE(name) name##_one
#include "native_tile.h"
#if LANES > 8
#define WIDTH 8
#define VECTORS 1
#define TILE(name) name##_8
#include "native_tile.h"
#endif
#if LANES > 4
#define WIDTH 4
#define VECTORS 1
#define TILE(name) name##_4
#include "native_tile.h"
#endif
#if LANES > 2
#define WIDTH 2
#define VECTORS 1
#define TILE(name) name##_2
#include "native_tile.h"
#endif
#define WIDTH 1
#define VECTORS 1
#define TILE(name) name##_1
#include "native_tile.h"

typedef struct {
    int64_t width;
    Forward *forward;
    Inward *inward;
    Outward *outward;
} Tile;

#define ENTRY(width, name) {width, forward_##name, inward_##name, outward_##name}
static const Tile TILES[] = {
    ENTRY(4 * LANES, four), ENTRY(2 * LANES, two), ENTRY(LANES, one),
#if LANES > 8
    ENTRY(8, 8),
#endif
#if LANES > 4
    ENTRY(4, 4),
#endif
#if LANES > 2
    ENTRY(2, 2),
#endif
    ENTRY(1, 1),
};

static const Tile *widest(int64_t outputs) {
    const Tile *tile = TILES;
    while (tile->width > outputs) tile++;
    return tile;
}

/* ------------------------------------------------------------------------------------------------ drivers */

enum { NEAR_CACHE = 20 * 1024 }; /* bytes of coefficients that are to stay in the nearest cache */

typedef struct {
    int64_t inputs, rows; /* of one block of points */
    int sorted;
} Shape;

/* Sorting pays where a cell's rows are then used several times from registers, for at least two registers of outputs. */
static Shape block_shape(const Sizes *z) {
    const int64_t width = LEAST(z->outputs, 4 * LANES), batch = z->batch < 1 ? 1 : z->batch;
    int64_t rows = LEAST(batch, width < 4 * LANES ? 256 : 64);
    const int sorted = z->intervals <= FEW && 4 * z->intervals <= rows && z->outputs >= 2 * LANES;
    if (!sorted) rows = LEAST(batch, 128);
    int64_t inputs = sorted ? MOST : NEAR_CACHE / ((z->intervals + K + 1) * width * SIZE);
    inputs = LEAST(inputs < 4 ? 4 : inputs, LEAST(z->inputs, MOST / padded(rows)));
    return (Shape){inputs, inputs == 1 ? LEAST(batch, MOST) : rows, sorted};
}

typedef struct {
    const Sizes *z;
    const REAL *x, *coef, *base, *table, *grad;
    REAL *y, *dx, *dcoef, *dbase;
} Layer;

/* Rows begin..end of seed s, outputs or gradients in x: block after block of inputs, in each strip after strip of outputs. */
static void rows_of_seed(const Layer *l, Points *p, Shape shape, int64_t s, int64_t begin, int64_t end) {
    const Sizes *z = l->z;
    int32_t start[MOST / LANES][FEW + 1];
    for (int64_t b = begin; b < end; b += shape.rows)
        for (int64_t i = 0; i < z->inputs; i += shape.inputs) {
            const int64_t inputs = LEAST(shape.inputs, z->inputs - i), at = s * z->batch + b, lane = s * z->inputs + i;
            const REAL *table = l->table + s * z->table_seed + i * z->table_input;
            const REAL *x = l->x + s * z->x_seed + b * z->inputs + i;
            take_points(p, z, x, table, LEAST(shape.rows, end - b), inputs, l->dx != NULL, l->base != NULL);
            for (int64_t j = 0; shape.sorted && j < inputs; j++) sort_by_cell(p, j, z->intervals, start[j]);
            for (int64_t o = 0; o < z->outputs;) {
                const Tile *tile = widest(z->outputs - o);
                const Block block = {
                    inputs, z->intervals, z->outputs, l->coef + lane * (z->intervals + K) * z->outputs + o,
                    l->base ? l->base + lane * z->outputs + o : NULL, shape.sorted ? (const int32_t(*)[FEW + 1])start : NULL,
                };
                if (l->dx) tile->inward(p, block, l->grad + at * z->outputs + o, l->dx + at * z->inputs + i, z->inputs, o == 0);
                else tile->forward(p, block, l->y + at * z->outputs + o, i == 0);
                o += tile->width;
            }
        }
}

/* The gradient of one input's coefficients (and base weights) of one seed. */
static void input_of_seed(const Layer *l, Points *p, int32_t *start, int64_t s, int64_t i) {
    const Sizes *z = l->z;
    const int64_t lane = s * z->inputs + i;
    const REAL *table = l->table + s * z->table_seed + i * z->table_input;
    const Block block = {1, z->intervals, z->outputs, NULL, NULL, NULL};
    const int sorted = z->outputs >= 16;
    for (int64_t b = 0; b == 0 || b < z->batch; b += MOST) {
        const REAL *x = l->x + s * z->x_seed + b * z->inputs + i;
        take_points(p, z, x, table, LEAST(MOST, z->batch - b), 1, 0, l->dbase != NULL);
        if (sorted) sort_by_cell(p, 0, z->intervals, start);
        for (int64_t o = 0; o < z->outputs;) {
            const Tile *tile = widest(z->outputs - o);
            tile->outward(p, block, l->grad + (s * z->batch + b) * z->outputs + o, sorted ? start : NULL,
                          l->dcoef + lane * (z->intervals + K) * z->outputs + o,
                          l->dbase ? l->dbase + lane * z->outputs + o : NULL, b == 0);
            o += tile->width;
        }
    }
}

/* Below this many multiplications a second thread costs more than it saves. */
enum { WORTH_A_THREAD = 1 << 17 };

static int64_t team(const Sizes *z) {
    const int64_t work = z->seeds * z->batch * z->inputs * z->outputs * NEAR;
    return work < WORTH_A_THREAD ? 1 : LEAST(z->threads, work / (WORTH_A_THREAD / 2));
}

static void run_rows(const Layer *l) {
    const Sizes *z = l->z;
    const Shape shape = block_shape(z);
    const int64_t threads = team(z), parts = (z->batch + shape.rows - 1) / shape.rows;
    /* As long stretches of rows as give every thread something to do. */
    const int64_t wanted = threads == 1 ? z->seeds : 4 * threads;
    const int64_t stretches = LEAST(parts, (wanted + z->seeds - 1) / z->seeds);
    const int64_t length = stretches ? (parts + stretches - 1) / stretches * shape.rows : 1;
#pragma omp parallel num_threads((int)threads) if (threads > 1)
    {
        Points p;
#pragma omp for schedule(static)
        for (int64_t n = 0; n < z->seeds * stretches; n++) {
            const int64_t begin = n % stretches * length;
            rows_of_seed(l, &p, shape, n / stretches, begin, LEAST(begin + length, z->batch));
        }
    }
}

static int run_inputs(const Layer *l) {
    const Sizes *z = l->z;
    const int64_t threads = team(z);
    int failed = 0;
#pragma omp parallel num_threads((int)threads) if (threads > 1)
    {
        Points p;
        int32_t *start = malloc((size_t)(z->intervals + 1) * sizeof(int32_t));
        if (!start) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(static)
        for (int64_t n = 0; n < z->seeds * z->inputs; n++)
            if (start) input_of_seed(l, &p, start, n / z->inputs, n % z->inputs);
        free(start);
    }
    return failed;
}

/* Outputs of a coefficient (or base weight) that is not finite are NaN at every point, as 0 times it is in the definition. */
static void spread(const Sizes *z, const REAL *weights, int64_t rows, REAL *y) {
    const int64_t count = rows * z->outputs;
    for (int64_t s = 0; s < z->seeds; s++) {
        const REAL *own = weights + s * count;
        int broken = 0;
        for (int64_t n = 0; n < count; n++) broken |= !(own[n] - own[n] == 0);
        for (int64_t n = 0; broken && n < count; n++)
            if (!(own[n] - own[n] == 0))
                for (int64_t b = 0; b < z->batch; b++) y[(s * z->batch + b) * z->outputs + n % z->outputs] = own[n] - own[n];
    }
}

int forward(const Sizes *z, const REAL *x, const REAL *coef, const REAL *base, const REAL *table, REAL *y) {
    run_rows(&(Layer){.z = z, .x = x, .coef = coef, .base = base, .table = table, .y = y});
    spread(z, coef, z->inputs * (z->intervals + K), y);
    if (base) spread(z, base, z->inputs, y);
    return 0;
}

/* Any of dx, dcoef and dbase may be NULL; dbase needs dcoef. Both functions return 0, or 1 if there was no memory. */
int backward(const Sizes *z, const REAL *x, const REAL *coef, const REAL *base, const REAL *table, const REAL *grad, REAL *dx,
             REAL *dcoef, REAL *dbase) {
    if (dx) run_rows(&(Layer){.z = z, .x = x, .coef = coef, .base = base, .table = table, .grad = grad, .dx = dx});
    if (!dcoef) return 0;
    return run_inputs(&(Layer){.z = z, .x = x, .table = table, .grad = grad, .dcoef = dcoef, .dbase = dbase});
}
