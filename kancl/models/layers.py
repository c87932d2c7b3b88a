"""The layers that architectures are made of, each for a stack of S networks."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.models.architecture import stacked, uniform
from kancl.splines import Backend, Grid, KnotGrid, UniformGrid, basis_matrix, refine, spline

MOST = 1 << 14
"""Coefficients per edge up to which a grid is refined."""


class StackedLinear(nn.Module):
    """y = x W + b for every seed; W and b from U(-1/sqrt(I), 1/sqrt(I)), as torch.nn.Linear draws them.

    Args:
        inputs, outputs: I and O.
        generators: one for each seed, of ``Problem.generators``.
        dtype: of the parameters, ``weight`` (S, I, O) and ``bias`` (S, 1, O).
    """

    def __init__(self, inputs: int, outputs: int, generators: list[torch.Generator], dtype: torch.dtype) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = stacked(generators, uniform(inputs, outputs, bound=bound, dtype=dtype))
        self.bias = stacked(generators, uniform(1, outputs, bound=bound, dtype=dtype))

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Apply layer s to batch s."""
        seeds, inputs, outputs = self.weight.shape
        if outputs == 1:  # stacked matrix products take up to 4x as long
            return torch.linalg.vecdot(x, self.weight.mT)[..., None] + self.bias
        if seeds == inputs == 1:  # torch rounds this product in another way than those of a stack: so it is one
            bias, x, weight = (tensor.expand(2, -1, -1) for tensor in (self.bias, x, self.weight))
            return torch.baddbmm(bias, x, weight)[:1]
        return torch.baddbmm(self.bias, x, self.weight)


class SplineLayer(nn.Module):
    """A KAN layer: y_o = sum_i scale_io spline_io(x_i) + base_io silu(x_i), plus bias_o; the last three are optional.

    KAN paper (arXiv 2404.19756), equation 2.10. Spline coefficients start as noise (u - 1/2) * noise / G with u from
    U(0, 1); pykan puts that noise on the values at the knots instead. Base weights start at U(-1, 1)/sqrt(I), scales at 1.

    Args:
        low, high: the grid range per seed and input.
        outputs: O.
        generators: one for each seed, of ``Problem.generators``.
        intervals: G.
        degree: K, 0 to 5.
        noise: size of the initial splines.
        base: whether there is a branch of silu(x_i) beside the splines.
        scales: whether every edge has a factor of its own.
        bias: whether every output has one.
        movable: hold the knots one by one, so that :meth:`refit_grid` can move them.
        backend: of :func:`kancl.splines.spline`.
    """

    def __init__(
        self,
        low: Float[Tensor, "S I"],
        high: Float[Tensor, "S I"],
        outputs: int,
        generators: list[torch.Generator],
        *,
        intervals: int,
        degree: int,
        noise: float,
        base: bool,
        scales: bool,
        bias: bool,
        movable: bool,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        seeds, inputs = low.shape
        dtype = low.dtype
        self.degree, self.intervals, self.backend = degree, intervals, backend
        grid = UniformGrid(low, high, intervals, degree)
        draw = uniform(inputs, grid.coefficients, outputs, bound=noise / (2 * intervals), dtype=dtype)
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.register_buffer("knots", grid.knots() if movable else None)
        self.knots: Tensor | None
        self._grid: tuple[list[int], Sequence[Tensor], Grid] | None = None
        self.coef = stacked(generators, draw)
        base_weights = stacked(generators, uniform(inputs, outputs, bound=inputs**-0.5, dtype=dtype)) if base else None
        self.register_parameter("base", base_weights)
        self.register_parameter("scale", nn.Parameter(torch.ones(seeds, inputs, outputs, dtype=dtype)) if scales else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(seeds, 1, outputs, dtype=dtype)) if bias else None)

    def grid(self) -> Grid:
        """Return the grid in use; made and checked anew only after a buffer has changed."""
        low, high, knots = self._buffers["low"], self._buffers["high"], self._buffers["knots"]
        assert low is not None
        assert high is not None
        buffers = (low, high) if knots is None else (knots,)
        if torch.compiler.is_compiling():  # a compiler follows neither versions nor checks of values
            return self._grid_of(buffers, check=False)
        if torch.is_inference_mode_enabled() or any(buffer.is_inference() for buffer in buffers):
            return self._grid_of(buffers, check=True)  # such tensors count no versions, and later training cannot use them
        versions = [buffer._version for buffer in buffers]
        if self._grid is None or self._grid[0] != versions or any(map(operator.is_not, self._grid[1], buffers)):
            made = self._grid_of([buffer.clone() for buffer in buffers], check=True)
            self._grid = (versions, buffers, made)
        return self._grid[2]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_grid": None}  # the buffers of a copy count their versions from 0

    def _grid_of(self, buffers: Sequence[Tensor], check: bool) -> Grid:
        if self.knots is not None:
            return KnotGrid(buffers[0], self.degree, check)
        coef = self._parameters["coef"]
        assert coef is not None
        # Not self.intervals: the layer can be called with the coefficients of another number of intervals put in.
        return UniformGrid(buffers[0], buffers[1], coef.shape[2] - self.degree, self.degree, check)

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Apply layer s to batch s."""
        own = self._parameters  # looking a parameter up as an attribute takes a tenth of a small layer's time
        coef, scale, bias = own["coef"], own["scale"], own["bias"]
        assert coef is not None
        y = spline(x, coef if scale is None else coef * scale[:, :, None], self.grid(), self.backend, base=own["base"])
        return y if bias is None else y + bias

    def usage(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B I C"]:
        """Return the value at each point of the basis function that belongs to each coefficient; see kancl.locality."""
        return basis_matrix(x, self.grid())

    def off_grid(self, x: Float[Tensor, "S B I"]) -> Bool[Tensor, "S B I"]:
        """Tell which points lie beyond the ends of the grid, where only the extension reaches."""
        knots = self.grid().knots()[:, None]
        low, high = knots[..., self.degree], knots[..., -1 - self.degree]
        return (x < low) | (x > high)

    @torch.no_grad()
    def refine_grid(self) -> None:
        """Halve all intervals by :func:`kancl.splines.refine`: the same function, of coefficients that are new parameters."""
        assert self.knots is None, "refine_grid needs a layer made with movable=False"
        grid = self.grid()
        assert isinstance(grid, UniformGrid)
        if 2 * grid.coefficients > MOST:
            raise InputError(
                f"refining once more would give {2 * grid.coefficients + self.degree} coefficients per edge, more than {MOST}: "
                "they double with every task; use fewer tasks, fewer intervals or another grid policy"
            )
        coef, fine = refine(self.coef, grid)
        self.resize(fine.intervals)
        self.coef.copy_(coef)
        self.low.copy_(fine.low)
        self.high.copy_(fine.high)

    def resize(self, intervals: int) -> None:
        """Make room for another number of intervals; what the coefficients are is then to be filled in."""
        old = self.coef
        shape = (*old.shape[:2], intervals + self.degree, old.shape[3])
        self.coef = nn.Parameter(old.new_zeros(shape), requires_grad=old.requires_grad)
        self.intervals = intervals
        self._grid = None

    def active_parameters(self) -> int:
        """Return how many trained numbers bear on one sample: K + 1 of the G + K coefficients of an edge, and all others."""
        idle = self.coef[0, :, self.degree + 1 :].numel() if self.coef.requires_grad else 0
        return sum(p[0].numel() for p in self.parameters() if p.requires_grad) - idle

    @torch.no_grad()
    def refit_grid(self, x: Float[Tensor, "S N I"], uniform_share: float = 0.02) -> None:
        """Move the grid to the samples, as pykan's ``update_grid_from_samples`` does.

        The new knots are the quantiles of the samples mixed with a uniform grid over their range; the coefficients are then
        fitted by least squares to the old spline at the samples, and only there: what it knew elsewhere is given up. A seed
        whose samples or outputs are not finite is left as it is.
        """
        assert self.knots is not None, "refit_grid needs a layer made with movable=True"
        old = basis_matrix(x, self.grid()).transpose(1, 2) @ self.coef  # (S, I, N, O): every edge's own spline
        finite = (x.isfinite().flatten(1).all(1) & old.isfinite().flatten(1).all(1))[:, None, None]
        x, old = x.where(finite, 0.0), old.where(finite[..., None], 0.0)
        ordered = x.sort(dim=1).values  # (S, N, I)
        place = torch.linspace(0, x.shape[1] - 1, self.intervals + 1, device=x.device).round().long()
        quantiles = ordered[:, place].transpose(1, 2)  # (S, I, G+1)
        first, last = quantiles[..., :1], quantiles[..., -1:]
        # Knots must increase also where all samples, or many of them, are one number.
        least = 4 * self.intervals * torch.finfo(x.dtype).eps / uniform_share
        width = torch.maximum(last - first, least * (1 + first.abs()))
        even = first + width * torch.linspace(0, 1, self.intervals + 1, dtype=x.dtype, device=x.device)
        inner = uniform_share * even + (1 - uniform_share) * quantiles
        step = torch.arange(1, self.degree + 1, dtype=x.dtype, device=x.device) * (width / self.intervals)
        knots = torch.cat([inner[..., :1] - step.flip(-1), inner, inner[..., -1:] + step], dim=-1)
        new = KnotGrid(knots, self.degree)
        basis = basis_matrix(x, new).transpose(1, 2)  # (S, I, N, C)
        # More coefficients than samples, or knots that no sample needs: the least-norm solution, in double for its rank.
        fit = torch.linalg.lstsq(basis.double(), old.double(), driver="gelsd" if x.device.type == "cpu" else None)
        self.coef.copy_(fit.solution.to(x.dtype).where(finite[..., None], self.coef))
        self.knots.copy_(knots.where(finite, self.knots))
