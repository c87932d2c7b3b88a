"""What a verdict is asked about: two learners, the metric that decides between them, and what is known of its values."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from kancl.metrics import PerSeed

MetricName = Literal["retention", "final", "forgetting", "learning"]
"""The metrics that a verdict may be about, as ``kancl compare --metric`` takes them."""
Reach = tuple[float, float]
"""The least and the largest value that a seed can have."""


@dataclass(frozen=True)
class Judged:
    """A metric that a verdict may be about.

    Args:
        key: its name among :data:`kancl.metrics.METRICS`.
        title: how it is called, with the score's name in it.
        higher_is_better: its direction; None where it is the score's own.
        of_what_was_learned: whether it tells what became of what was learned, so that it means something only for learners that
            learned, and learned alike.
        accuracies: its reach where the score is an accuracy, 0 to 1.
        errors: its reach where the score is an error, which has no upper bound.
    """

    key: str
    title: str
    higher_is_better: bool | None
    of_what_was_learned: bool
    accuracies: Reach
    errors: Reach


JUDGED: dict[MetricName, Judged] = {
    "retention": Judged("retention", "retention", True, True, (0.0, 1.0), (0.0, 1.0)),
    "final": Judged("final_score", "final {score}", None, False, (0.0, 1.0), (0.0, math.inf)),
    "forgetting": Judged("forgetting", "forgetting", False, True, (-1.0, 1.0), (-math.inf, math.inf)),
    "learning": Judged("learning_score", "learning {score}", None, False, (0.0, 1.0), (0.0, math.inf)),
}
"""The metrics of :data:`MetricName`. A retention above 1 (a task that got better later) is possible, but not counted on."""
assert tuple(JUDGED) == get_args(MetricName)


@dataclass(frozen=True, eq=False)
class Learner:
    """What was measured of one side of a comparison, one value per seed.

    Args:
        name: how reasons name it.
        seeds: the seeds, all different.
        learning: learning score in its own unit; NaN for a seed that diverged or did not finish, here and below.
        learned: share of tasks learned, 0 to 1.
        retention: retention; NaN also where nothing but the last task was learned.
        forgetting: forgetting; positive is a loss.
        final: final score in its own unit.
        choices: for each seed the number of the choice (of a rate, say) that it rests on; None where nothing was chosen.
    """

    name: str
    seeds: tuple[int, ...]
    learning: PerSeed
    learned: PerSeed
    retention: PerSeed
    forgetting: PerSeed
    final: PerSeed
    choices: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Contest:
    """Two learners on the same tasks, and what is asked of them.

    Args:
        first, second: the two.
        gap: between the null score and the perfect score there (mean over tasks and seeds), which scales the difference of
            learning scores.
        metric: what decides.
        score: the name of the main score, such as accuracy.
        higher_is_better: the score's direction: an accuracy, or else an error.
    """

    first: Learner
    second: Learner
    gap: float
    metric: MetricName = "retention"
    score: str = "score"
    higher_is_better: bool = True

    @property
    def judged(self) -> Judged:
        """The metric that decides."""
        return JUDGED[self.metric]

    @property
    def names(self) -> tuple[str, str]:
        """How the two are called."""
        return self.first.name, self.second.name

    @property
    def title(self) -> str:
        """How the metric is called here, such as ``final accuracy``."""
        return self.judged.title.format(score=self.score)

    @property
    def more_is_better(self) -> bool:
        """Whether a larger value of the metric is better."""
        own = self.judged.higher_is_better
        return self.higher_is_better if own is None else own

    @property
    def reach(self) -> Reach:
        """The least and the largest value that a seed can have."""
        return self.judged.accuracies if self.higher_is_better else self.judged.errors
