"""Figures over many cells: does size cure forgetting, does overlap explain it, and what does a scenario's option do?"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from kancl.models.matching import DEFAULT_OPTIONS
from kancl.options import parse_spec
from runners.report.drawing import Axes, Drawing, Figure, LogLocator, NullFormatter, StrMethodFormatter, named
from runners.report.figures.dial_plots import dial_figures
from runners.report.figures.panels import PANELS, draw_line, label_scores, policy_but_rate, seeds_of, styles
from runners.report.thinning import NAMES, evenly, heading, legend_below
from runners.results.entry import Entry
from runners.results.mechanism import Mechanism, mechanisms
from runners.results.results import Results

BARS = 60
"""Old tasks up to which a point has its spread."""
SIZES = 3
"""Different sizes that an architecture needs for a curve against size."""


def summary_figures(results: Results) -> Iterator[Drawing]:
    """Yield names and what makes the figures: scores against size and against options of the scenario, for families of three
    values and more, and overlap against loss."""
    for (scenario, strategy), families in _families(results).items():
        yield f"{scenario}-{strategy}-size", partial(size_figure, scenario, strategy, families)
    yield from dial_figures(results)
    for mechanism in mechanisms(results):
        yield f"{mechanism.scenario}-{mechanism.strategy}-overlap", partial(overlap_figure, mechanism)


def _families(results: Results) -> dict[tuple[str, str], dict[str, list[Entry]]]:
    """Return, by scenario and strategy, the entries of each architecture and optimiser that come in several sizes."""
    found: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    for entry in results.entries:
        group = found.setdefault((entry.labels["scenario"], entry.labels["strategy"]), {})
        group.setdefault(_family(entry), []).append(entry)
    for key, group in found.items():
        kept = {name: own for name, own in group.items() if len({entry.result.parameters for entry in own}) >= SIZES}
        found[key] = {name: sorted(own, key=lambda entry: entry.result.parameters) for name, own in kept.items()}
    return {key: group for key, group in found.items() if group}


def _family(entry: Entry) -> str:
    """Return what cells have in common that differ in size alone: everything but widths, numbers of functions, and the rate."""
    cell = entry.cell
    said = parse_spec(cell.asked["architecture"]).options
    rest = ",".join(f"{key}={value}" for key, value in sorted(said.items()) if key not in DEFAULT_OPTIONS)
    return f"{cell.architecture.name}{':' if rest else ''}{rest}, {policy_but_rate(entry)}"


def size_figure(scenario: str, strategy: str, families: dict[str, list[Entry]]) -> Figure:
    """Learning score, final score and retention against the number of parameters: mean and 95 % interval over seeds."""
    first = next(iter(families.values()))[0]
    shown = [name for name in PANELS if name in first.result.metrics]
    figure = Figure(figsize=(3.6 * len(shown), 3.9), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for ax, metric in zip(axes, shown, strict=True):
        for (name, entries), style in zip(families.items(), styles(len(families)), strict=True):
            draw_line(ax, [entry.result.parameters for entry in entries], entries, metric, name, style)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if metric != "retention":
            _null_line(ax, first)
        ax.set_xlabel("parameters")
        label_scores(ax, metric, first)
    legend_below(figure, *axes[0].get_legend_handles_labels())
    seeds = seeds_of([entry for entries in families.values() for entry in entries])
    heading(figure, f"{scenario}, {strategy}: does size cure forgetting?", f"{seeds}; mean and 95 % interval")
    return figure


def _null_line(ax: Axes, entry: Entry) -> None:
    null = float(entry.result.null[entry.result.score].mean())
    ax.axhline(null, color="0.35", linewidth=0.8, linestyle=":", zorder=0)
    ax.annotate(
        "best constant", (1, null), xycoords=("axes fraction", "data"), fontsize=7, color="0.35", ha="right", va="bottom"
    )


def overlap_figure(mechanism: Mechanism) -> Figure:
    """What is lost of each old task against the mass that it shares with later ones; a point is the mean over seeds."""
    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    ax = figure.subplots()
    looks, many = styles(len(mechanism.entries)), mechanism.shared.shape[2] > BARS
    few = [mechanism.entries[place] for place in evenly(len(mechanism.entries), NAMES)]
    names = {entry.cell.key: named(_name(entry, mechanism.entries)) for entry in few}
    for entry, shared, lost, style in zip(mechanism.entries, mechanism.shared, mechanism.lost, looks, strict=True):
        x, y, spread = _over_seeds(np.mean, shared), _over_seeds(np.mean, lost), _over_seeds(np.std, lost)
        marks = {key: value for key, value in style.items() if key != "linestyle"}
        size, alpha = (2.5, 0.5) if many else (5, 0.85)
        bars = None if many else spread
        ax.errorbar(x, y, bars, label=names.get(entry.cell.key), linestyle="none", markersize=size, alpha=alpha, **marks)
    slope = mechanism.slope
    if slope.slope.n > 1:
        ends = np.array(mechanism.seen)
        text = f"slope {slope.slope.mean:.2f} [{slope.slope.low:.2f}, {slope.slope.high:.2f}]"
        ax.plot(ends, slope.intercept + slope.slope.mean * ends, color="0.3", linewidth=1, label=text)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("shared mass: largest overlap with a later task, mean over layers")
    ax.set_ylabel(f"lost share of what was gained ({'mean' if many else 'mean and SD'} over seeds)")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right center", fontsize=7)
    n = len(mechanism.entries[0].cell.seeds)
    what = f"{mechanism.scenario}, {mechanism.strategy}: does overlap explain forgetting?"
    unnamed = len(mechanism.entries) - len(few)
    more = f"{unnamed:,} networks, between the others in colour, are not named" if unnamed else ""
    heading(figure, what, f"a point per network and old task, n = {n} seeds", more)
    return figure


def _over_seeds(summary: Callable[[np.ndarray], float], values: np.ndarray) -> np.ndarray:
    """Return a summary of each column's finite values, NaN where there are none."""
    return np.array([summary(v[np.isfinite(v)]) if np.isfinite(v).any() else np.nan for v in values.T])


def _name(entry: Entry, among: Sequence[Entry]) -> str:
    """Return the architecture, with those words of its policy that tell it from others of the same name."""
    name = entry.labels["architecture"]
    policies = [other.labels["policy"].split() for other in among if other.labels["architecture"] == name]
    shared = set.intersection(*map(set, policies))
    own = [word for word in entry.labels["policy"].split() if word not in shared and not word.startswith("lr=")]
    return f"{name} ({' '.join(own)})" if own else name
