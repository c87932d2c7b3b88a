"""The trials of a tuning, carried out: work like any other, several at a time where an executor does so."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from kancl.metrics import METRICS
from runners.choices.plans import Plan
from runners.config.cell import Cell
from runners.experiment.executors.choose import settled
from runners.experiment.executors.executor import SERIAL, Ears, Terms
from runners.experiment.executors.job import Desk, Job, Receipt
from runners.experiment.executors.registry import make_executor
from runners.experiment.executors.schedule import carry_out
from runners.experiment.listener import Listener
from runners.measure.result import Result
from runners.stream.cache import StreamCache
from runners.trackers import Tracking

BY = {"learning": "learning_score", "final": "final_score"}
EVALUATIONS = 2

Ended = tuple[dict[str, Any], dict[str, Any]]
"""What the record of a tuning keeps of the metric, and what of a trial."""


@dataclass(frozen=True)
class Bench:
    """Where trials are run.

    Args:
        device: to train on.
        streams: those of the command.
        terms: how trials are spread over processes or machines.
        tell: hears lines about them.
    """

    device: str = "cpu"
    streams: StreamCache = field(default_factory=StreamCache)
    terms: Terms = SERIAL
    tell: Callable[[object], None] = lambda line: None


@dataclass(frozen=True)
class Try:
    """A trial: its number, from 1, what is tried, and the cell with it."""

    number: int
    trial: dict[str, Any]
    cell: Cell


def run_trials(tries: Sequence[Try], plan: Plan, listener: Listener, bench: Bench) -> Generator[Ended, None, None]:
    """Run trials on the seeds of all choices, and yield in their order what is kept of each.

    Args:
        tries: no two of the same values.
        plan: of the tuning.
        listener: hears of them.
        bench: where they are run. Where it is not said how many at a time, the first tells whether more are worth it.
    """
    rest = list(tries)
    if bench.terms.jobs is None and len(rest) > 1:
        began = time.perf_counter()
        yield from _run(rest[:1], plan, listener, bench, replace(bench.terms, executor="serial", jobs=1))
        seconds, rest = time.perf_counter() - began, rest[1:]
        yield from _run(rest, plan, listener, bench, settled(bench.terms, len(rest), bench.device, lambda: seconds * len(rest)))
    elif rest:
        yield from _run(rest, plan, listener, bench, settled(bench.terms, len(rest), bench.device, lambda: 0.0))


def _run(tries: Sequence[Try], plan: Plan, listener: Listener, bench: Bench, terms: Terms) -> Generator[Ended, None, None]:
    keep, numbers, jobs = partial(measured, by=plan.by), dict[str, int](), list[list[Job]]()
    for one in tries:
        blocks = bench.streams.parts(one.cell, plan.seeds)
        parts = [replace(one.cell, seeds=seeds, evaluations=EVALUATIONS, content={}) for seeds in blocks]
        jobs.append([Job(cell, None, bench.device, terms.threads, every=math.inf, keep=keep) for cell in parts])
        numbers |= {cell.key: one.number for cell in parts}
    ears = Ears(lambda job, progress: listener.progress(job.cell, progress), bench.tell)
    desk = Desk(bench.streams, Tracking())
    ended: dict[str, Receipt] = {}

    def begin(job: Job) -> None:
        listener.begin_cell(job.cell, numbers[job.cell.key], plan.trials)

    waiting = list(zip(tries, jobs, strict=True))
    with make_executor(terms, ears, desk) as executor:
        for receipt in carry_out([job for own in jobs for job in own], executor, begin):
            listener.end_cell(receipt.job.cell, receipt.said if receipt.kept is None else receipt.kept["said"])
            ended[receipt.job.cell.key] = receipt
            while waiting and all(job.cell.key in ended for job in waiting[0][1]):
                one, own = waiting.pop(0)
                yield _kept(one.trial, [ended.pop(job.cell.key) for job in own])


def _kept(trial: Mapping[str, Any], receipts: Sequence[Receipt]) -> Ended:
    """Return what is kept of a trial that was run in parts, seeds after seeds."""
    facts: dict[str, Any] = {}
    found: dict[str, Any] = {"score": None, "per_seed": [], "retained": []}
    for receipt in receipts:
        outcome = {"error": receipt.said} if receipt.kept is None else dict(receipt.kept)
        outcome.pop("said", None)
        for name in ("per_seed", "retained"):
            found[name] += outcome.pop(name, None) or [None] * len(receipt.job.cell.seeds)
        facts |= {name: outcome.pop(name) for name in ("metric", "gap") if name in outcome}
        found |= outcome
    if all(value is not None for value in found["per_seed"]):
        found["score"] = float(np.mean(found["per_seed"]))
    return facts, {**trial, **found}


def measured(result: Result, by: str) -> dict[str, Any]:
    """Return what the record keeps of a trial that ended; where the strategy gives the metric no sense, of the other one."""
    metric = BY[by] if BY[by] in result.metrics else next(m for m in BY.values() if m != BY[by])
    per_seed = result.per_seed()
    values = per_seed[metric]
    title = METRICS[metric].title.format(score=result.score)
    up, null = result.higher_is_better[result.score], result.null[result.score]
    finite = values[np.isfinite(values)]
    lost = len(values) - len(finite)
    said = f"done, as a trial: {title} {finite.mean():.4g}" if len(finite) else "as a trial"
    return {
        "metric": title,
        "gap": float(np.abs((1.0 if up else 0.0) - null).mean()),
        "higher_is_better": up,
        "per_seed": _plain(values),
        "retained": _plain(per_seed["retention"]),
        "said": said + (f", {lost} of {len(values)} seeds diverged" if lost else ""),
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
