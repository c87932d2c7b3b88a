"""Whether what a strategy of the user's does follows from the seeds: a trial of two short tasks, taken twice."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from kancl import global_generators
from kancl.errors import is_interrupt
from kancl.global_generators import REASON, REMEDY, UngovernedError
from kancl.options import Spec
from runners.config.cell import Cell
from runners.measure.record import Saved
from runners.strategies import Strategy
from runners.stream.samples import Samples
from runners.stream.stream import Stream
from runners.training.loop import run_native_cell

TASKS, STEPS, ROWS = 2, 2, 32
"""Tasks, steps of each, and samples of each: enough for every hook to be called, the second time with a past."""


def check_strategy_governed(strategy: Strategy, spec: Spec, cell: Cell, stream: Stream) -> None:
    """See that a strategy gives the same networks and state again, with the global generators elsewhere.

    kancl's own are not tried at every run: a test does so. One that fails is left to training, which tells of it.

    Args:
        strategy, spec: what it is, and how it is made.
        cell: of the scenario and the architecture that it is to be used with.
        stream: the scenario.

    Raises:
        UngovernedError: it does not.
    """
    if type(strategy).__module__.startswith("runners.strategies."):
        return
    policy = replace(cell.policy, steps=STEPS, epochs=None)
    short = _short(stream.groups[0] if stream.groups else stream)
    tried = replace(cell, seeds=short.seeds, strategy=spec, policy=policy, evaluations=2, locality=False)
    try:
        with global_generators.restored():
            ours = _ends(tried, short)
            global_generators.shift()
            theirs = _ends(tried, short)
    except UngovernedError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        return
    strays = sorted(key for key, tensor in ours.items() if key not in theirs or not _same(tensor, theirs[key]))
    if strays:
        raise UngovernedError(
            f"the strategy gives another {strays[0]} when it is run again: it draws from a source {REASON}; {REMEDY}, and hold "
            "what is carried from one call to the next in the state"
        )


def _ends(cell: Cell, stream: Stream) -> Mapping[str, Tensor]:
    """Return parameters, buffers and state at the end of the last task."""
    kept: list[Saved] = []
    run_native_cell(cell, stream, save=kept.append)
    return {**kept[-1].network, **kept[-1].state}


def _short(stream: Stream) -> Stream:
    """Return the first tasks with some of their samples."""

    def cut(samples: Samples) -> Samples:
        return replace(samples, x=samples.x[:, :ROWS], y=samples.y[:, :ROWS], task=samples.task[:ROWS])

    return replace(
        stream,
        names=stream.names[:TASKS],
        train=tuple(map(cut, stream.train[:TASKS])),
        test=tuple(map(cut, stream.test[:TASKS])),
        null={name: values[:, :TASKS] for name, values in stream.null.items()},
        pretrain=None if stream.pretrain is None else cut(stream.pretrain),
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
