"""More than two inputs: their first two principal components, the input in which tasks differ most, and the targets."""

import numpy as np

from runners.authoring.previews.common import (
    Shown,
    scalar,
    seen_part,
    shown_tasks,
    some,
    target_name,
    target_scale,
    task_legend,
)
from runners.report.drawing import Axes, Figure, MaxNLocator
from scenarios import Scenario

BINS = 30
FEW = 20
"""Different values up to which each has a point instead of a bin: bars on the same few places would hide each other."""
SMALL = 20
"""Classes up to which counts are written into the table of classes."""


def table_figure(scenario: Scenario) -> Figure:
    """Four panels: components by task and by target, one input's histogram for each task, and the tasks' targets."""
    tasks = shown_tasks(scenario)
    parts = [some(*seen_part(scenario, shown.task)) for shown in tasks]
    components, shares = _components([x for x, _ in parts])
    figure = Figure(figsize=(10.5, 7.4), layout="constrained")
    (by_task, by_target), (histogram, targets) = figure.subplots(2, 2)
    _draw_components(by_task, by_target, figure, scenario, tasks, components, [y for _, y in parts])
    for ax in (by_task, by_target):
        ax.set_xlabel(f"component 1 ({shares[0]:.0%} of the variance)")
        ax.set_ylabel(f"component 2 ({shares[1]:.0%})")
    _draw_histogram(histogram, tasks, [seen_part(scenario, shown.task)[0] for shown in tasks])
    if scenario.loss == "cross-entropy":
        _draw_counts(targets, figure, scenario, tasks)
    else:
        _draw_steps(targets, tasks, [scalar(scenario, shown, seen_part(scenario, shown.task)[1]) for shown in tasks])
        targets.set_xlabel(target_name(scenario))
        targets.set_title("targets of each task")
    task_legend(figure, tasks)
    return figure


def _components(inputs: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the first two principal components of all standardised inputs, by task, and their shares of the variance."""
    from sklearn.decomposition import PCA

    x = np.concatenate(inputs).astype(np.float64)
    width = x.std(0)
    x = (x - x.mean(0)) / np.where(width > 0, width, 1.0)
    if len(x) < 2 or not width.any():
        return [np.zeros((len(part), 2)) for part in inputs], np.zeros(2)
    fitted = PCA(2, random_state=0).fit(x)
    places = fitted.transform(x)
    return np.split(places, np.cumsum([len(part) for part in inputs])[:-1]), fitted.explained_variance_ratio_


def _draw_components(
    by_task: Axes, by_target: Axes, figure: Figure, scenario: Scenario, tasks: list[Shown],
    components: list[np.ndarray], targets: list[np.ndarray],
) -> None:  # fmt: skip
    scale = target_scale(scenario, tasks)
    places = np.concatenate(components)
    values = np.concatenate([scalar(scenario, shown, y) for shown, y in zip(tasks, targets, strict=True)])
    colours = np.concatenate([np.tile(shown.colour, (len(part), 1)) for shown, part in zip(tasks, components, strict=True)])
    order = np.random.default_rng(0).permutation(len(places))  # no task lies on top everywhere
    across, up = places[order].T
    by_task.scatter(across, up, s=8, c=colours[order], linewidths=0, alpha=0.8)
    by_target.scatter(across, up, s=8, c=values[order], cmap=scale.colours, norm=scale.norm, linewidths=0, alpha=0.8)
    by_task.set_title("principal components of the standardised inputs, by task")
    by_target.set_title(f"the same, by {scale.label}")
    scale.add_bar(figure, by_target)


def _draw_histogram(ax: Axes, tasks: list[Shown], inputs: list[np.ndarray]) -> None:
    """Draw the input whose means differ most between tasks, in units of its spread within them."""
    means = np.stack([x.mean(0) for x in inputs])
    within = np.stack([x.std(0) for x in inputs]).mean(0)
    number = int(np.argmax(means.std(0) / (within + 1e-12 + 1e-3 * np.abs(means).max())))
    _draw_steps(ax, tasks, [x[:, number] for x in inputs])
    ax.set_xlabel(f"input {number + 1} of {inputs[0].shape[1]}")
    ax.set_title("the input in which tasks differ most" if len(tasks) > 1 else "the first input")


def _draw_steps(ax: Axes, tasks: list[Shown], values: list[np.ndarray]) -> None:
    everything = np.concatenate(values)
    places = np.unique(everything)
    edges = np.histogram_bin_edges(everything, BINS).tolist()
    for shown, own in zip(tasks, values, strict=True):
        if len(places) <= FEW:
            share = [float((own == place).mean()) for place in places]
            ax.plot(places, share, color=shown.colour, marker="o", markersize=4, linewidth=1.0)
            continue
        ax.hist(own, edges, histtype="step", color=shown.colour, linewidth=1.4, weights=np.full(len(own), 1 / len(own)))
    ax.set_ylabel("share of the task's samples")


def _draw_counts(ax: Axes, figure: Figure, scenario: Scenario, tasks: list[Shown]) -> None:
    """Draw how many samples of each class every task has."""
    classes = scenario.outputs or 1
    counts = np.stack([np.bincount(seen_part(scenario, shown.task)[1], minlength=classes) for shown in tasks])
    image = ax.imshow(counts, cmap="cividis", vmin=0, aspect="auto", interpolation="nearest")
    if classes <= SMALL:
        for row, column in np.ndindex(*counts.shape):
            light = counts[row, column] > 0.6 * counts.max()
            ax.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color="k" if light else "w")
    ax.set_yticks(range(len(tasks)), [str(shown.number) for shown in tasks])
    ax.set_ylabel("task")
    ax.set_xlabel("class")
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    ax.spines[:].set_visible(False)
    ax.set_title("samples of each class")
    figure.colorbar(image, ax=[ax], label="training samples")
