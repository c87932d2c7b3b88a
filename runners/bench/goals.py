"""The goals for speed: ratios that are wanted, and those that were measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runners.bench.kernel import GRID_BACKWARD, GRID_STEP
from runners.bench.memory import Peak
from runners.bench.plan import FULL
from runners.bench.step import FULL_BATCH, RUNNER, SHUFFLED, SINGLE, STACKED
from runners.bench.whole import NAIVE, OWN, WHOLE
from runners.measure.timing import Comparison

STEP = {"efficient-kan": (3.5, 8.0, 5.0, 5.0, 2.8), "pykan": (5.0, 15.0, 10.0, 18.0, 60.0)}
"""How many times faster one network's step has to be, for the five shapes in order."""
STACK = (100.0, 25.0, 7.0)
"""The same per network in a stack against efficient-kan one by one, for the first three shapes."""
LOCAL = ("kancl native", "kancl local")
"""Backends that read only the coefficients that matter at a point, the better one first."""


@dataclass(frozen=True)
class Goal:
    """A ratio that is wanted and what was measured, None if it was not.

    Args:
        what: the ratio, in words.
        where: the shape it was measured on.
        wanted: the bound.
        at_most: whether the bound is an upper one.
        measured: the ratio of medians.
    """

    what: str
    where: str
    wanted: float
    at_most: bool
    measured: float | None

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is reached; None if it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


def goals(comparisons: Sequence[Comparison], peaks: Sequence[Peak]) -> list[Goal]:
    """Judge what was measured with one thread; kancl's figures are those of its native backend where there is one."""
    measured = [comparison for comparison in comparisons if comparison.threads == 1]
    return [*_steps(measured), *_stacks(measured), *_runner(measured), *_whole(measured), *_growth(measured), *_memory(peaks)]


def gpu_goals(comparisons: Sequence[Comparison]) -> list[Goal]:
    """Judge what was measured on a GPU: stacks in kancl's runner beside efficient-kan, one by one, on the same GPU."""
    found = []
    for shape in FULL.stacked:
        comparison = _find(comparisons, f"{STACKED}: S {FULL.stack}", shape.label)
        ratio = comparison.times_faster(RUNNER, "efficient-kan") if comparison else None
        what = f"on the GPU, per network at S {FULL.stack}, {RUNNER} faster than efficient-kan one by one"
        found.append(Goal(what, shape.label, 10.0, False, ratio))
    return found


def own_name(comparison: Comparison | None) -> str:
    """Return kancl's contender in the plain loop: its native backend, or what ``auto`` takes while there is none."""
    return "kancl native" if comparison is not None and comparison.timing("kancl native") else "kancl auto"


def _own_names(comparison: Comparison | None) -> tuple[str, str]:
    """Return the contenders that stand for kancl: its own training loop, and its network in the loop of everybody else."""
    return RUNNER, own_name(comparison)


def _steps(measured: Sequence[Comparison]) -> Iterator[Goal]:
    for peer, wanted in STEP.items():
        for shape, bound in zip(FULL.shapes, wanted, strict=True):
            found = _find(measured, SINGLE, shape.label)
            for own in _own_names(found):
                ratio = found.times_faster(own, peer) if found else None
                yield Goal(f"training step, {own} faster than {peer}", shape.label, bound, False, ratio)


def _stacks(measured: Sequence[Comparison]) -> Iterator[Goal]:
    found = [_find(measured, f"{STACKED}: S {FULL.stack}", shape.label) for shape in FULL.stacked]
    for shape, bound, comparison in zip(FULL.stacked, STACK, found, strict=True):
        for own in _own_names(comparison):
            ratio = comparison.times_faster(own, "efficient-kan") if comparison else None
            what = f"per network at S {FULL.stack}, {own} faster than efficient-kan one by one"
            yield Goal(what, shape.label, bound, False, ratio)
    for shape, comparison in zip(FULL.stacked, found, strict=True):
        own = own_name(comparison)
        ratio = comparison.times_faster("mlp stack", own) if comparison else None
        yield Goal(f"step of {own} to step of MLPs with as many parameters, S {FULL.stack}", shape.label, 1.0, True, ratio)


def _runner(measured: Sequence[Comparison]) -> Iterator[Goal]:
    for group in (FULL_BATCH, SHUFFLED):
        ratios = {}
        for comparison in _all(measured, group):
            ratio = comparison.times_faster("bare loop", RUNNER)
            if ratio is not None:
                ratios[f"{comparison.group.rpartition(': ')[2]} {comparison.case}"] = ratio
        worst = max(ratios, key=lambda case: ratios[case], default="")
        yield Goal(f"time of {group}, the worst case", worst, 1.10, True, ratios.get(worst))


def _whole(measured: Sequence[Comparison]) -> Iterator[Goal]:
    runs = _all(measured, WHOLE)
    own, naive = ([run.timing(name) for run in runs] for name in (OWN, NAIVE))
    ratio = None
    if runs and None not in own and None not in naive:
        totals = [sum(t.median * run.scale for t, run in zip(side, runs, strict=True) if t) for side in (naive, own)]
        ratio = totals[0] / totals[1]
    where = "KAN and MLP, " + (runs[0].case.partition(", ")[2] if runs else f"{FULL.seeds} seeds")
    yield Goal("whole run of gaussian-peaks, kancl faster than avalanche Naive", where, 20.0, False, ratio)


def _growth(measured: Sequence[Comparison]) -> Iterator[Goal]:
    for group in (GRID_BACKWARD, GRID_STEP):
        for layer in FULL.sweep_layers:
            where = f"[{layer.widths[0]},{layer.widths[1]}] B{layer.batch}"
            first, last = (_find(measured, f"{group}: {where}", f"G {grid}") for grid in (FULL.grids[0], FULL.grids[-1]))
            name = next((name for name in LOCAL if last and last.timing(name)), LOCAL[0])
            pair = [end.timing(name) if end else None for end in (first, last)]
            ratio = pair[1].median / pair[0].median if pair[0] and pair[1] else None
            what = f"{group}: {name} at G {FULL.grids[-1]} to G {FULL.grids[0]}"
            yield Goal(what, where, 1.5, True, ratio)


def _memory(peaks: Sequence[Peak]) -> Iterator[Goal]:
    peak = next((p for name in LOCAL for p in peaks if p.name == name), None)
    name, where = (peak.name, peak.case) if peak else (LOCAL[0], FULL.memory.label)
    to_full = peak.peak / peak.full if peak else None
    to_basis = (peak.peak - peak.gradients) / peak.basis if peak else None
    yield Goal(f"peak of a step, {name}, to one tensor (B, I, G+K, O)", where, 1.0, True, to_full)
    what = f"peak of a step without gradients, {name}, to a float per non-zero basis value (B I (K+1))"
    yield Goal(what, where, 1.0, True, to_basis)


def _find(measured: Sequence[Comparison], group: str, case: str) -> Comparison | None:
    return next((c for c in measured if (c.group, c.case) == (group, case)), None)


def _all(measured: Sequence[Comparison], group: str) -> list[Comparison]:
    return [comparison for comparison in measured if comparison.group.startswith(group)]
