/* The inner loops of native.c for a strip of VECTORS times WIDTH outputs. Included once for each strip, with TILE(name) to name
 * the functions. The compiler keeps `sum` in registers, since all its indices are constants after unrolling. */

#if WIDTH > 1
typedef REAL TILE(vector) __attribute__((vector_size(WIDTH * SIZE), aligned(SIZE), may_alias));
#else
typedef REAL TILE(vector);
#endif
#define VECTOR TILE(vector)
#define AT(pointer, v) (*(VECTOR *)((pointer) + (v) * WIDTH))
#define CONST_AT(pointer, v) (*(const VECTOR *)((pointer) + (v) * WIDTH))
/* Rows side by side in `forward`, so that enough independent sums are under way to hide the latency of one. */
#define ROWS (4 / VECTORS)

/* sum[v] += the weights of point n times the rows of the coefficients that it reads. */
INLINE void TILE(add_rows)(VECTOR *sum, const REAL (*weight)[ROOM], const REAL *extra, int64_t n, const REAL *rows,
                           const REAL *base, int64_t outputs) {
    UNROLL for (int k = 0; k < NEAR; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[v] += weight[k][n] * CONST_AT(rows + k * outputs, v);
    if (base) {
        UNROLL for (int v = 0; v < VECTORS; v++) sum[v] += extra[n] * CONST_AT(base, v);
    }
}

/* Where the rows of input i and the cell that begins with `row` are, and its base weights. */
#define ROWS_AT(i, row) (block.coef + ((i) * (block.intervals + K) + (row)) * block.outputs)
#define BASE_AT(i) (based ? block.base + (i) * block.outputs : NULL)

/* One row of points after the other: the sums of its outputs stay in registers, over all inputs of the block. */
INLINE void TILE(forward_rows)(const Points *p, int64_t b, const int rows, Block block, REAL *y, int begin, const int based) {
    VECTOR sum[ROWS][VECTORS] = {0};
    if (!begin) {
        UNROLL for (int m = 0; m < rows; m++)
            UNROLL for (int v = 0; v < VECTORS; v++) sum[m][v] = CONST_AT(y + (b + m) * block.outputs, v);
    }
    for (int64_t i = 0; i < block.inputs; i++) {
        UNROLL for (int m = 0; m < rows; m++) {
            const int64_t n = i * p->stride + b + m;
            TILE(add_rows)(sum[m], p->weight, p->silu, n, ROWS_AT(i, p->row[n]), BASE_AT(i), block.outputs);
        }
    }
    UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < VECTORS; v++) AT(y + (b + m) * block.outputs, v) = sum[m][v];
}

INLINE void TILE(forward_any)(const Points *p, Block block, REAL *y, int begin, const int based) {
    int64_t b = 0;
    for (; b + ROWS <= p->rows; b += ROWS) TILE(forward_rows)(p, b, ROWS, block, y, begin, based);
    for (; b < p->rows; b++) TILE(forward_rows)(p, b, 1, block, y, begin, based);
}

#if WIDTH == LANES
/* Keep the rows of a cell in registers while its points go by. */
INLINE void TILE(hold)(VECTOR (*held)[VECTORS], const REAL *rows, const REAL *base, int64_t outputs) {
    UNROLL for (int k = 0; k < NEAR; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) held[k][v] = CONST_AT(rows + k * outputs, v);
    if (base) {
        UNROLL for (int v = 0; v < VECTORS; v++) held[NEAR][v] = CONST_AT(base, v);
    }
}

INLINE void TILE(forward_cells)(const Points *p, Block block, REAL *y, int begin, const int based) {
    for (int64_t i = 0; i < block.inputs; i++) {
        const int32_t *order = p->order + i * p->stride, *start = block.start[i];
        for (int64_t cell = 0; cell < block.intervals; cell++) {
            if (start[cell] == start[cell + 1]) continue;
            VECTOR held[NEAR + 1][VECTORS];
            TILE(hold)(held, ROWS_AT(i, cell), BASE_AT(i), block.outputs);
            for (int64_t m = start[cell]; m < start[cell + 1]; m++) {
                const int64_t n = i * p->stride + order[m];
                REAL *out = y + order[m] * block.outputs;
                VECTOR sum[VECTORS] = {0};
                if (!begin || i) {
                    UNROLL for (int v = 0; v < VECTORS; v++) sum[v] = CONST_AT(out, v);
                }
                UNROLL for (int k = 0; k < NEAR; k++)
                    UNROLL for (int v = 0; v < VECTORS; v++) sum[v] += p->weight[k][n] * held[k][v];
                if (based) {
                    UNROLL for (int v = 0; v < VECTORS; v++) sum[v] += p->silu[n] * held[NEAR][v];
                }
                UNROLL for (int v = 0; v < VECTORS; v++) AT(out, v) = sum[v];
            }
        }
    }
}
#endif

static void TILE(forward)(const Points *p, Block block, REAL *y, int begin) {
#if WIDTH == LANES
    if (block.start && block.base) return TILE(forward_cells)(p, block, y, begin, 1);
    if (block.start) return TILE(forward_cells)(p, block, y, begin, 0);
#endif
    if (block.base) TILE(forward_any)(p, block, y, begin, 1);
    else TILE(forward_any)(p, block, y, begin, 0);
}

INLINE REAL TILE(total)(VECTOR x) {
#if WIDTH == 16
    Eight eight = ((Eight *)&x)[0] + ((Eight *)&x)[1];
#elif WIDTH == 8
    Eight eight = x;
#endif
#if WIDTH >= 8
    Four four = ((Four *)&eight)[0] + ((Four *)&eight)[1];
#elif WIDTH == 4
    Four four = x;
#endif
#if WIDTH >= 4
    Two two = ((Two *)&four)[0] + ((Two *)&four)[1];
#elif WIDTH == 2
    Two two = x;
#endif
#if WIDTH >= 2
    return two[0] + two[1];
#else
    return x;
#endif
}

/* dx = sum over outputs of grad times the slope of the edge; later strips add to what the first wrote. */
INLINE void TILE(inward_rows)(const Points *p, Block block, const REAL *grad, REAL *dx, int64_t inputs, int begin,
                              const int based) {
    for (int64_t b = 0; b < p->rows; b++) {
        VECTOR g[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++) g[v] = CONST_AT(grad + b * block.outputs, v);
        for (int64_t i = 0; i < block.inputs; i++) {
            const int64_t n = i * p->stride + b;
            VECTOR sum[VECTORS] = {0};
            TILE(add_rows)(sum, p->slope, p->dsilu, n, ROWS_AT(i, p->row[n]), BASE_AT(i), block.outputs);
            VECTOR product = sum[0] * g[0];
            UNROLL for (int v = 1; v < VECTORS; v++) product += sum[v] * g[v];
            const REAL total = TILE(total)(product);
            dx[b * inputs + i] = begin ? total : dx[b * inputs + i] + total;
        }
    }
}

#if WIDTH == LANES
INLINE void TILE(inward_cells)(const Points *p, Block block, const REAL *grad, REAL *dx, int64_t inputs, int begin,
                               const int based) {
    for (int64_t i = 0; i < block.inputs; i++) {
        const int32_t *order = p->order + i * p->stride, *start = block.start[i];
        for (int64_t cell = 0; cell < block.intervals; cell++) {
            if (start[cell] == start[cell + 1]) continue;
            VECTOR held[NEAR + 1][VECTORS];
            TILE(hold)(held, ROWS_AT(i, cell), BASE_AT(i), block.outputs);
            for (int64_t m = start[cell]; m < start[cell + 1]; m++) {
                const int64_t b = order[m], n = i * p->stride + b;
                VECTOR product = {0};
                UNROLL for (int v = 0; v < VECTORS; v++) {
                    VECTOR sum = p->slope[0][n] * held[0][v];
                    UNROLL for (int k = 1; k < NEAR; k++) sum += p->slope[k][n] * held[k][v];
                    if (based) sum += p->dsilu[n] * held[NEAR][v];
                    product += sum * CONST_AT(grad + b * block.outputs, v);
                }
                const REAL total = TILE(total)(product);
                dx[b * inputs + i] = begin ? total : dx[b * inputs + i] + total;
            }
        }
    }
}
#endif

static void TILE(inward)(const Points *p, Block block, const REAL *grad, REAL *dx, int64_t inputs, int begin) {
#if WIDTH == LANES
    if (block.start && block.base) return TILE(inward_cells)(p, block, grad, dx, inputs, begin, 1);
    if (block.start) return TILE(inward_cells)(p, block, grad, dx, inputs, begin, 0);
#endif
    if (block.base) TILE(inward_rows)(p, block, grad, dx, inputs, begin, 1);
    else TILE(inward_rows)(p, block, grad, dx, inputs, begin, 0);
}

/* dcoef of one input, points cell by cell: `sum` holds the rows that the present cell touches and moves on with it, so that
 * each row is written once, when no later cell reaches it. */
INLINE void TILE(outward_cells)(const Points *p, Block block, const REAL *grad, const int32_t *start, REAL *dcoef, REAL *dbase,
                                int begin, const int based) {
    VECTOR sum[NEAR][VECTORS] = {0}, base[VECTORS] = {0};
    for (int64_t cell = 0; cell < block.intervals; cell++) {
        for (int64_t m = start[cell]; m < start[cell + 1]; m++) {
            const int64_t n = p->order[m];
            VECTOR g[VECTORS];
            UNROLL for (int v = 0; v < VECTORS; v++) g[v] = CONST_AT(grad + n * block.outputs, v);
            UNROLL for (int k = 0; k < NEAR; k++)
                UNROLL for (int v = 0; v < VECTORS; v++) sum[k][v] += p->weight[k][n] * g[v];
            if (based) {
                UNROLL for (int v = 0; v < VECTORS; v++) base[v] += p->silu[n] * g[v];
            }
        }
        UNROLL for (int v = 0; v < VECTORS; v++) {
            REAL *out = dcoef + cell * block.outputs;
            if (!begin) sum[0][v] += AT(out, v);
            AT(out, v) = sum[0][v];
            UNROLL for (int k = 0; k < K; k++) sum[k][v] = sum[k + 1][v];
            sum[K][v] = (VECTOR){0};
        }
    }
    UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) {
            REAL *out = dcoef + (block.intervals + k) * block.outputs;
            if (!begin) sum[k][v] += AT(out, v);
            AT(out, v) = sum[k][v];
        }
    if (based) {
        UNROLL for (int v = 0; v < VECTORS; v++) {
            if (!begin) base[v] += AT(dbase, v);
            AT(dbase, v) = base[v];
        }
    }
}

/* The same without sorting, for few outputs: add every point to its rows in memory. */
INLINE void TILE(outward_rows)(const Points *p, Block block, const REAL *grad, REAL *dcoef, REAL *dbase, int begin,
                               const int based) {
    VECTOR base[VECTORS] = {0};
    for (int64_t c = 0; begin && c < block.intervals + K; c++)
        UNROLL for (int v = 0; v < VECTORS; v++) AT(dcoef + c * block.outputs, v) = (VECTOR){0};
    for (int64_t n = 0; n < p->rows; n++) {
        REAL *out = dcoef + p->row[n] * block.outputs;
        UNROLL for (int v = 0; v < VECTORS; v++) {
            const VECTOR g = CONST_AT(grad + n * block.outputs, v);
            UNROLL for (int k = 0; k < NEAR; k++) AT(out + k * block.outputs, v) += p->weight[k][n] * g;
            if (based) base[v] += p->silu[n] * g;
        }
    }
    if (based) {
        UNROLL for (int v = 0; v < VECTORS; v++) {
            if (!begin) base[v] += AT(dbase, v);
            AT(dbase, v) = base[v];
        }
    }
}

static void TILE(outward)(const Points *p, Block block, const REAL *grad, const int32_t *start, REAL *dcoef, REAL *dbase,
                          int begin) {
    if (start && dbase) TILE(outward_cells)(p, block, grad, start, dcoef, dbase, begin, 1);
    else if (start) TILE(outward_cells)(p, block, grad, start, dcoef, dbase, begin, 0);
    else if (dbase) TILE(outward_rows)(p, block, grad, dcoef, dbase, begin, 1);
    else TILE(outward_rows)(p, block, grad, dcoef, dbase, begin, 0);
}

#undef ROWS_AT
#undef BASE_AT
#undef VECTOR
#undef AT
#undef CONST_AT
#undef ROWS
#undef WIDTH
#undef VECTORS
#undef TILE
