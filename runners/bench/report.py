"""What was measured, as JSON, as tables on the screen, and as Markdown between two marks of a document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group
from rich.text import Text

from kancl.text import counted
from runners.bench import PeerName
from runners.bench.goals import Goal
from runners.bench.memory import METHOD, Peak
from runners.measure.timing import Comparison
from runners.report.numbers import short, times
from runners.report.sheet import Column, Sheet, Words, as_markdown, framed, note_text

FORMAT = 1
MARKS = "<!-- kancl bench: begin -->", "<!-- kancl bench: end -->"
"""Between which a document has the tables."""


@dataclass(frozen=True)
class Report:
    """Everything that one call of ``kancl bench`` measured.

    Args:
        date: in UTC, ISO 8601.
        command: the options that the figures depend on.
        machine: versions, commit, processor; see :func:`runners.store.environment.environment`.
        peers: versions of the packages that took part.
        missing: those that were not here, and how to get them.
    """

    date: str
    command: Mapping[str, Any]
    machine: Mapping[str, Any]
    peers: Mapping[PeerName, str]
    missing: Mapping[PeerName, str]
    comparisons: Sequence[Comparison] = ()
    peaks: Sequence[Peak] = ()
    peaks_refused: Mapping[str, str] = field(default_factory=dict)
    goals: Sequence[Goal] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; times in seconds per step and network, memory in bytes."""
        comparisons = [
            {**asdict(c), "timings": [{**asdict(t), "iqr": t.iqr} for t in c.timings]} for c in self.comparisons
        ]  # fmt: skip
        return {
            "format": FORMAT,
            "date": self.date,
            "command": dict(self.command),
            "machine": dict(self.machine),
            "peers": dict(self.peers),
            "missing": dict(self.missing),
            "units": "seconds per step and network (median, and quartiles low and high, over the rounds); bytes",
            "comparisons": comparisons,
            "memory": {"method": METHOD, "peaks": list(map(asdict, self.peaks)), "refused": dict(self.peaks_refused)},
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
        }


def sheets(report: Report) -> Iterator[Sheet]:
    """Yield the tables: a contender per row, a shape per column; then memory and goals."""
    told = never_ran(report)
    for key in dict.fromkeys((c.group, c.threads) for c in report.comparisons):
        yield _timing_sheet([c for c in report.comparisons if (c.group, c.threads) == key], told)
    if report.peaks or report.peaks_refused:
        yield _memory_sheet(report)
    if report.goals:
        yield _goal_sheet(report.goals)


def never_ran(report: Report) -> dict[str, str]:
    """Return the contenders that could run on no shape at all, and why: said once, not under every table."""
    ran = {timing.name for comparison in report.comparisons for timing in comparison.timings}
    return {name: reason for name, reason in _refusals(report.comparisons).items() if name not in ran}


def _timing_sheet(comparisons: list[Comparison], told: Mapping[str, str]) -> Sheet:
    first = comparisons[0]
    timings = [timing for comparison in comparisons for timing in comparison.timings]
    names = dict.fromkeys(timing.name for timing in timings)
    rows = [[name, *(_cell(comparison, name) for comparison in comparisons)] for name in names]
    spread = max((timing.iqr / timing.median for timing in timings), default=0.0)
    rounds = max((timing.rounds for timing in timings), default=0)
    notes = [f"Medians of {rounds} rounds; the interquartile range is at most {spread:.0%} of the median."]
    notes += [f"{name}: {said}." for name in names if (said := _said(comparisons, name))]
    notes += [f"{name} left out: {said}" for name, said in _refusals(comparisons).items() if name not in told]
    in_brackets = "share of the" if first.shares else "times faster than"
    brackets = f"; in brackets: {in_brackets} {first.reference}" if len(names) > 1 else ""
    title = f"{first.group} ({first.unit}, {in_words(first.threads)}{brackets})"
    return _sheet(title, ["", *(comparison.case for comparison in comparisons)], rows, notes)


def _sheet(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> Sheet:
    first, *others = heads
    columns = (Column(first), *(Column(head, align="right") for head in others))
    return Sheet(title, columns, tuple(map(tuple, rows)), tuple(Words(note, "quiet") for note in notes))


def in_words(threads: int) -> str:
    """Return for example ``1 thread``."""
    return counted(threads, "thread")


def _said(comparisons: list[Comparison], name: str) -> str:
    """Return what has to be known of a contender."""
    return _in_short({c.case: timing.note for c in comparisons if (timing := c.timing(name)) and timing.note})


def _refusals(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return why contenders could not run, by their names."""
    names = dict.fromkeys(name for comparison in comparisons for name in comparison.refused)
    return {name: _in_short({c.case: c.refused[name] for c in comparisons if name in c.refused}) for name in names}


def _in_short(notes: Mapping[str, str]) -> str:
    """Write a note once if it is the same for all shapes, or for each.

    >>> _in_short({"[1,1]": "3 units", "[2,1]": "3 units"}), _in_short({"[1,1]": "3 units", "[2,1]": "4 units"})
    ('3 units', '3 units for [1,1], 4 units for [2,1]')
    """
    if len(set(notes.values())) == 1:
        return next(iter(notes.values()))
    return ", ".join(f"{note} for {case}" for case, note in notes.items())


def _cell(comparison: Comparison, name: str) -> str:
    timing = comparison.timing(name)
    if timing is None:
        return "–"
    text = short(timing.median * comparison.scale)
    ratio = comparison.times_faster(name, comparison.reference)
    if ratio is None or name == comparison.reference:
        return text
    return f"{text} ({1 / ratio:.0%})" if comparison.shares else f"{text} ({times(ratio)})"


def _memory_sheet(report: Report) -> Sheet:
    columns = ["", "peak MB", "of it gradients MB", "resident MB", "of a (B, I, G+K, O) tensor", "of a float per B I (K+1)"]
    rows = [
        [
            peak.name,
            *(short(size / 1e6) for size in (peak.peak, peak.gradients)),
            "–" if peak.resident is None else short(peak.resident / 1e6),
            f"{peak.peak / peak.full:.2%}",
            f"{(peak.peak - peak.gradients) / peak.basis:.2f}",
        ]
        for peak in report.peaks
    ]
    case = report.peaks[0].case if report.peaks else ""
    notes = [METHOD, "The last column is without the gradients."]
    told = never_ran(report)
    notes += [f"{name} not measured: {reason}" for name, reason in report.peaks_refused.items() if name not in told]
    return _sheet(f"memory of forward and backward above what was there before, {case}", columns, rows, notes)


def _goal_sheet(goals: Sequence[Goal]) -> Sheet:
    rows = [
        [
            goal.what,
            goal.where,
            f"{'at most' if goal.at_most else 'at least'} {times(goal.wanted)}",
            "not measured" if goal.measured is None else times(goal.measured),
            "–" if goal.met is None else "yes" if goal.met else "no",
        ]
        for goal in goals
    ]
    return _sheet("goals", ["ratio", "where", "wanted", "measured", "met"], rows, ["One thread; ratios of medians."])


def drawn(sheet: Sheet) -> Group:
    """Return the sheet for a terminal."""
    return Group(framed(sheet), *map(note_text, sheet.notes), Text())


def markdown(report: Report) -> str:
    """Return all tables for a document, under a line that says what they were made with."""
    machine = report.machine
    peers = ", ".join(f"{name} ({version})" for name, version in report.peers.items())
    lines = [
        f"Measured {report.date[:10]} on {machine['processor']} ({machine['cores']} cores){_gpu(report)}, "
        f"Python {machine['python']}, torch {machine['torch']}, kancl {machine['kancl']} at commit {machine['commit']}; "
        f"{peers}.",
        *(f"Not here, so left out: {name}." for name in report.missing),
        *(f"Not able to run here: {name} ({reason})." for name, reason in never_ran(report).items()),
    ]
    for sheet in sheets(report):
        lines += ["", f"### {sheet.title[0].upper()}{sheet.title[1:]}", "", as_markdown(sheet).rstrip("\n")]
        lines += ["", *map(str, sheet.notes)]
    return "\n".join(lines) + "\n"


def _gpu(report: Report) -> str:
    return f" with {report.machine['gpu']}" if report.command.get("device") == "cuda" else ""
