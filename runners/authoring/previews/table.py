"""More than two inputs: their first two principal components, the input in which tasks differ most, and the targets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from runners.authoring.previews.common import (
    Targets,
    labels_of,
    scalar,
    seen_part,
    shown_tasks,
    some,
    target_name,
    targets_of,
)
from runners.report.palette import task_colours
from scenarios import Scenario

if TYPE_CHECKING:
    from runners.report.drawing import Axes, Figure

BINS = 30
FEW = 20
"""Different values up to which each has a point instead of a bin: bars on the same few places would hide each other."""
SMALL = 20
"""Classes up to which counts are written into the table of classes."""


@dataclass(frozen=True, eq=False)
class Steps:
    """How often numbers occur in each task.

    Args:
        title, label: over the panel, and along it.
        values: by task.
        places: the different values, if they are few.
    """

    title: str
    label: str
    values: tuple[np.ndarray, ...]
    places: np.ndarray | None


@dataclass(frozen=True, eq=False)
class TableData:
    """Four views of tasks with many inputs.

    Args:
        tasks: what a legend calls them.
        components: the first two principal components of the standardised inputs of N points.
        shares: of the variance, of each component.
        task: which task each point is of, from 0.
        values: the points' targets.
        targets: what these are.
        inputs: the input in which tasks differ most.
        counts: samples of each class in each task, (T, C), where there are classes; else how often targets occur.
    """

    tasks: tuple[str, ...]
    components: Float[np.ndarray, "N 2"]
    shares: Float[np.ndarray, "2"]
    task: Int[np.ndarray, "N"]
    values: np.ndarray
    targets: Targets
    inputs: Steps
    counts: Int[np.ndarray, "T C"] | Steps


def table_data(scenario: Scenario) -> TableData:
    """Return components by task and by target, one input's histogram for each task, and the tasks' targets."""
    tasks = shown_tasks(scenario)
    whole = [seen_part(scenario, shown.task) for shown in tasks]
    parts = [some(*part) for part in whole]
    components, shares = _components(np.concatenate([x for x, _ in parts]))
    task = np.repeat(np.arange(len(parts)), [len(x) for x, _ in parts])
    values = np.concatenate([scalar(scenario, shown, y) for shown, (_, y) in zip(tasks, parts, strict=True)])
    order = np.random.default_rng(0).permutation(len(task))  # no task lies on top everywhere
    if scenario.loss == "cross-entropy":
        counts: np.ndarray | Steps = np.stack([np.bincount(y, minlength=scenario.outputs or 1) for _, y in whole])
    else:
        own = [scalar(scenario, shown, y) for shown, (_, y) in zip(tasks, whole, strict=True)]
        counts = _steps("targets of each task", target_name(scenario), own)
    return TableData(
        tasks=labels_of(tasks),
        components=components[order],
        shares=shares,
        task=task[order],
        values=values[order],
        targets=targets_of(scenario, tasks),
        inputs=_most_different([x for x, _ in whole]),
        counts=counts,
    )


def _components(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components of the standardised inputs, and their shares of the variance."""
    from sklearn.decomposition import PCA

    x = inputs.astype(np.float64)
    width = x.std(0)
    x = (x - x.mean(0)) / np.where(width > 0, width, 1.0)
    if len(x) < 2 or not width.any():
        return np.zeros((len(x), 2)), np.zeros(2)
    fitted = PCA(2, random_state=0).fit(x)
    return fitted.transform(x), fitted.explained_variance_ratio_


def _most_different(inputs: list[np.ndarray]) -> Steps:
    """Return the input whose means differ most between tasks, in units of its spread within them."""
    means = np.stack([x.mean(0) for x in inputs])
    within = np.stack([x.std(0) for x in inputs]).mean(0)
    number = int(np.argmax(means.std(0) / (within + 1e-12 + 1e-3 * np.abs(means).max())))
    title = "the input in which tasks differ most" if len(inputs) > 1 else "the first input"
    return _steps(title, f"input {number + 1} of {inputs[0].shape[1]}", [x[:, number] for x in inputs])


def _steps(title: str, label: str, values: list[np.ndarray]) -> Steps:
    places = np.unique(np.concatenate(values))
    return Steps(title, label, tuple(values), places if len(places) <= FEW else None)


def draw_table(data: TableData) -> "Figure":
    """Draw the four views as panels."""
    from runners.authoring.previews.looks import task_legend
    from runners.report.drawing import Figure

    figure = Figure(figsize=(10.5, 7.4), layout="constrained")
    (by_task, by_target), (histogram, targets) = figure.subplots(2, 2)
    _draw_components(by_task, by_target, figure, data)
    _draw_steps(histogram, data.inputs)
    if isinstance(data.counts, Steps):
        _draw_steps(targets, data.counts)
    else:
        _draw_counts(targets, figure, data.counts)
    task_legend(figure, data.tasks)
    return figure


def _draw_components(by_task: "Axes", by_target: "Axes", figure: "Figure", data: TableData) -> None:
    from runners.authoring.previews.looks import target_scale

    scale = target_scale(data.targets)
    across, up = data.components.T
    colours = np.array(task_colours(len(data.tasks)))[data.task]
    by_task.scatter(across, up, s=8, c=colours, linewidths=0, alpha=0.8)
    by_target.scatter(across, up, s=8, c=data.values, cmap=scale.colours, norm=scale.norm, linewidths=0, alpha=0.8)
    by_task.set_title("principal components of the standardised inputs, by task")
    by_target.set_title(f"the same, by {scale.label}")
    scale.add_bar(figure, by_target)
    for ax in (by_task, by_target):
        ax.set_xlabel(f"component 1 ({data.shares[0]:.0%} of the variance)")
        ax.set_ylabel(f"component 2 ({data.shares[1]:.0%})")


def _draw_steps(ax: "Axes", steps: Steps) -> None:
    edges = np.histogram_bin_edges(np.concatenate(steps.values), BINS).tolist()
    for own, colour in zip(steps.values, task_colours(len(steps.values)), strict=True):
        if steps.places is not None:
            share = [float((own == place).mean()) for place in steps.places]
            ax.plot(steps.places, share, color=colour, marker="o", markersize=4, linewidth=1.0)
            continue
        ax.hist(own, edges, histtype="step", color=colour, linewidth=1.4, weights=np.full(len(own), 1 / len(own)))
    ax.set_ylabel("share of the task's samples")
    ax.set_xlabel(steps.label)
    ax.set_title(steps.title)


def _draw_counts(ax: "Axes", figure: "Figure", counts: np.ndarray) -> None:
    """Draw how many samples of each class every task has."""
    from runners.report.drawing import MaxNLocator

    image = ax.imshow(counts, cmap="cividis", vmin=0, aspect="auto", interpolation="nearest")
    if counts.shape[1] <= SMALL:
        for row, column in np.ndindex(*counts.shape):
            light = counts[row, column] > 0.6 * counts.max()
            ax.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color="k" if light else "w")
    ax.set_yticks(range(len(counts)), [str(number + 1) for number in range(len(counts))])
    ax.set_ylabel("task")
    ax.set_xlabel("class")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    ax.spines[:].set_visible(False)
    ax.set_title("samples of each class")
    figure.colorbar(image, ax=[ax], label="training samples")
