"""The avalanche runner: the seeds of a cell one after another, each from the stack's own initial weights."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from kancl import options
from kancl.models import cost_of, take_seed
from runners.avalanche.data import stream_of_seed
from runners.avalanche.keeper import Keeper
from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.seed_run import SeedRun
from runners.avalanche.strategies import remarks_on
from runners.avalanche.strategy import AvalancheStrategy
from runners.config.cell import Cell
from runners.measure.evaluate import thinned_remark
from runners.measure.record import (
    NEVER,
    Checkpoint,
    Keep,
    Pauses,
    Progress,
    Record,
    Saved,
    Stopped,
    Within,
    kept_nowhere,
    result_of,
)
from runners.measure.result import Result
from runners.stream.stream import Stream
from runners.training.networks import build_network
from scenarios.avalanche.incoming import own_randomness
from scenarios.avalanche.loading import import_avalanche

EQUALS_NAIVE = "equals naive"
"""The remark on a result whose strategy never did anything about the past."""


def run_avalanche_cell(
    cell: Cell,
    stream: Stream,
    resume: Saved | None = None,
    save: Callable[[Saved], None] = lambda saved: None,
    tell: Callable[[Progress], None] = lambda progress: None,
    measured: Callable[[Record], None] = lambda record: None,
    pauses: Pauses = NEVER,
    keep: Keep = kept_nowhere,
) -> Result:
    """Train a cell seed by seed; see :func:`runners.run.run_cell`. Nothing is measured of all seeds before the end.

    What is saved at the end of every seed is the record and the networks of the seeds so far, and ``phases_done`` is 0: a run
    that was stopped goes on with the next seed. Inside a seed it goes on at a step where it is known what the strategy carries
    (:attr:`runners.avalanche.strategy.AvalancheStrategy.carried`); elsewhere the seed begins anew.
    """
    within, resume = (resume, resume.before) if isinstance(resume, Within) else (None, resume)
    adapter: AvalancheStrategy = options.build(avalanche_strategies.get(cell.strategy.name), cell.strategy)
    record = None if resume is None else resume.record
    state, weights = ({}, {}) if resume is None else (dict(resume.state), dict(resume.network))
    durations = list(state["durations"].tolist()) if "durations" in state else []
    networks = build_network(cell, stream)
    total = sum(cell.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train)
    first = 0 if record is None else len(record.rows[0][next(iter(stream.objective.scores))])
    with surroundings(getattr(torch, cell.dtype)):
        for s in range(first, len(stream.seeds)):

            def told(phase: int, steps: int, s: int = s) -> None:
                tell(Progress(phase + 1, len(stream.train), s * total + steps, len(stream.seeds) * total))

            if pauses.asked():
                raise Stopped
            own = within if s == first else None
            keeper = Keeper(save, pauses, 0.0 if own is None else own.record.seconds)
            run = SeedRun(
                cell, stream_of_seed(stream, s), take_seed(networks, s), adapter, s == 0, told, keeper, partial(keep, seed=s)
            )
            with own_randomness(stream.seeds[s], "avalanche-strategy"):
                network = run.train(own)
            run.record.seconds = keeper.seconds
            record = run.record if record is None else joined(record, run.record)
            durations.append(float(np.median(run.durations)))
            if s == 0:
                state["equals_naive"] = torch.tensor([run.equals_naive])
            state["durations"] = torch.tensor(durations, dtype=torch.float64)
            ended = network.state_dict()
            weights = {
                name: torch.cat([weights[name], tensor]) if name in weights else tensor for name, tensor in ended.items()
            }
            save(Checkpoint(0, weights, None, state, record))
    assert record is not None
    cost = cost_of(networks, stream.train[0].x[:, :2])
    remarks = (*remarks_on(cell.strategy.name), *([EQUALS_NAIVE] if bool(state["equals_naive"].any()) else []))
    remarks += thinned_remark(stream, cell.curve_samples)
    result = result_of(record, stream, adapter.metrics, cost, None, remarks)
    return replace(result, step_seconds=float(np.median(durations)))


def joined(one: Record, other: Record) -> Record:
    """Return the record of two sets of seeds, measured at the same places, as that of one."""
    assert one.place == other.place
    assert one.diverged_at is not None
    assert other.diverged_at is not None

    def side_by_side(rows: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        pairs = zip(rows, others, strict=True)
        return [{name: np.concatenate([values, more[name]]) for name, values in row.items()} for row, more in pairs]

    return Record(
        rows=side_by_side(one.rows, other.rows),
        curve=side_by_side(one.curve, other.curve),
        place=one.place,
        functions=[np.concatenate(pair) for pair in zip(one.functions, other.functions, strict=True)],
        diverged_at=np.concatenate([one.diverged_at, other.diverged_at]),
        seconds=one.seconds + other.seconds,
        steps=one.steps,
        evaluation_seconds=one.evaluation_seconds + other.evaluation_seconds,
    )


@contextmanager
def surroundings(dtype: torch.dtype) -> Iterator[None]:
    """Give avalanche what it takes for granted, and take it back: importance and anchors are kept in torch's default format.

    Its advice on functions of its own, which it still calls itself, is hidden; other warnings are passed on.
    """
    before = torch.get_default_dtype()
    with warnings.catch_warnings(record=True) as caught:
        # numpy's, on functions of numpy that avalanche's SI applies to tensors.
        warnings.filterwarnings("ignore", message="__array_wrap__ must accept")
        import_avalanche()
        try:
            torch.set_default_dtype(dtype)
            yield
        finally:
            torch.set_default_dtype(before)
    for warning in caught:
        if not str(warning.message).startswith("Call to deprecated function"):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
