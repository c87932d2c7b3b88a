"""The local backend: reads only the K + 1 coefficients that matter at each point, so its cost does not grow with G."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from kancl.splines.dense import spread
from kancl.splines.grid import Grid


def evaluate(
    x: Float[Tensor, "S B I"], coef: Float[Tensor, "S I C O"], grid: Grid, base: Float[Tensor, "S I O"] | None = None
) -> Float[Tensor, "S B O"]:
    """Return the same as the dense backend: rows of the coefficients, gathered and summed with the basis values as weights."""
    y = _gathered(x, coef, grid)
    return spread(y if base is None else y + functional.silu(x) @ base, coef, base)


def _gathered(x: Tensor, coef: Tensor, grid: Grid) -> Tensor:
    index, values = grid.basis(x)  # (S, B, I, K+1)
    seeds, batch, inputs, near = index.shape
    outputs = coef.shape[-1]
    lanes = torch.arange(seeds * inputs, device=x.device).view(seeds, 1, inputs, 1)
    rows = lanes * grid.coefficients + index
    if outputs == 1:  # embedding_bag is slow for rows of one number
        return torch.linalg.vecdot(coef.flatten()[rows].flatten(2), values.flatten(2))[..., None]
    if batch == 0:  # and refuses to sum nothing
        return (coef.reshape(-1, outputs)[rows] * values[..., None]).sum((2, 3))
    shape = (seeds * batch, inputs * near)
    summed = functional.embedding_bag(
        rows.reshape(shape), coef.reshape(-1, outputs), mode="sum", per_sample_weights=values.reshape(shape)
    )
    return summed.view(seeds, batch, outputs)
