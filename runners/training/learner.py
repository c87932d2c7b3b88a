"""Which learner takes a stack of networks through its steps."""

from runners.strategies import State
from runners.training.graphs import GraphedLearner, can_be_recorded
from runners.training.steps import Learner, Lesson, SeedwiseLearner, StackedLearner


def make_learner(lesson: Lesson, state: State) -> Learner:
    """Return a learner with fresh optimiser state.

    Args:
        lesson: the networks, and how they are taught.
        state: the strategy's, current for the phase to come.
    """
    if lesson.policy.row.searches:
        return SeedwiseLearner(lesson, state)
    return GraphedLearner(lesson, state) if can_be_recorded(lesson) else StackedLearner(lesson, state)
