"""Verdicts on stored results: which cells are compared, and the outcome as a tidy frame."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from kancl.contest import MetricName
from kancl.errors import InputError
from kancl.locality import explain_damage
from kancl.statistics import Interval
from kancl.verdict import Contest, Learner, Rules, Verdict, judge
from runners.measure.result import Result
from runners.results.entry import Entry
from runners.results.pairing import architecture_of, but_for_tuned, condition, named, pairs_of
from runners.results.results import Results

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
        return condition(self.first) == condition(self.second)

    @property
    def own_rates(self) -> bool:
        """Whether nothing but what tuning chooses tells them apart: the learning rate, and the strategy's tunable options."""
        return not self.same_policy and but_for_tuned(self.first) == but_for_tuned(self.second)

    @property
    def tuning(self) -> list[str]:
        """What the tuning of either side has to tell beside the verdict: the choices, ends of ranges, unequal plateaus."""
        told = []
        for entry in (self.first, self.second):
            if entry.tuning is not None:
                told += [f"{architecture_of(entry)}: {note}" for note in (f"tuned, {entry.tuning.said}", *entry.tuning.notes)]
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

    Only strategies that learn the tasks one after another, under which retention means something, are compared; which cells
    with which others, :func:`runners.results.pairing.pairs_of` says.

    Args:
        results: what :func:`runners.load` gives.
        against: compare with this architecture only, as there.
        rules: the bounds of the verdict.
        metric: what decides; for each scenario what :func:`metric_of` says if None.

    Raises:
        InputError: no architecture is called ``against``, or a bound makes no sense.
    """
    entries = [entry for entry in results.entries if "retention" in entry.result.metrics]
    if against is not None and not named(results.entries, against):
        known = ", ".join(dict.fromkeys(architecture_of(entry) for entry in results.entries))
        raise InputError(f"no architecture {against!r} to compare with is stored in {results.place}; there are: {known}")
    pairs = pairs_of(entries, against)
    learners = {entry.key: _learner(entry) for entry in entries}
    judged = judge([_contest(a, learners[a.key], learners[b.key], metric) for a, b in pairs], rules)
    return [
        Comparison(first, second, replace(verdict, explanation=_explanation(first, second)))
        for (first, second), verdict in zip(pairs, judged, strict=True)
    ]


def _explanation(first: Entry, second: Entry) -> str | None:
    """Return in words where the damage of each side came from, as far as it was recorded."""
    told = []
    for entry in (first, second):
        record = entry.result.locality
        if record is not None:
            parts, damage = record.final_ledger()
            living = np.where(entry.alive, damage, np.nan)
            told.append(f"{architecture_of(entry)}: {explain_damage(parts, living, drift_parts=record.final_drift())}")
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
        name=architecture_of(entry),
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
