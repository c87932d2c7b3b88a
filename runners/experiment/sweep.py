"""A sweep: requests become cells; stored cells are skipped, started ones continued, and the others run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kancl import options
from kancl.errors import InputError, StorageError, is_interrupt, places_of
from kancl.models import Network, architectures, check_architecture
from kancl.options import Spec, parse_spec
from kancl.plugins import digests, forget_edited
from runners.avalanche import AvalancheStrategy
from runners.avalanche import checks as avalanche_checks
from runners.avalanche.strategies import make_strategy
from runners.config.advice import resolve_policy, with_advice
from runners.config.cell import Cell, Runner
from runners.config.policy import Policy
from runners.config.request import DEFAULTS, Request
from runners.config.seeds import parse_seeds
from runners.experiment.blame import PluginError, refusing, told
from runners.experiment.blocks import run_blocks, run_in
from runners.experiment.contents import DATA, as_built, content_of, request_digest
from runners.experiment.listener import Heard, Listener
from runners.measure.result import Result
from runners.store.cell import CellStore
from runners.store.experiment import Store
from runners.strategies import Strategy, strategies
from runners.stream.cache import Stacks
from runners.stream.stream import Stream
from runners.trackers import Tracking
from runners.training.checks import check_mixed, check_policy, check_seeds
from runners.training.governed import check_strategy_governed
from runners.training.networks import problem_of
from runners.training.pretraining import check_pretraining
from runners.training.step_time import step_seconds
from scenarios import complete_scenario


@dataclass(frozen=True)
class Outcome:
    """What became of the cells."""

    results: dict[str, Result]
    failures: dict[str, str]
    cells: Sequence[Cell] = ()
    """All of them, by the keys under which they are stored."""


MOST_CELLS = 10_000
"""Cells of one experiment: each is checked before anything runs."""
MOST_EVALUATIONS = 10_000
"""During each task; every one is kept."""

Adjust = Callable[[Request, list[Cell], Stream], list[Cell]]
"""Changes a request's cells of one scenario, for example their widths, before they are checked."""


def expand(
    requests: Sequence[Request],
    adjust: Adjust = lambda request, cells, stream: cells,
    stacks: Stacks | None = None,
) -> list[Cell]:
    """Return the cells of all requests, each once, with every option spelled out.

    Args:
        requests: what was asked for.
        adjust: changes the cells.
        stacks: keeps the scenarios that were built for the check.

    An architecture whose networks raise when they are tried stays, if there are others: its cells will fail, and tell why.

    Raises:
        InputError: anything that could not be run, before anything is.
    """
    cells: dict[str, Cell] = {}
    stacks = Stacks() if stacks is None else stacks
    broken: dict[str, InputError] = {}
    forget_edited()
    parts = ("scenarios", "architectures", "strategies")
    asked = sum(math.prod(len(getattr(request.over(DEFAULTS), part) or ()) for part in parts) for request in requests)
    if asked > MOST_CELLS:
        raise InputError(f"{asked:,} combinations are asked for, and one experiment has at most {MOST_CELLS:,}; ask for fewer")
    for request in requests:
        for cell in _cells_of(request.over(DEFAULTS), adjust, stacks, broken):
            cells.setdefault(cell.key, cell)
    if not cells:
        raise InputError(
            "nothing to run: name a scenario before the options, e.g. kancl run gaussian-peaks --seeds 4 (see kancl list)"
        )
    if all(cell.asked["architecture"] in broken for cell in cells.values()):
        raise next(iter(broken.values()))
    return list(cells.values())


def _cells_of(request: Request, adjust: Adjust, stacks: Stacks, broken: dict[str, InputError]) -> list[Cell]:
    assert request.seeds is not None
    assert request.dtype is not None
    assert request.evaluations is not None
    if not 2 <= request.evaluations <= MOST_EVALUATIONS:
        raise InputError(f"evaluations must be at least 2 and at most {MOST_EVALUATIONS:,}, got {request.evaluations}")
    for what in ("architectures", "strategies"):
        if not getattr(request, what):
            raise InputError(f"{what} is an empty list; name at least one (see kancl list {what})")
    assert request.runner is not None
    avalanche_checks.check_request(request)
    seeds, cells = parse_seeds(request.seeds), []
    chosen = [_strategy(text, request.runner) for text in request.strategies or ()]
    for scenario_text in request.scenarios or ():
        scenario = complete_scenario(parse_spec(scenario_text))
        stream = stacks.get(scenario, seeds, request.dtype, str(request.data_root))
        if request.runner == "avalanche":
            avalanche_checks.check_scenario(stream, scenario_text)
        own = []
        for architecture_text in request.architectures or ():
            architecture, policy = advised(architecture_text, stream, request, scenario_text)
            for strategy_text, strategy, _ in chosen:
                asked = {"scenario": scenario_text, "architecture": architecture_text, "strategy": strategy_text}
                cell = Cell(
                    scenario, architecture, strategy, policy, seeds, request.dtype, request.evaluations,
                    request.locality == "on", request.runner,
                    asked={part: parse_spec(text).label for part, text in asked.items()},
                    sources={**_sources(scenario, architecture, strategy), **stream.files},
                    data_root=str(request.data_root),
                    request=request_digest(request, **asked),
                )  # fmt: skip
                own.append(replace(cell, content=content_of(cell, stream)))
            try:
                network = _checked_network(own[-1], stream)
            except PluginError as error:
                broken[own[-1].asked["architecture"]] = error
                continue
            pairs = zip(own[-len(chosen) :], chosen, strict=True)
            own[-len(chosen) :] = [as_built(cell, network, built) for cell, (_, _, built) in pairs]
            _check_strategies(network, own[-len(chosen) :], stream, {text: built for text, _, built in chosen})
        cells += adjust(request, own, stream)
        del stream  # or it would still be there while the next one is built
    return cells


def _strategy(text: str, runner: Runner) -> tuple[str, Spec, Strategy | AvalancheStrategy]:
    """Return what was asked for, the strategy's name with every option, and the strategy itself."""
    if runner == "avalanche":
        return text, *make_strategy(text)
    spec = options.complete(strategies, parse_spec(text))
    built = options.build(strategies.get(spec.name), spec)
    if not isinstance(built, Strategy):
        raise InputError(f"strategy {text} must be a runners.strategies.Strategy, got {type(built).__name__}")
    return text, spec, built


def advised(text: str, stream: Stream, request: Request, scenario: str) -> tuple[Spec, Policy]:
    """Return an architecture with every option, and its policy, from what was said and what the scenario advises."""
    advice = stream.advice
    spec = options.complete(architectures, with_advice(text, advice.architectures), ("problem",))
    optimizer = advice.optimizers.get(spec.name, "adam")
    try:
        return spec, resolve_policy(advice.policies_of(spec.name), optimizer, request.policy())
    except InputError as error:
        whose = f"{scenario}'s advice" if spec.name in advice.optimizers else "the default"
        chosen = "" if request.optimizer else f" (the optimizer {optimizer} is {whose}; --optimizer chooses another)"
        raise InputError(f"{scenario} / {text}: {error}{chosen}") from error


SEEN = 64
"""Samples on which two seeds' initial functions are compared."""


def _checked_network(cell: Cell, stream: Stream) -> Network:
    """Build the networks and pass a few samples through, so that a misfit is met before anything runs.

    Raises:
        PluginError: they raise.
        InputError: they break the contract.
    """
    problem, name = problem_of(cell, stream), cell.asked["architecture"]

    def build(seeds: tuple[int, ...], same_ranges: bool = False) -> Network:
        rows = [stream.seeds.index(seed) if seed in stream.seeds and not same_ranges else 0 for seed in seeds]
        own = replace(problem, seeds=seeds, low=problem.low[rows], high=problem.high[rows])
        network: Network = options.build(architectures.get(cell.architecture.name), cell.architecture, problem=own)
        return network

    with refusing(cell):
        network = check_architecture(build, stream.seeds, stream.train[0].x[:, :2], stream.outputs, name)
        counts = [samples.x.shape[1] for samples in stream.train]
        check_seeds(partial(build, same_ranges=True), stream.seeds, cell.policy, counts, name, stream.train[0].x[:1, :SEEN])
    return network


def _check_strategies(
    network: Network, cells: Sequence[Cell], stream: Stream, chosen: Mapping[str, Strategy | AvalancheStrategy]
) -> None:
    by_label = {cell.asked["strategy"]: cell for cell in cells}
    for text, strategy in chosen.items():
        cell = by_label[parse_spec(text).label]
        with refusing(cell):
            try:
                _check_strategy(text, strategy, network, cell, stream)
            except InputError as error:  # one of many combinations: say which
                raise InputError(f"{cell.asked['scenario']} / {cell.asked['architecture']} / {text}: {error}") from error


def _check_strategy(text: str, strategy: Strategy | AvalancheStrategy, network: Network, cell: Cell, stream: Stream) -> None:
    name = cell.asked["architecture"]
    if isinstance(strategy, AvalancheStrategy):
        avalanche_checks.check_driven(network, stream, cell.policy, strategy, name)
        return
    check_policy(network, stream, cell.policy, strategy, name)
    check_mixed(strategy, stream, cell.policy, text)
    check_pretraining(strategy, network, stream, cell.policy, text)
    check_strategy_governed(strategy, options.complete(strategies, parse_spec(text)), cell, stream)
    if cell.locality and type(strategy).parameters_for is not Strategy.parameters_for:
        raise InputError(
            f"--locality looks at one network for all tasks, and strategy {text} answers for each with other parameters; "
            "leave --locality out"
        )


def _sources(*specs: Spec) -> dict[str, str]:
    """Return the hash of every file that a spec names, so that an edited plug-in is a different experiment."""
    files = {spec.name.rpartition(":")[0] for spec in specs if ".py:" in spec.name}
    return {Path(file).name: digests(Path(file))[Path(file).resolve().name] for file in sorted(files)}


def run(
    cells: Sequence[Cell],
    store: Store,
    listener: Listener,
    device: str = "cpu",
    stacks: Stacks | None = None,
    tracking: Tracking | None = None,
    tell: Callable[[object], None] = lambda line: None,
) -> Outcome:
    """Run the cells that the store does not hold yet; one that fails does not stop the others.

    Args:
        cells: what to run.
        store: where results are kept.
        listener: hears how it goes; what it raises ends its hearing, never a cell.
        device: where to train.
        stacks: the scenarios that were built before.
        tracking: the tools that are told what is measured.
        tell: hears which contents changed since they were stored, and what is not known of older cells.

    Raises:
        StorageError: the disk did not take a file of kancl's own; the other cells would fare no better.
    """
    heard = Heard(listener)
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    with store.opened(cells, tell) as cells:
        sweep = _Sweep(cells, store, heard, device, stacks or Stacks(), tracking or Tracking())
        for number, cell in enumerate(cells, 1):
            heard.begin_cell(cell, number, len(cells))
            try:
                said, results[cell.key] = sweep.obtain(cell)
            except BaseException as error:
                if is_interrupt(error) or (isinstance(error, StorageError) and not places_of(error)):
                    raise
                said = failures[cell.key] = told(error, cell)
                store.cell(cell.key).save_failure(error, said)
            heard.end_cell(cell, said)
    return Outcome(results, failures, cells)


class _Sweep:
    """What the cells of a sweep share: the stream of the last one, and the times of steps, measured side by side."""

    def __init__(
        self, cells: Sequence[Cell], store: Store, heard: Heard, device: str, stacks: Stacks, tracking: Tracking
    ) -> None:
        self.cells, self.store, self.heard, self.device = cells, store, heard, device
        self.stacks, self.tracking = stacks, tracking
        self.latest: tuple[object, Stream] | None = None
        self.times: dict[str, float] = {}

    def obtain(self, cell: Cell) -> tuple[str, Result]:
        """Return a cell's result, and whether it was stored or is done."""
        files = self.store.cell(cell.key)
        stored = files.load_result()
        if stored is None:
            return "done", self._trained(cell, files)
        files.mend(cell, stored)
        self.tracking.stored(cell, stored)
        return "stored", stored

    def _trained(self, cell: Cell, files: CellStore) -> Result:
        resume = files.load_checkpoint()
        if resume is not None:
            files.save_checkpoint(resume)  # one of a version without seals gets its own
        files.begin(cell)
        stream = self._stream_of(cell)
        if cell.key not in self.times:
            others = [c for c in self.cells if c.key != cell.key and _data_of(c) == _data_of(cell)]
            alike = [cell, *(c for c in others if self.store.cell(c.key).load_result() is None)]
            self.times |= dict(zip([c.key for c in alike], step_seconds(alike, stream), strict=True))
        files.save_status("running", tasks_done=resume.phases_done if resume else 0)
        with self.tracking.cell(cell, stream.names) as tracked:
            if stream.groups:
                result = run_blocks(cell, stream, files, self.heard.progress)
            else:
                result = run_in(files, cell, stream, resume, self.heard.progress, tracked.measured)
            if cell.runner == "native":  # the others measure their own steps
                result = replace(result, step_seconds=self.times[cell.key])
            files.save_result(result)
            files.save_done(result)
            tracked.finish(result)
        return result

    def _stream_of(self, cell: Cell) -> Stream:
        wanted = _data_of(cell)
        if self.latest is None or self.latest[0] != wanted:
            self.latest = None  # let go of it before the next one is built
            stream = self.stacks.of(cell)
            if cell.content.get(DATA, stream.digest) != stream.digest:
                raise InputError(f"the data of `{cell.asked['scenario']}` changed while the sweep ran; run the command again")
            self.latest = (wanted, stream.to(self.device))
        return self.latest[1]


def _data_of(cell: Cell) -> tuple[object, ...]:
    """Return what the cell's data depend on."""
    return cell.scenario, cell.seeds, cell.dtype, cell.data_root
