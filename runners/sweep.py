"""A sweep: requests become cells; stored cells are skipped, started ones continued, and the others run."""

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import TypeAdapter, ValidationError

from kancl import options
from kancl.errors import InputError, StorageError
from kancl.models import architectures, parameters_per_seed
from kancl.options import Spec, parse_spec
from runners.config import DEFAULTS, Cell, Request, parse_seeds, resolve_policy, with_advice
from runners.result import Result
from runners.store import CellStore, Store
from runners.strategies import strategies
from runners.stream import Stream, build_scenario, stack
from runners.train import Progress, build_network, run_cell
from scenarios import scenarios


class Listener(Protocol):
    """Hears what a sweep does; the command line draws it."""

    def begin_cell(self, cell: Cell, number: int, count: int) -> None:
        """A cell is about to run."""

    def progress(self, progress: Progress) -> None:
        """The cell got further."""

    def end_cell(self, cell: Cell, outcome: str) -> None:
        """A cell ended: done, stored (it had been done before), or what went wrong."""


@dataclass(frozen=True)
class Outcome:
    """What became of the cells."""

    results: dict[str, Result]
    failures: dict[str, str]


def read_file(path: Path) -> list[Request]:
    """Read an experiment file: TOML with the keys of a request, and any number of ``[[block]]`` tables that override them.

    Each block is a request of its own; without blocks the file is one request.
    """
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"experiment file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"experiment file {path} is not valid TOML: {error}") from error
    blocks = content.pop("block", [{}])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise InputError(f"{path}: block must be an array of tables, written [[block]]")
    shared = _read_request(content, f"{path}")
    return [_read_request(block, f"{path}, block {number}").over(shared) for number, block in enumerate(blocks, 1)]


def _read_request(table: dict[str, Any], where: str) -> Request:
    try:
        return TypeAdapter(Request).validate_python({key.replace("-", "_"): value for key, value in table.items()})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'][:1]))}: {fault['msg']}" for fault in error.errors()]
        raise InputError(f"{where}:" + "".join(f"\n  - {fault}" for fault in dict.fromkeys(faults))) from error


def expand(requests: Sequence[Request]) -> list[Cell]:
    """Return the cells of all requests, each once, with every option spelled out.

    Raises:
        InputError: anything that could not be run, before anything is.
    """
    cells: dict[str, Cell] = {}
    for request in requests:
        for cell in _cells_of(request.over(DEFAULTS)):
            cells.setdefault(cell.key, cell)
    if not cells:
        raise InputError("nothing to run: name at least one scenario, e.g. kancl run gaussian-peaks (see kancl list)")
    return list(cells.values())


def _cells_of(request: Request) -> list[Cell]:
    assert request.seeds is not None
    assert request.dtype is not None
    assert request.evaluations is not None
    if request.evaluations < 2:
        raise InputError(f"evaluations must be at least 2, got {request.evaluations}")
    for what in ("architectures", "strategies"):
        if not getattr(request, what):
            raise InputError(f"{what} is an empty list; name at least one (see kancl list {what})")
    seeds, cells = parse_seeds(request.seeds), []
    for scenario_text in request.scenarios or ():
        asked = parse_spec(scenario_text)
        scenario = options.complete(scenarios, asked, ("seed",))
        stream = stack(scenario, seeds, getattr(torch, request.dtype))
        advice = build_scenario(scenario, seeds[0]).advice
        for architecture_text in request.architectures or ():
            asked_architecture = parse_spec(architecture_text)
            advised = with_advice(architecture_text, advice.architectures)
            architecture = options.complete(architectures, advised, ("problem",))
            optimizer = advice.optimizers.get(architecture.name, "adam")
            policy = resolve_policy(advice.policies, optimizer, request.policy())
            for strategy_text in request.strategies or ():
                asked_strategy = parse_spec(strategy_text)
                strategy = options.complete(strategies, asked_strategy)
                options.build(strategies.get(strategy.name), strategy)
                labels = {"scenario": asked, "architecture": asked_architecture, "strategy": asked_strategy}
                cell = Cell(
                    scenario, architecture, strategy, policy, seeds, request.dtype, request.evaluations,
                    asked={part: spec.label for part, spec in labels.items()},
                    sources=_sources(scenario, architecture, strategy),
                )  # fmt: skip
                cells.append(cell)
            _check_network(cells[-1], stream)
    return cells


def _check_network(cell: Cell, stream: Stream) -> None:
    """Build the networks once and pass a few samples through, so that a misfit is met before anything runs."""
    network = build_network(cell, stream)
    with torch.no_grad():
        y = network(stream.train[0].x[:, :2])
    expected = (len(cell.seeds), min(2, stream.train[0].x.shape[1]), stream.outputs)
    if tuple(y.shape) != expected:
        raise InputError(f"architecture {cell.architecture.label} gave outputs of shape {tuple(y.shape)}, expected {expected}")
    if not parameters_per_seed(network):
        raise InputError(f"architecture {cell.architecture.label} has no parameters to train")


def _sources(*specs: Spec) -> dict[str, str]:
    """Return the hash of every file that a spec names, so that an edited plug-in is a different experiment."""
    files = {spec.name.rpartition(":")[0] for spec in specs if ".py:" in spec.name}
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in sorted(files)}


def run(cells: Sequence[Cell], store: Store, listener: Listener) -> Outcome:
    """Run the cells that the store does not hold yet; one that fails does not stop the others."""
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    latest: tuple[object, Stream] | None = None
    with store.opened(cells):
        for number, cell in enumerate(cells, 1):
            files = store.cell(cell.key)
            stored = files.load_result()
            listener.begin_cell(cell, number, len(cells))
            if stored is not None:
                if files.load_cell() is None:
                    files.begin(cell)
                results[cell.key] = stored
                listener.end_cell(cell, "stored")
                continue
            try:
                wanted = (cell.scenario, cell.seeds, cell.dtype)
                if latest is None or latest[0] != wanted:
                    latest = (wanted, stack(cell.scenario, cell.seeds, getattr(torch, cell.dtype)))
                results[cell.key] = _run_one(cell, latest[1], files, listener.progress)
                listener.end_cell(cell, "done")
            except StorageError:
                raise  # the other cells would fare no better
            except Exception as error:
                failures[cell.key] = f"{type(error).__name__}: {error}"
                files.save_failure(error)
                listener.end_cell(cell, failures[cell.key])
    return Outcome(results, failures)


def _run_one(cell: Cell, stream: Stream, files: CellStore, tell: Callable[[Progress], None]) -> Result:
    files.begin(cell)
    resume = files.load_checkpoint()
    files.save_status("running", tasks_done=resume.phases_done if resume else 0)
    result = run_cell(cell, stream, resume, files.save_checkpoint, tell)
    files.save_result(result)
    diverged = int((result.diverged_at >= 0).sum())
    files.save_status("done", tasks_done=len(result.tasks), seconds=result.seconds, steps=result.steps, diverged=diverged)
    return result
