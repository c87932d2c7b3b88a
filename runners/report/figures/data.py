"""What the data of several figures share: lines over cells, bands over seeds, and the words beside them. Nothing here draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from kancl.statistics import mean_interval
from kancl.text import counted
from runners.report.numbers import counts
from runners.report.thinning import fold
from runners.results.entry import Entry, grouped

BAND = (0.1, 0.9)
BAND_TOLD = f"line: median, band: {BAND[0]:.0%} to {BAND[1]:.0%} of seeds"
INTERVAL_TOLD = "mean and 95 % interval"


Lost = Callable[[str, Exception], object]
"""Hears the name of a figure that could not be drawn, and why."""


class Planned(NamedTuple):
    """A figure before anything of it is made.

    Args:
        name: of its files.
        data: makes its data.
        draw: makes a figure of them, with a :class:`runners.report.figures.look.Look` if one is given.
    """

    name: str
    data: Callable[[], Any]
    draw: Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Line:
    """A metric of the N cells of one contender, which has the looks of its architecture: mean over seeds and 95 % interval."""

    name: str
    architecture: str
    x: Float[np.ndarray, "N"]
    mean: Float[np.ndarray, "N"]
    low: Float[np.ndarray, "N"]
    high: Float[np.ndarray, "N"]


@dataclass(frozen=True, eq=False)
class Band:
    """A number at E places: a median, and the ends of a band around it."""

    x: Float[np.ndarray, "E"]
    low: Float[np.ndarray, "E"]
    middle: Float[np.ndarray, "E"]
    high: Float[np.ndarray, "E"]


@dataclass(frozen=True)
class ScoreAxis:
    """How an axis of scores is named; whether it is logarithmic, as those of errors are, or shows all from 0 to 1."""

    label: str
    logarithmic: bool
    share: bool = False


def line(name: str, x: Sequence[float], entries: Sequence[Entry], metric: str) -> Line:
    """Return a metric of cells at their places ``x``."""
    mean, low, high, _ = np.array([mean_interval(entry.metrics()[metric]) for entry in entries]).T
    return Line(name, entries[0].cell.architecture.name, np.array(x, dtype=float), mean, low, high)


def band(x: Float[np.ndarray, "E"], values: Float[np.ndarray, "S E"]) -> Band:
    """Return the median over the seeds of values at ``x``, and the quantiles :data:`BAND`."""
    return Band(x, *np.quantile(values, (BAND[0], 0.5, BAND[1]), axis=0))


def median(values: Float[np.ndarray, "S *rest"]) -> Float[np.ndarray, "*rest"]:
    """Return the line of :func:`band` alone."""
    return np.quantile(values, 0.5, axis=0)


def living(entry: Entry, values: Float[np.ndarray, "S *rest"]) -> Float[np.ndarray, "A *rest"]:
    """Return the values of the seeds that did not diverge; one row of NaN if every one did."""
    return values[entry.alive] if entry.alive.any() else np.full_like(values[:1], np.nan)


def null_of(entry: Entry) -> float:
    """Return what the best constant predictor reaches in the main score: mean over seeds and tasks."""
    return float(entry.result.null[entry.result.score].mean())


METRICS_SHOWN = {
    "learning_score": "learning {score}\n(each task, just learned)",
    "final_score": "final {score}\n(all tasks, at the end)",
    "forgetting": "forgetting\n(loss of {score} on earlier tasks)",
    "retention": "retention\n(share of what was learned)",
}
"""Metrics that have a panel, and what stands on its axis."""


def metric_axis(metric: str, entry: Entry) -> ScoreAxis:
    """Return the axis of one of :data:`METRICS_SHOWN`."""
    score = entry.result.score
    label = METRICS_SHOWN[metric].format(score=score_name(score))
    if metric == "retention":
        return ScoreAxis(label, False, share=True)
    errors = not entry.result.higher_is_better[score]
    return ScoreAxis(label, errors and metric != "forgetting", share=score == "accuracy" and metric != "forgetting")


def score_name(score: str) -> str:
    """Return a score as an axis names it.

    >>> score_name("rmse"), score_name("accuracy")
    ('RMSE', 'accuracy')
    """
    return score.upper() if score in ("rmse", "mse", "mae") else score


def score_label(entry: Entry) -> str:
    """Return the main score with its unit."""
    score = entry.result.score
    unit = "share of test samples" if score == "accuracy" else "units of the target" if score == "rmse" else "nats"
    return f"{score_name(score)} ({unit})"


def panel_titles(entries: Sequence[Entry], width: int = 34) -> tuple[list[str], str]:
    """Return what cells are called over their panels, in lines of so many characters, and what is the same for all of them.

    Returns:
        A title for each, and the policy if all have one; else that stands in the titles, and this is empty.
    """
    policies = {entry.labels["policy"] for entry in entries}
    shared = policies.pop() if len(policies) == 1 else ""
    titles = []
    for entry in entries:
        texts = [f"{entry.labels['architecture']}, {entry.labels['strategy']}"]
        titles.append("\n".join(fold(text, width) for text in (texts if shared else [*texts, entry.labels["policy"]])))
    return titles, shared


def names_of(entries: Sequence[Entry]) -> list[str]:
    """Return the architectures of cells, each with those words of its policy that tell it from others of the same name."""
    names = []
    for name, own in grouped(entries, lambda entry: entry.labels["architecture"]).items():
        shared = set.intersection(*(set(entry.words) for entry in own))
        names += [(entry.key, name, " ".join(word for word in entry.words if word not in shared)) for entry in own]
    told = {key: f"{name} ({words})" if words else name for key, name, words in names}
    if len(set(told.values())) < len(told):  # nothing but the rate tells them apart
        return [f"{entry.labels['architecture']} ({entry.labels['policy']})" for entry in entries]
    return [told[entry.key] for entry in entries]


def seeds_told(entries: Sequence[Entry], lost: bool = True) -> str:
    """Return how many seeds cells have, e.g. ``n = 16 seeds``, and how many of these are left out."""
    text = f"n = {counts([len(entry.cell.seeds) for entry in entries], 'seed')}"
    gone = sum(int((~entry.alive).sum()) for entry in entries)
    return f"{text}, {gone} diverged and left out" if lost and gone else text


def tasks_told(shown: int, tasks: int) -> str:
    """Return how many of the tasks are shown, e.g. ``8 of 1,000 tasks``; ``every task`` where all are."""
    return "every task" if shown == tasks else f"{shown} of {counted(tasks, 'task')}"


def short_name(name: str) -> str:
    """Return a task's name as a legend has room for it."""
    return name if len(name) <= 18 else name[:17] + "…"


def policy_but_rate(entry: Entry) -> str:
    """Return a cell's policy without its learning rate, which may be tuned for every cell."""
    return " ".join(entry.cell.policy.words(without="lr"))
