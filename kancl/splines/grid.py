"""Grids: where the pieces of a spline begin and end, and which basis functions are non-zero at a point.

A grid has G intervals and degree K. Its extended knots t_{-K} < ... < t_{G+K} carry C = G + K basis functions; function c
lives on [t_{c-K}, t_{c+1}]. A point in the cell [t_e, t_{e+1}) sees only the K + 1 functions e .. e + K, of which those
outside 0 .. C - 1 do not exist (the point lies on the extension). Beyond the extended knots every function is 0.
"""

from dataclasses import InitVar, dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kancl.errors import InputError

MAX_DEGREE = 5


@dataclass(frozen=True, eq=False)
class UniformGrid:
    """Equal intervals between ``low`` and ``high``, extended by K intervals of the same length on both sides.

    The tensors must not be changed afterwards: what the kernels read is prepared once.

    Args:
        low, high: the ends of the range, per seed and input or broadcasting to that.
        intervals: G >= 1.
        degree: K in 0..5.
        check: look at the numbers; False only where they are known to make a grid.
    """

    low: Float[Tensor, "#S #I"]
    high: Float[Tensor, "#S #I"]
    intervals: int
    degree: int
    check: InitVar[bool] = True
    lanes: tuple[int, int] = field(init=False)
    """Seeds and inputs that have knots of their own; 1 for shared ones."""
    table: Float[Tensor, "#S #I 4"] = field(init=False)
    """What the fused kernels read: low, step, and the first and the last extended knot."""

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check()
        (low, high), step = torch.broadcast_tensors(self.low, self.high), self._step()
        table = torch.stack([low, step, low - self.degree * step, high + self.degree * step], dim=-1)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "lanes", (table.shape[0], table.shape[1]))

    def _check(self) -> None:
        _check_sizes(self.intervals, self.degree)
        # 1 / step, which the kernels take, must be finite as well: no step of fewer digits than the number type has.
        step = self._step()
        least = torch.finfo(step.dtype).tiny
        wrong = ~((self.high > self.low) & (self.high - self.low).isfinite() & (step >= least))
        if bool(wrong.any()):
            low, high = (end.expand(wrong.shape)[wrong][0].item() for end in (self.low, self.high))
            raise InputError(
                f"a grid needs finite low < high, and intervals of at least {least:g}, "
                f"got low {low:g} and high {high:g} for {self.intervals}"
            )

    @classmethod
    def over(cls, low: float, high: float, intervals: int, degree: int, dtype: torch.dtype | None = None) -> "UniformGrid":
        """Return one grid on [low, high] for all seeds and inputs.

        Args:
            low, high: the ends of the range, in the inputs' units.
            intervals: G.
            degree: K, 0 to 5.
            dtype: of the knots; torch's default if not given.
        """
        return cls(torch.full((1, 1), low, dtype=dtype), torch.full((1, 1), high, dtype=dtype), intervals, degree)

    @property
    def coefficients(self) -> int:
        """C = G + K, the number of basis functions per input."""
        return self.intervals + self.degree

    @property
    def requires_grad(self) -> bool:
        """Whether autograd follows the knots."""
        return self.low.requires_grad or self.high.requires_grad

    def knots(self) -> Float[Tensor, "#S #I M"]:
        """Return the M = G + 2K + 1 extended knots."""
        steps = torch.arange(-self.degree, self.intervals + self.degree + 1, dtype=self.low.dtype, device=self.low.device)
        low, high, step = self.low[..., None], self.high[..., None], self._step()[..., None]
        # Counted from the nearer end, so that the knots at both ends of the range are exactly low and high.
        return torch.where(2 * steps < self.intervals, low + steps * step, high + (steps - self.intervals) * step)

    def _step(self) -> Float[Tensor, "#S #I"]:
        return (self.high - self.low) / self.intervals

    def basis(self, x: Float[Tensor, "S B I"]) -> tuple[Int[Tensor, "S B I K1"], Float[Tensor, "S B I K1"]]:
        """Return the K + 1 candidate functions at each point: their numbers in 0..C-1, and their values.

        Functions that do not exist get the nearest number and the value 0. The values come from the recursion of Cox and
        de Boor for knots at distance 1, in the fraction of the cell alone:
        B^k_r = ((f + k - r) B^{k-1}_{r-1} + (r + 1 - f) B^{k-1}_r) / k.

        Args:
            x: points; NaN gives NaN, points beyond the extended knots give 0.
        """
        low, high, step = self.low[:, None], self.high[:, None], self._step()[:, None]
        u = (x - low) / step
        # Compared with the knots themselves, since u may round past the last one. False for NaN, which must go through.
        outside = (x < low - self.degree * step) | (x > high + self.degree * step)
        cell = u.detach().floor().clamp(-self.degree, self.intervals + self.degree - 1)
        fraction = torch.where(outside, 0.5, u - cell)  # any finite number: keeps infinities out of the gradient
        values = [torch.ones_like(fraction) + 0 * fraction]  # not plain ones: NaN must show for degree 0 as well
        for k in range(1, self.degree + 1):
            rising = [values[r - 1] * ((fraction + (k - r)) / k) for r in range(1, k + 1)]
            falling = [values[r] * ((r + 1 - fraction) / k) for r in range(k)]
            values = [falling[0], *(rising[r - 1] + falling[r] for r in range(1, k)), rising[-1]]
        return _existing(cell, torch.stack(values, dim=-1), outside, self.coefficients)


@dataclass(frozen=True, eq=False)
class KnotGrid:
    """Any increasing knots, per seed and input. The tensor must not be changed afterwards.

    Args:
        extended: the M = G + 2K + 1 extended knots, strictly increasing.
        degree: K in 0..5.
        check: look at the numbers; False only where they are known to make a grid.
    """

    extended: Float[Tensor, "#S #I M"]
    degree: int
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if not check:
            return
        _check_sizes(self.intervals, self.degree)
        falls = ~(self.extended.diff(dim=-1) > 0)
        if bool(falls.any()):
            *lane, place = falls.nonzero()[0].tolist()
            pair = self.extended[tuple(lane)][place : place + 2].tolist()
            raise InputError(f"the knots of a grid must increase strictly, got {pair[0]} followed by {pair[1]}")

    @property
    def intervals(self) -> int:
        """G."""
        return self.extended.shape[-1] - 2 * self.degree - 1

    @property
    def coefficients(self) -> int:
        """C = G + K, the number of basis functions per input."""
        return self.intervals + self.degree

    @property
    def requires_grad(self) -> bool:
        """Whether autograd follows the knots."""
        return self.extended.requires_grad

    @property
    def lanes(self) -> tuple[int, int]:
        """Seeds and inputs that have knots of their own; 1 for shared ones."""
        return self.extended.shape[0], self.extended.shape[1]

    @property
    def table(self) -> Float[Tensor, "#S #I M"]:
        """What the fused kernels read: the extended knots."""
        return self.extended

    def knots(self) -> Float[Tensor, "#S #I M"]:
        """Return the extended knots."""
        return self.extended

    def basis(self, x: Float[Tensor, "S B I"]) -> tuple[Int[Tensor, "S B I K1"], Float[Tensor, "S B I K1"]]:
        """Return the K + 1 candidate functions at each point: their numbers in 0..C-1, and their values.

        De Boor's triangle (Piegl and Tiller, The NURBS Book, algorithm A2.2) on the 2K knots around the point's cell.

        Args:
            x: points; NaN gives NaN, points beyond the extended knots give 0.
        """
        degree, last = self.degree, self.extended.shape[-1] - 1
        seeds, batch, inputs = x.shape
        knots = self.extended.expand(seeds, inputs, -1)
        outside = (x < knots[..., 0][:, None]) | (x > knots[..., -1][:, None])
        column = x.detach().transpose(1, 2).contiguous()
        position = torch.searchsorted(knots.contiguous(), column, right=True).clamp(1, last) - 1  # (S, I, B)
        position = torch.where(column.isnan(), degree, position)
        # Beyond the last knot the triangle reads knots that no existing function depends on: any increasing ones do.
        step = torch.arange(1, degree + 1, dtype=x.dtype, device=x.device)
        before = knots[..., :1] - step.flip(0) * (knots[..., 1:2] - knots[..., :1])
        after = knots[..., -1:] + step * (knots[..., -1:] - knots[..., -2:-1])
        padded = torch.cat([before, knots, after], dim=-1)
        near = position[..., None] + torch.arange(1, 2 * degree + 1, device=x.device)  # t_{e-K+1} .. t_{e+K}
        local = padded.gather(-1, near.flatten(2)).view(seeds, inputs, batch, 2 * degree).transpose(1, 2)
        middle = (knots[..., :1] + knots[..., 1:2])[..., 0][:, None] / 2
        point = torch.where(outside, middle, x)
        values = [torch.ones_like(point) + 0 * point]
        for k in range(1, degree + 1):
            saved = torch.zeros_like(point)
            row = []
            for r in range(k):
                right, left = local[..., degree + r], local[..., degree + r - k]
                part = values[r] / (right - left)
                row.append(saved + (right - point) * part)
                saved = (point - left) * part
            values = [*row, saved]
        cell = (position - degree).transpose(1, 2).to(x.dtype)
        return _existing(cell, torch.stack(values, dim=-1), outside, self.coefficients)


Grid = UniformGrid | KnotGrid


def _existing(cell: Tensor, values: Tensor, outside: Tensor, coefficients: int) -> tuple[Tensor, Tensor]:
    """Number the functions of each cell, and silence those that do not exist."""
    first = cell.nan_to_num(0.0).long()  # casting NaN is undefined
    index = first[..., None] + torch.arange(values.shape[-1], device=cell.device)
    missing = (index < 0) | (index >= coefficients) | outside[..., None]
    return index.clamp(0, coefficients - 1), values.masked_fill(missing, 0.0)


def _check_sizes(intervals: int, degree: int) -> None:
    if not 0 <= degree <= MAX_DEGREE:
        raise InputError(f"the degree of a spline must be 0..{MAX_DEGREE}, got {degree}")
    if intervals < 1:
        raise InputError(f"a grid needs at least 1 interval, got {intervals}")
