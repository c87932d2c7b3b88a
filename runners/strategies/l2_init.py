"""L2 towards the initial parameters: a network that stays able to learn."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from kancl.models import Network
from kancl.models.tunable import tunable
from runners.config.policy import Policy
from runners.strategies.registry import strategies
from runners.strategies.strategy import State, Step, Strategy
from runners.strategies.tools.anchors import ANCHOR, check_parameters_stay, check_strength, named, quadratic_penalty, snapshot
from runners.stream.samples import Samples
from runners.stream.stream import Stream


@strategies.register("l2-init")
@tunable(strength=(1e-5, 1.0))
@dataclass(frozen=True)
class L2Init(Strategy):
    """Pull all parameters to their initial values, for plasticity (regenerative regularisation).

    L(theta) + strength / 2 * |theta - theta_0|^2 from the first step of the first task on, theta_0 being each seed's own
    initial parameters, or, where there was pretraining, those that it ended with. Kumar et al. 2023 (arXiv 2308.11958),
    section 4; the paper's lambda is strength / 2. It keeps nothing of old tasks: a parameter that the present task does not
    need goes back to where learning was easy.

    Args:
        strength: of the penalty, >= 0.
    """

    strength: float = 1e-3

    def __post_init__(self) -> None:
        check_strength(strength=self.strength)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse networks whose parameters change their meaning."""
        check_parameters_stay(network, stream)

    def begin_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Remember the initial parameters, as they are once the network knows its first task."""
        return state or named(ANCHOR, snapshot(network))

    def penalty(self, state: State, step: Step) -> Float[Tensor, "S"] | None:
        """Return the penalty."""
        return quadratic_penalty(state, step.network, self.strength)
