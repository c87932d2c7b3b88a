"""How often verdicts on each metric are false where nothing differs, with seeds lost in several ways.

``python benchmarks/statistics/metrics.py`` draws both sides from one distribution, judges them with the function that ``kancl
compare`` uses, and prints the share of draws in which one side is said to be better. The numbers hang on numpy's generator
alone.
"""

from typing import get_args

import numpy as np

from kancl.contest import MetricName
from kancl.verdict import Contest, Learner, judge
from runners.report.numbers import fixed
from runners.report.sheet import Column, Sheet, as_markdown, figures

SEEDS, DRAWS = 10, 1000
LOST = {
    "no seed is lost": (),
    "each seed is lost with 10 %, on either side": ("random", "random"),
    "the first side loses its worst seed": ("worst",),
}
"""How seeds are lost, by side."""


def side(name: str, accuracy: bool, lost: str | None, draw: np.random.Generator) -> Learner:
    """Return a learner whose tasks were learned alike in all seeds, and kept to different degrees."""
    learning = 0.97 + draw.normal(0, 0.005, SEEDS) if accuracy else 0.01 * np.exp(draw.normal(0, 0.1, SEEDS))
    final = draw.beta(6, 4, SEEDS) if accuracy else np.exp(draw.normal(-2, 0.6, SEEDS))
    retention = draw.beta(5, 5, SEEDS)
    gone = np.zeros(SEEDS, dtype=bool)
    if lost == "random":
        gone = draw.random(SEEDS) < 0.1
    elif lost == "worst":
        gone[final.argmin() if accuracy else final.argmax()] = True
    forgetting = learning - final if accuracy else final - learning
    learning, learned, retention, forgetting, final = (
        np.where(gone, np.nan, values) for values in (learning, np.ones(SEEDS), retention, forgetting, final)
    )
    return Learner(name, tuple(range(SEEDS)), learning, learned, retention, forgetting, final)


def false_verdicts(metric: MetricName, accuracy: bool, lost: tuple[str, ...]) -> float:
    """Return the share of draws in which one of two equal learners is said to be better."""
    draw, found = np.random.default_rng(0), 0
    score = "accuracy" if accuracy else "rmse"
    first, second = (*lost, None, None)[:2]
    for _ in range(DRAWS):
        sides = side("first", accuracy, first, draw), side("second", accuracy, second, draw)
        (verdict,) = judge([Contest(*sides, 1.0, metric, score, accuracy)])
        found += verdict.outcome.favours != 0
    return found / DRAWS


def main() -> None:
    """Print the table."""
    columns = (Column("score"), Column("lost"), *(figures(f"{metric}, %") for metric in get_args(MetricName)))
    rows = [
        (
            "accuracy" if accuracy else "error",
            told,
            *(fixed(100 * false_verdicts(metric, accuracy, lost), 1) for metric in get_args(MetricName)),
        )
        for accuracy in (True, False)
        for told, lost in LOST.items()
    ]
    print(as_markdown(Sheet("", columns, tuple(rows))), end="")


if __name__ == "__main__":
    main()
