"""The class-incremental setting of the paper that compared KANs and MLPs most fairly so far."""

from pathlib import Path
from typing import Literal

from scenarios.classification.sequences import Order, split
from scenarios.data.features import Features
from scenarios.data.sources import load_data
from scenarios.registry import register
from scenarios.task import Scenario


@register("kanbefair")
def kanbefair(
    seed: int,
    data_root: Path,
    data: Literal["mnist", "fashion-mnist", "digits"] = "mnist",
    samples: int | None = None,
    features: Features = "pixels",
) -> Scenario:
    """Three tasks of three digits each, {0,1,2} {3,4,5} {6,7,8}, under one head of nine outputs.

    Yu et al., "KAN or MLP: a fairer comparison", arXiv 2407.16674, continual learning on MNIST. Reported there: the KAN (degree
    3, 5 intervals) forgets more than the MLP. The paper's optimiser is one Adam that is never reset: a policy, not part of the
    scenario: ``--optimizer adam --state keep``.

    Class-incremental without any means against forgetting: expect accuracy near 0 on the first two tasks for both, and the
    difference, if any, in how fast they fall.

    Args:
        data: the images; ``mnist`` and ``fashion-mnist`` are read from files, ``digits`` (8 x 8 pixels) ship in scikit-learn.
        samples: training samples per class, drawn by the seed; none for all.
        features: of images from files: ``pixels``, or the answers of frozen random filters (``random-conv``).
    """
    order: Order = tuple(range(9))
    return split(load_data(data, data_root), seed, classes_per_task=3, order=order, samples=samples, features=features)
