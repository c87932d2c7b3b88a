"""Pretraining: tasks that are learned together before the sequence begins.

It is a phase of its own with a known end: the strategy begins after it, row 0 of R is measured after it, and the optimiser's
state is carried out of it only where the policy keeps it from task to task. A schedule of the rate runs over it alone.
"""

from collections.abc import Callable
from typing import Any

from kancl.errors import InputError
from kancl.models import Network
from runners.config.policy import Policy
from runners.strategies import Strategy
from runners.stream.batches import batches
from runners.stream.stream import Stream
from runners.training.learners import make_learner
from runners.training.schedule import learning_rates


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


def pretrain(network: Network, policy: Policy, stream: Stream, slices: int, tell: Callable[[int], None]) -> Any:
    """Train the networks on all samples of pretraining; return the optimiser's state if it is to be kept, else None.

    Args:
        network: trained in place.
        policy: as for every task.
        stream: one with pretraining.
        slices: parts after which progress is told.
        tell: hears how many steps were taken since it last heard.
    """
    assert stream.pretrain is not None
    samples, steps = stream.pretrain, pretraining_steps(policy, stream)
    network.begin_task(samples.x)
    learner = make_learner(network, policy, stream.objective, Strategy(), {}, stream.operator)
    learner.rates = learning_rates(policy, [steps], 0)
    source, size = batches(stream, samples, policy.batch_size, "pretrain"), max(1, steps // slices)
    for done in range(0, steps, size):
        part = min(size, steps - done)
        learner.take_steps(source, part)
        tell(part)
    return learner.state_dict() if policy.state == "keep" else None
