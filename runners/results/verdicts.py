"""Verdicts on stored results: which cells are compared, and the outcome as a tidy frame."""

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
import pandas as pd

from kancl.contest import MetricName
from kancl.errors import InputError
from kancl.locality import explain_damage
from kancl.models.tunable import tunables_of
from kancl.options import Spec, parse_spec
from kancl.statistics import Interval
from kancl.verdict import Contest, Learner, Rules, Verdict, judge
from runners.measure.result import Result
from runners.results.entry import Entry, grouped
from runners.results.results import Results
from runners.run import RUNNERS

REFERENCE = "mlp"
"""The architecture that the others are compared with where it was run and no other is asked for."""

COLUMNS = {"sides": "value"}
"""How :func:`frame` calls what a verdict calls otherwise."""


@dataclass(frozen=True)
class Comparison:
    """Two cells of one scenario and strategy with different architectures, and the verdict on the first against the second."""

    first: Entry
    second: Entry
    verdict: Verdict

    @property
    def same_policy(self) -> bool:
        """Whether both were trained in the same way; if not, a difference may come from that."""
        return _condition(self.first) == _condition(self.second)

    @property
    def own_rates(self) -> bool:
        """Whether nothing but what tuning chooses tells them apart: the learning rate, and the strategy's tunable options."""
        return not self.same_policy and _but_for_tuned(self.first) == _but_for_tuned(self.second)

    @property
    def tuning(self) -> list[str]:
        """What the tuning of either side has to tell beside the verdict: the choices, ends of ranges, unequal plateaus."""
        told = []
        for entry in (self.first, self.second):
            if entry.tuning is not None:
                told += [f"{_architecture(entry)}: {note}" for note in (f"tuned, {entry.tuning.said}", *entry.tuning.notes)]
        return told


def metric_of(result: Result) -> MetricName:
    """Return what a verdict is about where nothing else is asked for: final scores where tasks are classes of one head.

    There a network that is trained on some classes answers with these alone, so that without a memory of the old ones retention
    is 0 for everybody; elsewhere it is retention.
    """
    return "final" if result.setting == "class" else "retention"


def compare(
    results: Results, against: str | None = None, rules: Rules | None = None, metric: MetricName | None = None
) -> list[Comparison]:
    """Return the verdicts on all pairs of architectures of each scenario and strategy; one family for Holm's correction.

    Only strategies that learn the tasks one after another, under which retention means something, are compared. A cell is
    paired with the other architecture's of the same policy; if there is none, with those of another learning rate, or of other
    tunable options of the strategy, as after tuning; if there is none either, with all.

    Args:
        results: what :func:`runners.load` gives.
        against: compare with this architecture only: its label (``mlp:hidden=20``) or else its name (``mlp``). If None it is
            ``mlp`` where that was run; elsewhere every pair is compared.
        rules: the bounds of the verdict.
        metric: what decides; for each scenario what :func:`metric_of` says if None.

    Raises:
        InputError: no architecture is called ``against``, or a bound makes no sense.
    """
    entries = [entry for entry in results.entries if "retention" in entry.result.metrics]
    if against is not None and not _named(results.entries, against):
        known = ", ".join(dict.fromkeys(_architecture(entry) for entry in results.entries))
        raise InputError(f"no architecture {against!r} to compare with is stored in {results.place}; there are: {known}")
    groups = grouped(entries, lambda entry: (entry.labels["scenario"], f"{entry.cell.runner} {_strategy(entry)}"))
    pairs = [pair for group in groups.values() for pair in _pairs(group, against)]
    learners = {entry.key: _learner(entry) for entry in entries}
    judged = judge([_contest(a, learners[a.key], learners[b.key], metric) for a, b in pairs], rules)
    return [
        Comparison(first, second, replace(verdict, explanation=_explanation(first, second)))
        for (first, second), verdict in zip(pairs, judged, strict=True)
    ]


def _strategy(entry: Entry) -> str:
    """Return the strategy but for what tuning chooses for each architecture by itself."""
    said = parse_spec(entry.cell.asked["strategy"])
    tuned: Container[str] = ()
    if ".py:" in said.name:  # results may be anybody's, and no code is run that they name
        tuned = re.findall(r"([^\s=]+)=", entry.tuning.said) if entry.tuning else ()
    else:
        with suppress(InputError):  # of a package that is not there any more
            tuned = tunables_of(RUNNERS[entry.cell.runner].strategies.get(said.name))
    return Spec(said.name, {key: value for key, value in said.options.items() if key not in tuned}).label


def _explanation(first: Entry, second: Entry) -> str | None:
    """Return in words where the damage of each side came from, as far as it was recorded."""
    told = []
    for entry in (first, second):
        record = entry.result.locality
        if record is not None:
            parts, damage = record.final_ledger()
            living = np.where(entry.alive, damage, np.nan)
            told.append(f"{_architecture(entry)}: {explain_damage(parts, living, drift_parts=record.final_drift())}")
    return "; ".join(told) or None


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return one row per comparison.

    ``metric`` is what decided and ``value`` what the two reached in it; ``difference`` and ``forgetting_difference`` are
    ``architecture`` minus ``against``; an interval takes three columns, ``name``, ``name_low`` and ``name_high``; of seeds that
    were dropped or lost the columns hold the number. The effect size is infinite (null in JSON) where all seeds differ by the
    same amount. ``outcome`` is one of :class:`kancl.verdict.Outcome`; ``blocks`` independent observations were there, and
    ``needed`` are needed for any verdict of this family.
    """
    rows = []
    for comparison in comparisons:
        first, second, verdict = comparison.first, comparison.second, comparison.verdict
        row: dict[str, object] = {
            **{label: first.labels[label] for label in ("scenario", "strategy", "architecture")},
            "against": second.labels["architecture"],
            "against_strategy": second.labels["strategy"],
            "policy": first.labels["policy"],
            "against_policy": second.labels["policy"],
            "same_policy": comparison.same_policy,
            "score": first.result.score,
            "n": verdict.difference.n,
        }
        for field in fields(verdict):
            row |= _columns(COLUMNS.get(field.name, field.name), getattr(verdict, field.name))
        row |= {"tuning": "; ".join(comparison.tuning) or None, "cell": first.key, "against_cell": second.key}
        rows.append(row)
    return pd.DataFrame(rows)


def _columns(name: str, value: object) -> dict[str, object]:
    if isinstance(value, Interval):
        return {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
    if isinstance(value, tuple) and all(isinstance(seed, int) for seed in value):
        return {name: len(value)}
    if isinstance(value, tuple):
        first, second = value
        return {**_columns(name, first), **_columns(f"against_{name}", second)}
    return {name: value if not hasattr(value, "value") else str(value)}


def _pairs(group: list[Entry], against: str | None) -> Iterator[tuple[Entry, Entry]]:
    """Yield which cells of one scenario and strategy are compared."""
    cells = grouped(group, _architecture)
    labels = list(cells)
    references = _named(group, against or REFERENCE)
    if references:
        wanted = [(label, reference) for label in labels if label not in references for reference in references]
    else:
        wanted = list(combinations(labels, 2)) if against is None else []
    for first, second in wanted:
        yield from _matched(cells[first], cells[second])


def _matched(own: list[Entry], other: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield for each of one architecture's cells those of the other's that are most like it in how they were trained."""
    for a in own:
        mates = [b for b in other if not set(a.cell.seeds).isdisjoint(b.cell.seeds)] or other
        for condition in (_condition, _but_for_rate, _but_for_tuned):
            if alike := [b for b in mates if condition(a) == condition(b)]:
                mates = alike
                break
        yield from ((a, b) for b in mates)


def _named(entries: Sequence[Entry], name: str) -> list[str]:
    """Return the labels that a name stands for: that very label, else all variants of the architecture."""
    labels = dict.fromkeys(_architecture(entry) for entry in entries)
    if name in labels:
        return [name]
    return list(dict.fromkeys(_architecture(entry) for entry in entries if entry.cell.architecture.name == name))


def _architecture(entry: Entry) -> str:
    return entry.labels["architecture"]


def _condition(entry: Entry) -> tuple[object, ...]:
    values = () if entry.tuning is None else tuple(entry.tuning.values_of(seed) for seed in entry.cell.seeds)
    tuned = values if len(set(values)) > 1 else ()
    return entry.cell.policy, entry.cell.dtype, entry.labels["strategy"], tuned


def _but_for_rate(entry: Entry) -> tuple[object, ...]:
    return replace(entry.cell.policy, lr=1.0), entry.cell.dtype, entry.labels["strategy"]


def _but_for_tuned(entry: Entry) -> tuple[object, ...]:
    return replace(entry.cell.policy, lr=1.0), entry.cell.dtype


def _contest(entry: Entry, first: Learner, second: Learner, metric: MetricName | None) -> Contest:
    result = entry.result
    higher = result.higher_is_better[result.score]
    return Contest(first, second, _gap(entry), metric or metric_of(result), result.score, higher)


def _learner(entry: Entry) -> Learner:
    """Return one side; seeds of a tuning whose cells failed are lost, since who is left may hang on what was chosen."""
    tuning, values, seeds = entry.tuning, entry.metrics(), entry.result.seeds
    failed = () if tuning is None or tuning.once is not None else tuple(sorted(set(tuning.choice) - set(seeds)))

    def whole(metric: str) -> np.ndarray:
        return np.append(values[metric], np.full(len(failed), np.nan))

    return Learner(
        name=_architecture(entry),
        seeds=(*seeds, *failed),
        learning=whole("learning_score"),
        learned=whole("learned"),
        retention=whole("retention"),
        forgetting=whole("forgetting"),
        final=whole("final_score"),
        choices=None if tuning is None else tuple(map(tuning.choice_of, (*seeds, *failed))),
    )


def _gap(entry: Entry) -> float:
    """Return the gap between the null score and the perfect one (accuracy 1, error 0): mean over seeds and tasks."""
    result = entry.result
    perfect = 1.0 if result.higher_is_better[result.score] else 0.0
    return float(np.abs(perfect - result.null[result.score]).mean())
