"""What the edges of a network compute: functions of one input each, of which a layer's outputs are the sums.

An edge leads from input i of a layer to its output o. In the layers of a KAN its function is learned; in a linear layer it is
w_io x_i. What a layer adds to the sums, a bias, belongs to no edge.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from kancl.models.edge_basis import BasisLayer
from kancl.models.layers import SplineLayer, StackedLinear
from kancl.parts import in_parts
from kancl.splines import basis_matrix

EdgeLayer = SplineLayer | BasisLayer | StackedLinear
"""The layers whose outputs are sums over edges."""


@torch.no_grad()
def edge_outputs(layer: EdgeLayer, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S B I O"]:
    """Return phi_io(x_i) of every edge; summed over i, plus the bias if there is one, they are the layer's outputs.

    KAN paper (arXiv 2404.19756), equation 2.5: y_o = sum_i phi_io(x_i). Of all samples at once it takes B I O numbers, so that
    large layers are asked part by part.

    Args:
        layer: of S networks, with I inputs and O outputs.
        x: its inputs.
    """
    if isinstance(layer, StackedLinear):
        return x[..., None] * layer.weight[:, None]
    scale = layer._parameters.get("scale")
    coef = layer.coef if scale is None else layer.coef * scale[:, :, None]
    basis = basis_matrix(x, layer.grid()) if isinstance(layer, SplineLayer) else layer.usage(x)
    y = torch.einsum("sbic,sico->sbio", basis, coef)
    base = layer._parameters["base"]
    return y if base is None else y + functional.silu(x)[..., None] * base[:, None]


def edge_spread(layer: EdgeLayer, x: Float[Tensor, "S B I"]) -> Float[Tensor, "S I O"]:
    """Return the standard deviation of every edge's output over samples: how much an edge tells these apart.

    sqrt(sum_b (phi_io(x_bi) - mean_b phi_io)^2 / (B - 1)), as pykan's ``edge_actscale``, by which ``plot(metric="forward_u")``
    fades edges. A constant function has 0, whatever its size: what it adds to an output any other edge could add.

    Args:
        layer: of S networks.
        x: at least two samples of its inputs.
    """
    mean = torch.stack([part.sum(1, dtype=torch.float64) for part in _in_parts(layer, x)]).sum(0) / x.shape[1]
    squares = torch.stack([(part.double() - mean[:, None]).square().sum(1) for part in _in_parts(layer, x)]).sum(0)
    return (squares / (x.shape[1] - 1)).sqrt()


@torch.no_grad()
def edges_at(
    layer: EdgeLayer, x: Float[Tensor, "S B I"], inputs: Sequence[int], outputs: Sequence[int]
) -> Float[Tensor, "S B E"]:
    """Return phi_io(x_i) of E edges.

    Args:
        layer: of S networks.
        x: its inputs.
        inputs, outputs: i and o of each edge.
    """
    return torch.cat([part[:, :, list(inputs), list(outputs)] for part in _in_parts(layer, x)], 1)


def _in_parts(layer: EdgeLayer, x: Tensor) -> Iterator[Tensor]:
    """Yield the edges' outputs for parts of the samples."""
    numbers = layer.weight[0].numel() if isinstance(layer, StackedLinear) else layer.coef[0].numel()
    for part in in_parts(x, len(x) * numbers):
        yield edge_outputs(layer, part)
