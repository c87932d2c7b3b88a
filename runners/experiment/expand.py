"""Requests become cells, each with every option spelled out; what could not be run is refused before anything is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kancl import options
from kancl.errors import InputError
from kancl.models import Network, architectures, check_architecture
from kancl.options import Spec, parse_spec
from kancl.plugins import digests, forget_edited
from runners.config.advice import resolve_policy, with_advice
from runners.config.cell import Cell
from runners.config.pairs import parse_pair
from runners.config.policy import Policy
from runners.config.request import DEFAULTS, Request
from runners.config.seeds import parse_seeds
from runners.experiment.blame import PluginError, refusing
from runners.experiment.contents import as_built, content_of, request_digest
from runners.experiment.faults import Faults
from runners.run import RUNNERS
from runners.stream.cache import StreamCache
from runners.stream.stream import Stream
from runners.training.checks import check_orders, check_weights
from runners.training.networks import problem_of
from scenarios import complete_scenario

MOST_CELLS = 10_000
"""Cells of one experiment: each is checked before anything runs."""
MOST_EVALUATIONS = 10_000
"""During each task; every one is kept."""

Adjust = Callable[[Request, list[Cell], Stream], list[Cell]]
"""Changes a request's cells of one scenario, for example their widths."""
Chosen = Mapping[str, tuple[Spec, Any]]
"""Strategies by what was asked for: with every option, and made."""


def expand(
    requests: Sequence[Request],
    adjust: Adjust = lambda request, cells, stream: cells,
    streams: StreamCache | None = None,
    checked: set[str] | None = None,
    faults: Faults | None = None,
) -> list[Cell]:
    """Return the cells of all requests, each once, with every option spelled out.

    Args:
        requests: what was asked for.
        adjust: changes the cells.
        streams: keeps the scenarios that were built for the check.
        checked: the networks that kept the contract before, and are what they were; these are added.
        faults: what was found to be wrong before; it is told with all else.

    An architecture whose networks raise when they are tried stays, if there are others: its cells will fail, and tell why.

    Raises:
        RefusedError: all that could not be run, before anything is.
    """
    cells: dict[str, Cell] = {}
    check = _Check(
        StreamCache() if streams is None else streams,
        adjust,
        faults=Faults() if faults is None else faults,
        checked=set() if checked is None else checked,
    )
    forget_edited()
    requests = [request.over(DEFAULTS) for request in requests]
    asked = sum(len(request.scenarios or ()) * _count(request) for request in requests)
    if asked > MOST_CELLS:
        raise InputError(f"{asked:,} combinations are asked for, and one experiment has at most {MOST_CELLS:,}; ask for fewer")
    for number, request in enumerate(requests):
        check.faults.number = number
        for cell in _cells_of(request, check):
            cells.setdefault(cell.key, cell)
    check.faults.refuse()
    if not cells:
        raise InputError(
            "nothing to run: name a scenario before the options, e.g. kancl run gaussian-peaks --seeds 4 (see kancl list)"
        )
    if all(cell.asked["architecture"] in check.broken for cell in cells.values()):
        raise next(iter(check.broken.values()))
    return list(cells.values())


def _count(request: Request) -> int:
    """Return how many combinations of an architecture and a strategy a request names."""
    return len(request.architectures or ()) * len(request.strategies or ()) if request.cells is None else len(request.cells)


@dataclass(frozen=True)
class _Check:
    """What is kept from request to request while they are checked.

    Args:
        streams: the scenarios that were built.
        adjust: changes the cells.
        faults: all that is wrong.
        broken: what the networks of an architecture raise, by its name.
        checked: the networks that kept the contract; the same ones under another policy are not tried again.
        refused: scenarios that cannot be run, by what was asked for, with the reason.
    """

    streams: StreamCache
    adjust: Adjust
    faults: Faults = field(default_factory=Faults)
    broken: dict[str, InputError] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)
    refused: dict[tuple[object, ...], InputError] = field(default_factory=dict)

    def scenario(self, text: str, request: Request, seeds: tuple[int, ...]) -> tuple[Spec, Stream]:
        """Return a scenario with every option, and its stream; what was refused once is not built again."""
        assert request.dtype is not None
        place = text, seeds, request.dtype, request.data_root
        if place in self.refused:
            raise self.refused[place]
        try:
            spec = complete_scenario(parse_spec(text))
            return spec, self.streams.get(spec, seeds, request.dtype, str(request.data_root))
        except InputError as error:
            self.refused[place] = error
            raise


def _cells_of(request: Request, check: _Check) -> list[Cell]:
    """Return the cells of a request that is complete; what is wrong is noted, and the rest is looked at all the same."""
    assert request.runner is not None
    faults, runner = check.faults, RUNNERS[request.runner]
    with faults.of("evaluations"):
        if not 2 <= (request.evaluations or 0) <= MOST_EVALUATIONS:
            raise InputError(f"evaluations must be at least 2 and at most {MOST_EVALUATIONS:,}, got {request.evaluations}")
    with faults.of("curve_samples"):
        if request.curve_samples is not None and request.curve_samples != "all" and request.curve_samples < 1:
            raise InputError(f"curve_samples must be all or a number of at least 1, got {request.curve_samples}")
    with faults.of("runner"):
        runner.check_request(request, "cpu")
    seeds: tuple[int, ...] = ()
    with faults.of("seeds"):
        seeds = parse_seeds(request.seeds or 0)
    pairs, chosen = _pairs(request, faults), dict[str, tuple[Spec, Any]]()
    for text in dict.fromkeys(text for texts in pairs.values() for text in texts):
        with faults.of("strategies"):
            chosen[text] = runner.make_strategy(text)
    pairs = {text: [own for own in texts if own in chosen] for text, texts in pairs.items()}
    cells: list[Cell] = []
    built = False
    for scenario_text in request.scenarios or ():
        with faults.of("scenarios"):
            scenario, stream = check.scenario(scenario_text, request, seeds or (0,))
            built = True
            runner.check_scenario(stream, scenario_text)
            own = []
            for architecture_text, texts in pairs.items():
                with faults.of("architectures"):
                    said = scenario_text, architecture_text
                    own += _checked_cells(request, said, scenario, stream, {text: chosen[text] for text in texts}, check)
            if not faults.found:
                with faults.of("match"):
                    cells += check.adjust(request, own, stream)
            del stream  # or it would still be there while the next one is built
    if not built:
        _look_without_data(request, pairs, faults)
    return cells


def _look_without_data(request: Request, names: Iterable[str], faults: Faults) -> None:
    """Note what is wrong with architectures and the policy, whatever a scenario might advise."""
    for text in names:
        with faults.of("architectures"):
            spec = parse_spec(text)
            options.check_names(spec, options.schema(architectures.get(spec.name), ("problem",)))
    if request.optimizer is not None:
        with faults.of(""):
            resolve_policy({}, request.optimizer, request.policy())


def _pairs(request: Request, faults: Faults) -> dict[str, list[str]]:
    """Return the strategies of each architecture, in order."""
    pairs: dict[str, list[str]] = {}
    for what in ("architectures", "strategies") if request.cells is None else ("cells",):
        with faults.of(what):
            if not getattr(request, what):
                raise InputError(f"{what} is an empty list; name at least one (see kancl list)")
    for text in request.cells or ():
        with faults.of("cells"):
            architecture, strategy = parse_pair(text)
            pairs.setdefault(architecture, []).append(strategy)
    return (
        pairs if request.cells is not None else {text: list(request.strategies or ()) for text in request.architectures or ()}
    )


def _checked_cells(
    request: Request,
    said: tuple[str, str],
    scenario: Spec,
    stream: Stream,
    chosen: Mapping[str, tuple[Spec, Any]],
    check: _Check,
) -> list[Cell]:
    """Return the cells of one scenario and one architecture, seen to be possible.

    Args:
        request: complete.
        said: the scenario and the architecture, as they were asked for.
        scenario, stream: the scenario, with every option and as it was built.
        chosen: the strategies.
        check: what was seen before.
    """
    assert request.runner is not None
    assert request.dtype is not None
    assert request.evaluations is not None
    architecture, policy = advised(said[1], stream, request, said[0])
    own = []
    for strategy_text, (strategy, _) in chosen.items():
        asked = {"scenario": said[0], "architecture": said[1], "strategy": strategy_text}
        cell = Cell(
            scenario, architecture, strategy, policy, stream.seeds, request.dtype, request.evaluations,
            request.locality == "on", request.runner,
            asked={part: parse_spec(text).label for part, text in asked.items()},
            sources={**_sources(scenario, architecture, strategy), **stream.files},
            data_root=str(request.data_root),
            request=request_digest(request, asked),
            question=request_digest(request, asked, whole=False),
            curve_samples=request.curve_samples or "all",
        )  # fmt: skip
        own.append(replace(cell, content=content_of(cell, stream)))
    if not own:
        return own
    try:
        network = _checked_network(own[-1], stream, check.checked)
    except PluginError as error:
        check.broken[own[-1].asked["architecture"]] = error
        return own
    own = [as_built(cell, network, built) for cell, (_, built) in zip(own, chosen.values(), strict=True)]
    for cell, (text, (_, built)) in zip(own, chosen.items(), strict=True):
        with check.faults.of("strategies"), refusing(cell):
            try:
                RUNNERS[cell.runner].check_cell(network, cell, stream, built, text)
            except InputError as error:  # one of many combinations: say which
                raise InputError(f"{cell.asked['scenario']} / {cell.asked['architecture']} / {text}: {error}") from error
    return own


def advised(text: str, stream: Stream, request: Request, scenario: str) -> tuple[Spec, Policy]:
    """Return an architecture with every option, and its policy, from what was said and what the scenario advises.

    Args:
        text: the architecture as it was asked for.
        stream: the scenario, with its advice.
        request: with what was said of the policy.
        scenario: as it was asked for, for messages.

    Raises:
        InputError: an option or a setting that is unknown, or has a value that it does not take.
    """
    advice = stream.advice
    spec = options.complete(architectures, with_advice(text, advice.architectures), ("problem",))
    optimizer = advice.optimizers.get(spec.name, Policy.optimizer)
    try:
        return spec, resolve_policy(advice.policies_of(spec.name), optimizer, request.policy())
    except InputError as error:
        whose = f"{scenario}'s advice" if spec.name in advice.optimizers else "the default"
        chosen = "" if request.optimizer else f" (the optimizer {optimizer} is {whose}; --optimizer chooses another)"
        raise InputError(f"{scenario} / {text}: {error}{chosen}") from error


SEEN = 64
"""Samples on which two seeds' initial functions are compared."""


def _checked_network(cell: Cell, stream: Stream, checked: set[str]) -> Network:
    """Build the networks and pass a few samples through, so that a misfit is met before anything runs.

    Args:
        cell: whose networks they are.
        stream: its tasks.
        checked: the networks that kept the contract; the same ones under another policy are not tried again. These are added.

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

    place = repr((cell.architecture, cell.scenario, cell.seeds, cell.dtype, cell.data_root))
    with refusing(cell):
        if place in checked:
            network = build(stream.seeds)
        else:
            network = check_architecture(build, stream.seeds, stream.train[0].x[:, :2], stream.outputs, name)
            check_weights(partial(build, same_ranges=True), stream.seeds, name, stream.train[0].x[:1, :SEEN])
            checked.add(place)
        check_orders(stream.seeds, cell.policy, [samples.x.shape[1] for samples in stream.train])
    return network


def _sources(*specs: Spec) -> dict[str, str]:
    """Return the hash of every file that a spec names, so that an edited plug-in is a different experiment."""
    files = {spec.name.rpartition(":")[0] for spec in specs if ".py:" in spec.name}
    return {Path(file).name: digests(Path(file))[Path(file).resolve().name] for file in sorted(files)}
