"""Stay near: the simplest regularisation against forgetting."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kancl.errors import InputError
from kancl.models import Network
from runners.strategies import State, Step, Strategy
from runners.stream import Samples


@dataclass(frozen=True)
class StayNear(Strategy):
    """Pull every parameter back to its value at the end of the previous task, all alike: strength / 2 |w - w_old|^2.

    Args:
        strength: of the pull; 0 is the naive strategy.
    """

    strength: float = 0.1

    def __post_init__(self) -> None:
        if self.strength < 0:
            raise InputError(f"strength must be at least 0, got {self.strength}")

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the pull on each seed; none during the first task."""
        held = [(p, state[name]) for name, p in step.network.named_parameters() if name in state]
        distances = [(p - old).square().flatten(1).sum(1) for p, old in held]
        return self.strength / 2 * sum(distances[1:], distances[0]) if distances else None

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Remember the parameters, each with the seed axis first."""
        return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
