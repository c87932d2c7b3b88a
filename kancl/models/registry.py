"""The registry of architectures."""

from kancl.registry import Registry

architectures = Registry(
    "architecture",
    {
        "kan": "kancl.models.kan",
        "kan-chebyshev": "kancl.models.kan_chebyshev",
        "kan-fourier": "kancl.models.kan_fourier",
        "kan-rbf": "kancl.models.kan_rbf",
        "linear": "kancl.models.linear",
        "lookup": "kancl.models.lookup",
        "mlp": "kancl.models.mlp",
        "mlp-bspline": "kancl.models.mlp_bspline",
    },
)
