"""Random numbers inside a network, such as dropout's: they follow from the seed and the number of the draw.

The number of draws is a buffer, so it is saved with the weights. A seed then draws the same alone and in a stack of any size,
and a resumed run goes on where the other stopped.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.models.architecture import Problem
from kancl.seeding import generator


class Draws(nn.Module):
    """Random numbers for a stack of networks, each seed's from streams of its own: one for every draw.

    To be used in training alone: what is evaluated is to be one function.

    Args:
        problem: tells the seeds.
        purpose: names the streams; two parts of a network need two names.
    """

    def __init__(self, problem: Problem, purpose: str) -> None:
        super().__init__()
        self.purpose, self.stream = purpose, problem.stream
        self.seed: Tensor
        self.count: Tensor
        # Buffers, so that a network taken out of the stack knows its seed, and where it is.
        self.register_buffer("seed", torch.tensor(problem.seeds))
        self.register_buffer("count", torch.zeros(len(problem.seeds), dtype=torch.long))

    def forward(self, like: Float[Tensor, "S ..."], law: Literal["uniform", "normal"] = "uniform") -> Float[Tensor, "S ..."]:
        """Return numbers from U(0, 1) or N(0, 1), of the shape, type and place of ``like``; counts as one draw.

        Args:
            like: its values do not matter.
            law: ``uniform`` for U(0, 1), ``normal`` for N(0, 1).

        >>> from kancl.models import Problem
        >>> ends = torch.ones(2, 1)
        >>> stack, alone = (Draws(Problem(1, 1, seeds, ends, ends), "noise") for seeds in ((3, 5), (5,)))
        >>> bool(torch.equal(stack(torch.ones(2, 4))[1], alone(torch.ones(1, 4))[0]))
        True
        """
        draw = {"uniform": torch.rand, "normal": torch.randn}[law]
        named = zip(self.seed.tolist(), self.count.tolist(), strict=True)
        streams = [generator(seed, "draws", self.purpose, self.stream, count) for seed, count in named]
        self.count += 1
        return torch.stack([draw(like.shape[1:], generator=own, dtype=like.dtype) for own in streams]).to(like.device)


class Dropout(nn.Module):
    """Dropout for a stack of networks: in training each number is 0 with probability p, and 1 / (1 - p) times itself else.

    In place of ``torch.nn.Dropout``, whose masks no seed governs.

    Args:
        problem: tells the seeds.
        p: 0..1 without 1.
        purpose: names the masks' streams; two layers need two names.
    """

    def __init__(self, problem: Problem, p: float = 0.5, purpose: str = "dropout") -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise InputError(f"dropout's p must be a share >= 0 and below 1, got {p}")
        self.p = p
        self.draws = Draws(problem, purpose)

    def forward(self, x: Float[Tensor, "S ..."]) -> Float[Tensor, "S ..."]:
        """Drop numbers in training; return x itself in evaluation.

        Args:
            x: activations of any shape, the seed axis first.
        """
        if not self.training or not self.p:
            return x
        return x * (self.draws(x) >= self.p) / (1 - self.p)


def draws_numbers(network: nn.Module) -> bool:
    """Tell whether a network draws random numbers in training.

    Args:
        network: looked through for :class:`Draws`.
    """
    return any(isinstance(module, Draws) for module in network.modules())
