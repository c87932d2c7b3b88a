"""Pretraining: tasks that are learned together before the sequence begins.

It is a phase of its own with a known end: the strategy begins after it, row 0 of R is measured after it, and the optimiser's
state is carried out of it only where the policy keeps it from task to task. A schedule of the rate runs over it alone.
"""

from kancl.errors import InputError
from kancl.models import Network
from runners.config.policy import Policy
from runners.measure.record import PRETRAINING, Within
from runners.strategies import Strategy
from runners.stream.stream import Stream
from runners.training.logbook import Logbook, slices_of
from runners.training.phase import begin_pretraining, pretraining_steps
from runners.training.resume import go_on
from runners.training.training import Training


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


def pretrain(training: Training, log: Logbook, within: Within | None = None) -> None:
    """Train the networks on all samples of pretraining; the optimiser's state goes on only if the policy keeps it.

    Args:
        training: of a stream with pretraining.
        log: tells how far it is, and saves.
        within: a place that an earlier run came to.
    """
    steps = pretraining_steps(training.policy, training.stream)
    if within is None or within.phase != PRETRAINING:
        begun = begin_pretraining(training, steps)
    else:
        begun = begin_pretraining(training, steps, within.step)
        go_on(training, begun, within)
    for stop in sorted(slices_of(steps) | {steps}):
        while begun.done < stop:
            log.taken(begun.take_steps_until(stop, log.is_due), task=0)
            if begun.done < steps:
                log.pause(begun)
    if training.policy.state == "keep":
        training.learned = begun.learner.state_dict()
