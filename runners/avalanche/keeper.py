"""When a seed that avalanche trains is saved, and how it goes on from there."""

import time
from collections.abc import Callable
from typing import Any

import torch

from kancl.errors import one_line
from kancl.models import Network
from runners.measure.record import MisfitError, Pauses, Record, Saved, Stopped, Within
from runners.training.resume import restore_network

UNKNOWN = (
    "nobody knows what this strategy of avalanche's carries from step to step (its attribute carried is None): a run that is "
    "stopped begins the seed anew that it trains"
)


class Keeper:
    """Counts the seconds of a seed, and saves it between two steps.

    Args:
        save: called with the place.
        pauses: when to save, and whether to stop.
        before: seconds that the seed took in earlier runs.
    """

    def __init__(self, save: Callable[[Saved], None], pauses: Pauses, before: float) -> None:
        self.save, self.pauses, self.before = save, pauses, before
        self.began = time.perf_counter()
        self.due = self.began + pauses.every

    @property
    def seconds(self) -> float:
        """The seconds that the seed took until now."""
        return self.before + time.perf_counter() - self.began

    def pause(self, place: Callable[[], Within | None]) -> None:
        """Save after a step, if it is time to.

        Args:
            place: gives it, or None where the seed could not go on from it.

        Raises:
            Stopped: somebody asked for it; if the seed will begin anew, it says so.
        """
        asked = self.pauses.asked()
        if not asked and time.perf_counter() < self.due:
            return
        within = place()
        if within is not None:
            within.record.seconds = self.seconds
            self.save(within)
        self.due = time.perf_counter() + self.pauses.every
        if asked:
            raise Stopped(*([] if within else [UNKNOWN]))


def place_of(
    phase: int,
    step: int,
    network: Network,
    optimizer: Any,
    record: Record,
    durations: list[float],
    carried: dict[str, Any],
) -> Within:
    """Return a place inside a seed.

    Args:
        phase: the task in training, from 0.
        step: taken in it.
        network: a stack of one.
        optimizer: torch's.
        record: of the seed.
        durations: seconds of the steps that were timed.
        carried: what else the seed goes on with.
    """
    state = {"durations": torch.tensor([durations], dtype=torch.float64), **carried}
    return Within(phase, step, network.state_dict(), optimizer.state_dict(), state, record)


def restore(within: Within, network: Network, optimizer: Any) -> None:
    """Put a network and its optimiser to what was saved of them.

    Raises:
        MisfitError: that was of others.
    """
    restore_network(network, within.network, room=False)
    try:
        optimizer.load_state_dict(within.learner)
    except Exception as error:
        raise MisfitError(f"holds the state of another optimiser than the cell's ({one_line(error)})") from error
