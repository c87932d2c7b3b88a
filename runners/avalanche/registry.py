"""The strategies that the avalanche runner drives, and those that it does not."""

from kancl.errors import InputError
from kancl.registry import Registry

MODULES = {
    "baselines": ("cumulative", "from-scratch", "joint", "naive"),
    "penalties": ("ewc", "lwf", "mas", "rwalk", "si"),
    "projections": ("agem", "gem"),
    "memories": ("der", "er-ace", "gdumb", "mir", "replay"),
}

avalanche_strategies = Registry(
    "avalanche-strategy", {name: f"runners.avalanche.{module}" for module, names in MODULES.items() for name in names}
)

NOT_DRIVEN = {
    "ar1": "it comes with a network of its own (MobileNet)",
    "bic": "it adds bias layers to the outputs of a network of a class of its own",
    "cope": "it compares normalised embeddings with prototypes, and needs a network that gives embeddings",
    "cwr-star": "it copies the weights of a last torch.nn.Linear, which these networks do not have",
    "er-aml": "it needs a network that is split into features and a classifier",
    "expert-gate": "it comes with networks of its own (AlexNet and autoencoders)",
    "feature-replay": "it needs a network that is split into features and a classifier",
    "generative-replay": "it trains a generator of pictures beside the network",
    "gss-greedy": "it replays the empty places of its memory, zeros with class 0, until the memory is full",
    "icarl": "it classifies by the nearest mean of features, and needs a network that is split into features and a classifier",
    "l2p": "it prompts a pretrained vision transformer",
    "lamaml": "it needs the package higher, which is no longer maintained",
    "lfl": "it needs a network with get_features and a last torch.nn.Linear",
    "mer": "it takes several optimiser steps for each batch, so a policy's steps would not be counted",
    "packnet": "it prunes torch.nn modules of a class of its own",
    "pnn": "it comes with a network of its own, a column for each task",
    "rar": "it traces the network with torch.fx to find a layer of features",
    "scr": "it needs a network that gives normalised embeddings, and classifies by the nearest mean",
    "slda": "it needs a network that is split into fixed features and a classifier",
}
"""Avalanche's other strategies, by the names that they would have, and why they are not driven."""


def check_driven_name(name: str) -> None:
    """Refuse a strategy of avalanche's that is known and not driven.

    Raises:
        InputError: why it is not.
    """
    reason = NOT_DRIVEN.get(name.lower().replace("_", "-"))
    if reason is not None:
        raise InputError(f"the avalanche runner does not drive {name}: {reason}; kancl list strategies shows what it drives")
