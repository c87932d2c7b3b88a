"""Learning-rate schedules: the rate of every step is a function of its number alone, so a run can go on at any of them."""

import math
from collections.abc import Callable, Iterator, Sequence

from runners.config.policy import Policy

FACTORS: dict[str, Callable[[float], float]] = {
    "constant": lambda part: 1.0,
    "cosine": lambda part: (1 + math.cos(math.pi * part)) / 2,
    "linear": lambda part: 1 - part,
}
"""What the learning rate is multiplied with when a part (0 to 1) of the schedule is over; cosine: Loshchilov and Hutter, SGDR
(arXiv 1608.03983), equation 5 with a smallest rate of 0."""


def factor(schedule: str, step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step, 0 to 1: the first step has the full rate.

    Args:
        schedule: one of :data:`FACTORS`.
        step: its number, from 0.
        steps: how many there are.

    >>> [factor("linear", step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    return FACTORS[schedule](step / steps)


def learning_rates(
    policy: Policy, step_counts: Sequence[int], phase: int, boundaries: bool = True, taken: int = 0
) -> Iterator[float] | None:
    """Return the learning rates of a phase's steps, or None where the rate never changes.

    Args:
        policy: its ``schedule_over`` tells whether the schedule starts again at every task or runs once over all.
        step_counts: the steps of every phase.
        phase: from 0.
        boundaries: whether phases are tasks; where they are not, nothing starts again.
        taken: steps of the phase that are over.
    """
    if policy.schedule == "constant":
        return None
    if policy.schedule_over == "task" and boundaries:
        first, total = 0, step_counts[phase]
    else:
        first, total = sum(step_counts[:phase]), sum(step_counts)
    return (policy.lr * factor(policy.schedule, step, total) for step in range(first + taken, first + step_counts[phase]))
