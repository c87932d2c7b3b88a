"""The registry of architectures."""

from kancl.registry import Registry

architectures = Registry("architecture", {"kan": "kancl.models.kan", "mlp": "kancl.models.mlp"})
