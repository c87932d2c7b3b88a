"""How a learner treats the past: the hooks that the training loop calls, in the order in which it calls them.

State is explicit: a dictionary of tensors, each with the seed axis first, that ``start`` makes, ``end_task`` replaces, and
the store saves. A strategy object itself holds only its options.
"""

from jaxtyping import Float
from torch import Tensor

from kancl.models import Network
from runners.stream import Samples, Stream

State = dict[str, Tensor]


class Strategy:
    """Hooks of the training loop; the defaults make the naive strategy."""

    metrics: tuple[str, ...] | None = None
    """The metrics that mean something under this strategy; None for all."""

    boundaries: bool = True
    """Whether phases are tasks: only then is the optimiser reset, and the network told, when a phase begins."""

    def data_of(self, phase: int, tasks: int) -> range:
        """Return the tasks, from 0, whose training samples are seen in a phase."""
        return range(phase, phase + 1)

    def starts_anew(self, phase: int) -> bool:
        """Tell whether a phase begins with freshly initialised networks."""
        return False

    def start(self, network: Network, stream: Stream) -> State:
        """Return the state before the first task."""
        return {}

    def penalty(self, state: State, network: Network) -> Float[Tensor, "S"] | None:
        """Return what is added to each seed's loss at every step, or None."""
        return None

    def after_step(self, state: State, network: Network) -> None:
        """Act after every optimiser step; may change the state's tensors in place."""

    def end_task(self, state: State, network: Network, samples: Samples, phase: int) -> State:
        """Return the state for the next task."""
        return state
