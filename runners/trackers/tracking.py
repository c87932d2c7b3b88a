"""Trackers during a sweep: every cell is told to every tool, and no tool can end a run.

What a tool was told of an experiment stands in ``<out>/tracking/<tool>/cells.json``: the id under which it knows each cell,
and whether it has all of it. When a run is continued, a tool gets the same id and the evaluations from the first one on: those
up to the checkpoint from the checkpoint, and those after it with the same numbers as before, so its sink can take each once. A
finished cell that a tool does not have all of is told from the stored result.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kancl.errors import Foreign, is_interrupt, one_line
from kancl.text import visible
from runners.config.cell import Cell
from runners.measure.record import Record
from runners.measure.result import Result
from runners.store.experiment import describe
from runners.store.files import DamageError, Tell, once, read_or_tell, refuse_elsewhere
from runners.store.locks import locked
from runners.store.seals import read_sealed, write_sealed
from runners.trackers.events import Evaluation, Evaluations, summary
from runners.trackers.tracker import Description, Sink, State, Tracker

FOREIGN = Foreign("tracker", "its sink")


class Tracking:
    """The tools of one experiment.

    Args:
        trackers: the tools by name.
        out: the experiment's folder. Nothing is written there before a cell begins.
        warn: hears, once for each tool, that it failed and is left out from then on, and which of its files is damaged.
    """

    def __init__(
        self,
        trackers: Mapping[str, Tracker] | None = None,
        out: Path = Path(),
        warn: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.trackers = dict(trackers or {})
        self.out = out
        self.warn = once(warn)

    @contextmanager
    def cell(self, cell: Cell, tasks: Sequence[str]) -> "Iterator[Tracked]":
        """Open a cell in every tool, and close it whatever happens.

        Args:
            cell: what is about to run.
            tasks: the names of its tasks.
        """
        with self._opened(cell, tasks, list(self.trackers)) as tracked:
            yield tracked

    def stored(self, cell: Cell, result: Result) -> None:
        """Tell a finished cell to the tools that do not have all of it.

        Args:
            cell: what was run.
            result: what the store has of it.
        """
        lacking = [name for name in self.trackers if not Told(self.folder(name), self.warn).is_complete(cell.key)]
        with self._opened(cell, result.tasks, lacking) as tracked:
            tracked.finish(result)

    def hints(self) -> list[str]:
        """Return how to look at what was tracked, a line for each tool that did not fail."""
        found = []
        for name, tracker in list(self.trackers.items()):
            try:
                with FOREIGN:
                    found.append(tracker.hint(self.folder(name)))
            except Exception as error:
                self.stop(name, error)
        return found

    def folder(self, name: str) -> Path:
        """Return the folder of a tool's files.

        Args:
            name: as ``--track`` takes it.
        """
        return self.out / "tracking" / Path(name).name.replace(":", "-")

    def stop(self, name: str, error: BaseException) -> None:
        """Leave a tool out from now on, and say so.

        Args:
            name: of the tool.
            error: what it raised.
        """
        if self.trackers.pop(name, None) is not None:
            with suppress(Exception):  # a word that cannot be said costs no result
                self.warn(
                    f"warning: tracking with {name} stopped ({one_line(error)}); the run goes on and is stored as ever, and "
                    f"the same command, given again, sends {name} what it lacks"
                )

    @contextmanager
    def _opened(self, cell: Cell, tasks: Sequence[str], names: Iterable[str]) -> "Iterator[Tracked]":
        tracked = Tracked(self, cell)
        state: State = "interrupted"
        try:
            for name in names:
                tracked.open(name, tasks)
            yield tracked
        except BaseException as error:
            state = "interrupted" if is_interrupt(error) else "failed"
            raise
        finally:
            tracked.close(state)


class Tracked:
    """A cell that is being told; made by :meth:`Tracking.cell`.

    Args:
        tracking: the tools, of which those that fail are taken out.
        cell: what is told.
    """

    def __init__(self, tracking: Tracking, cell: Cell) -> None:
        self.tracking = tracking
        self.cell = cell
        self.sinks: dict[str, Sink] = {}
        self.evaluations = Evaluations(cell.seeds)

    def open(self, name: str, tasks: Sequence[str]) -> None:
        """Open the cell in one tool; one that fails is out.

        Args:
            name: of the tool.
            tasks: the names of the cell's tasks.
        """
        cell, folder = self.cell, self.tracking.folder(name)
        experiment = self.tracking.out.resolve().name
        try:
            for place in (folder, folder / cell.key):
                refuse_elsewhere(place, self.tracking.out)
            folder.mkdir(parents=True, exist_ok=True)
            # Before the tool hears it: whenever this is killed, the next run finds what the tool has.
            own_id = Told(folder, self.tracking.warn).note(cell.key, complete=False)
            about = Description(cell.key, own_id, visible(describe(cell)), visible(experiment), configuration(cell, tasks))
            with FOREIGN:
                self.sinks[name] = self.tracking.trackers[name].begin(about, folder)
        except Exception as error:
            self._drop(name, error)

    def measured(self, record: Record) -> None:
        """Tell what a record holds that was not told yet.

        Args:
            record: of the run, which grows.
        """
        if self.sinks:
            self._tell(self.evaluations.of_record(record))

    def finish(self, result: Result) -> None:
        """Tell what was not told yet, the final metrics and the cost, and close the cell.

        Args:
            result: of the whole run.
        """
        if self.sinks:
            self._tell(self.evaluations.of_result(result))
            self._each(lambda name, sink: sink.finish(summary(self.cell, result)))
            self.close("done")

    def close(self, state: State) -> None:
        """Close the cell in every tool where it is open still.

        Args:
            state: how the telling ended.
        """

        def end(name: str, sink: Sink) -> None:
            del self.sinks[name]
            sink.close(state)
            if state == "done":
                Told(self.tracking.folder(name), self.tracking.warn).note(self.cell.key, complete=True)

        self._each(end)

    def _tell(self, evaluations: Iterable[Evaluation]) -> None:
        for evaluation in evaluations:
            self._each(lambda name, sink, told=evaluation: sink.log(told))  # type: ignore[misc]

    def _each(self, act: Callable[[str, Sink], None]) -> None:
        """Do something with every sink; one that raises is out."""
        for name, sink in list(self.sinks.items()):
            try:
                with FOREIGN:
                    act(name, sink)
            except Exception as error:
                self._drop(name, error)

    def _drop(self, name: str, error: BaseException) -> None:
        sink = self.sinks.pop(name, None)
        if sink is not None:
            with suppress(Exception), FOREIGN:  # what failed once may fail again, and was told
                sink.close("failed")
        self.tracking.stop(name, error)


class Told:
    """Which cells a tool was told of, in a file; one that is damaged counts as absent.

    Args:
        folder: of the tool's files.
        tell: hears how the file is damaged.
    """

    def __init__(self, folder: Path, tell: Tell = lambda line: None) -> None:
        self.folder, self.path, self.tell = folder, folder / "cells.json", tell

    def is_complete(self, key: str) -> bool:
        """Return whether the tool has all of a cell."""
        return bool(self._read().get(key, {}).get("complete"))

    def note(self, key: str, complete: bool) -> str:
        """Write down that the tool was told of a cell, and return the cell's id, made if it has none yet."""
        with locked(self.folder.parent.parent):  # other processes have cells of the same tool
            cells = self._read()
            own_id = cells[key]["id"] if key in cells else uuid.uuid4().hex
            write_sealed(self.path, self._name, {**cells, key: {"id": own_id, "complete": complete}})
        return own_id

    @property
    def _name(self) -> str:
        return f"tracking/{self.folder.name}/{self.path.name}"

    def _read(self) -> dict[str, dict[str, Any]]:
        def read() -> dict[str, dict[str, Any]]:
            content, _ = read_sealed(self.path, self.folder.parent.parent, self._name)
            cells = {key: told for key, told in content.items() if key != "format"}
            for told in cells.values():
                if (
                    not isinstance(told, dict)
                    or not isinstance(told.get("id"), str)
                    or not isinstance(told.get("complete"), bool)
                ):
                    raise DamageError("holds no list of what a tool was told")
            return cells

        return read_or_tell(self.path, read, self.tell) or {}


def configuration(cell: Cell, tasks: Sequence[str]) -> dict[str, Any]:
    """Return what a tool lists beside a cell: what was asked for, the names of the tasks, and every option spelled out.

    Texts can be written by every tool: what cannot be seen stands as an escape.
    """
    specs = {"scenario": cell.scenario, "architecture": cell.architecture, "strategy": cell.strategy}
    said = {
        "cell": cell.key,
        **{part: cell.asked.get(part, spec.label) for part, spec in specs.items()},
        "tasks": list(tasks),
        "seeds": list(cell.seeds),
        "policy": asdict(cell.policy),
        "options": {part: dict(spec.options) for part, spec in specs.items()},
        "dtype": cell.dtype,
        "evaluations": cell.evaluations,
        "sources": dict(cell.sources),
    }
    shown: dict[str, Any] = _visible(said)
    return shown


def _visible(value: Any) -> Any:
    """Return plain values with all texts made visible."""
    if isinstance(value, Mapping):
        return {visible(str(key)): _visible(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(inner) for inner in value]
    return visible(value, keep="\n") if isinstance(value, str) else value
