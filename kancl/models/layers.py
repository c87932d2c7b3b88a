"""The layers that architectures are made of, each for a stack of S networks."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kancl.models.architecture import stacked, uniform
from kancl.splines import Grid, KnotGrid, UniformGrid, basis_matrix, spline


class StackedLinear(nn.Module):
    """y = x W + b for every seed; W and b from U(-1/sqrt(I), 1/sqrt(I)), as torch.nn.Linear draws them."""

    def __init__(self, inputs: int, outputs: int, generators: list[torch.Generator], dtype: torch.dtype) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = stacked(generators, uniform(inputs, outputs, bound=bound, dtype=dtype))
        self.bias = stacked(generators, uniform(1, outputs, bound=bound, dtype=dtype))

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Apply layer s to batch s."""
        return torch.baddbmm(self.bias, x, self.weight)


class SplineLayer(nn.Module):
    """A KAN layer: y_o = sum_i scale_io spline_io(x_i) + base_io silu(x_i), plus bias_o; the last three are optional.

    KAN paper (arXiv 2404.19756), equation 2.10. Spline coefficients start as noise (u - 1/2) * noise / G with u from
    U(0, 1); pykan puts that noise on the values at the knots instead. Base weights start at U(-1, 1)/sqrt(I), scales at 1.

    Args:
        low, high: the grid range per seed and input.
        movable: hold the knots one by one, so that :meth:`refit_grid` can move them.
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
    ) -> None:
        super().__init__()
        seeds, inputs = low.shape
        dtype = low.dtype
        self.degree, self.intervals = degree, intervals
        grid = UniformGrid(low, high, intervals, degree)
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())
        self.register_buffer("knots", grid.knots() if movable else None)
        self.low: Tensor
        self.high: Tensor
        self.knots: Tensor | None
        bound = noise / (2 * intervals)
        self.coef = stacked(generators, uniform(inputs, grid.coefficients, outputs, bound=bound, dtype=dtype))
        self.base = stacked(generators, uniform(inputs, outputs, bound=inputs**-0.5, dtype=dtype)) if base else None
        self.scale = nn.Parameter(torch.ones(seeds, inputs, outputs, dtype=dtype)) if scales else None
        self.bias = nn.Parameter(torch.zeros(seeds, 1, outputs, dtype=dtype)) if bias else None

    def grid(self) -> Grid:
        """Return the grid in use."""
        if self.knots is not None:
            return KnotGrid(self.knots, self.degree)
        return UniformGrid(self.low, self.high, self.intervals, self.degree)

    def forward(self, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B O"]:
        """Apply layer s to batch s."""
        coef = self.coef if self.scale is None else self.coef * self.scale[:, :, None]
        y = spline(x, coef, self.grid())
        if self.base is not None:
            y = y + functional.silu(x) @ self.base
        return y if self.bias is None else y + self.bias

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
