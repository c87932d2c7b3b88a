"""Scores of a stack of networks on the test samples of all tasks, in one batched forward pass."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from kancl.models import Network
from runners.samples import union
from runners.stream import Stream

CHUNK = 1 << 22
"""Numbers (seeds x samples x inputs) that go through the network at once: bounds the memory of an evaluation."""


Answers = Callable[[int], Mapping[str, Tensor] | None]
"""Gives the parameters that answer for a task; None where they are the network's own."""


class Evaluator:
    """Prepared once per run, since the test samples do not change."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.most = max(1, CHUNK // (len(stream.seeds) * stream.inputs))
        self.sizes = [samples.x.shape[1] for samples in stream.test]
        # All at once where that is little; else task by task, since to put them together would be to copy them.
        sets = [union(stream.test)] if sum(self.sizes) <= self.most else stream.test
        self.parts = [part for samples in sets for part in samples.x.split(self.most, dim=1)]

    @torch.no_grad()
    def scores(self, network: Network, answers: Answers = lambda task: None) -> dict[str, Float[np.ndarray, "S T"]]:
        """Return every score of every task, by name."""
        network.eval()  # for third-party networks that behave differently in training
        outputs = list(torch.cat([network(part) for part in self.parts], dim=1).split(self.sizes, dim=1))
        for task, samples in enumerate(self.stream.test):
            own = answers(task)
            if own is not None:
                chunks = samples.x.split(self.most, dim=1)
                outputs[task] = torch.cat([functional_call(network, dict(own), (chunk,)) for chunk in chunks], dim=1)
        network.train()
        columns: dict[str, list[Tensor]] = {name: [] for name in self.stream.objective.scores}
        for samples, part in zip(self.stream.test, outputs, strict=True):
            mask = self.stream.mask(samples.task)
            for name, score in self.stream.objective.scores.items():
                columns[name].append(score.compute(part, samples.y, None if mask is None else mask.expand_as(part)))
        return {name: torch.stack(values, 1).double().cpu().numpy() for name, values in columns.items()}

    @torch.no_grad()
    def function(self, network: Network) -> Float[np.ndarray, "S P O"] | None:
        """Return the outputs at the plotting points of a one-dimensional scenario."""
        x = self.stream.plot_x
        if x is None:
            return None
        network.eval()
        outputs = network(x.expand(len(self.stream.seeds), -1, -1)).cpu().numpy()
        network.train()
        return outputs


def evaluation_steps(steps: int, count: int) -> list[int]:
    """Return about ``count`` step numbers from 1 to ``steps``, evenly spaced on a log scale, the last one included.

    >>> evaluation_steps(100, 5)
    [1, 3, 10, 32, 100]
    """
    return sorted({round(steps ** (k / max(count - 1, 1))) for k in range(count)} | {steps})
