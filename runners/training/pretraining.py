"""Pretraining: tasks that are learned together before the sequence begins.

It is a phase of its own with a known end: the strategy begins after it, row 0 of R is measured after it, and the optimiser's
state is carried out of it only where the policy keeps it from task to task. A schedule of the rate runs over it alone.
"""

from collections.abc import Callable

from kancl.errors import InputError
from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies import Strategy
from runners.stream.stream import Stream
from runners.training.phase import begin_pretraining
from runners.training.training import Training


def pretraining_steps(policy: Policy, stream: Stream) -> int:
    """Return the steps of pretraining: the sum of what the policy gives each of its tasks."""
    if stream.pretrain is None:
        return 0
    counts = stream.pretrain.task.unique(return_counts=True)[1].tolist()
    return sum(map(policy.steps_per_task, counts))


def check_pretraining(strategy: Strategy, network: Network, stream: Stream, policy: Policy, name: str) -> None:
    """See that pretraining reaches what is measured.

    Args:
        strategy: for which there may be a pretraining.
        network: any of the cell's.
        stream: the scenario.
        policy: tells whether state is kept.
        name: of the strategy, for messages.

    Raises:
        InputError: the strategy throws away what was pretrained, or state is to be kept for parameters that change shape.
    """
    if stream.pretrain is None:
        return
    if any(map(strategy.starts_anew, range(len(stream.train)))):
        raise InputError(
            f"strategy {name} starts tasks with fresh networks, which would throw away what was learned in pretraining; leave "
            "out the strategy or the pretraining"
        )
    if network.grows and policy.state == "keep":
        raise InputError(
            "the network has other parameters after pretraining, so no state of the optimiser can be kept; use state=reset"
        )


def pretrain(training: Training, slices: int, tell: Callable[[int], None]) -> None:
    """Train the networks on all samples of pretraining; the optimiser's state goes on only if the policy keeps it.

    Args:
        training: of a stream with pretraining.
        slices: parts after which progress is told.
        tell: hears how many steps were taken since it last heard.
    """
    steps = pretraining_steps(training.policy, training.stream)
    begun, size = begin_pretraining(training, steps), max(1, steps // slices)
    for done in range(0, steps, size):
        tell(begun.take_steps_until(min(done + size, steps)))
    if training.policy.state == "keep":
        training.learned = begun.learner.state_dict()
