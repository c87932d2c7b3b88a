"""Requests become cells, each with every option spelled out; what could not be run is refused before anything is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from runners.config.policy import Policy
from runners.config.request import DEFAULTS, Request
from runners.config.seeds import parse_seeds
from runners.experiment.blame import PluginError, refusing
from runners.experiment.contents import as_built, content_of, request_digest
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
"""Changes a request's cells of one scenario, for example their widths, before they are checked."""


def expand(
    requests: Sequence[Request],
    adjust: Adjust = lambda request, cells, stream: cells,
    streams: StreamCache | None = None,
    checked: set[str] | None = None,
) -> list[Cell]:
    """Return the cells of all requests, each once, with every option spelled out.

    Args:
        requests: what was asked for.
        adjust: changes the cells.
        streams: keeps the scenarios that were built for the check.
        checked: the networks that kept the contract before, and are what they were; these are added.

    An architecture whose networks raise when they are tried stays, if there are others: its cells will fail, and tell why.

    Raises:
        InputError: anything that could not be run, before anything is.
    """
    cells: dict[str, Cell] = {}
    streams = StreamCache() if streams is None else streams
    broken: dict[str, InputError] = {}
    checked = set() if checked is None else checked
    forget_edited()
    parts = ("scenarios", "architectures", "strategies")
    asked = sum(math.prod(len(getattr(request.over(DEFAULTS), part) or ()) for part in parts) for request in requests)
    if asked > MOST_CELLS:
        raise InputError(f"{asked:,} combinations are asked for, and one experiment has at most {MOST_CELLS:,}; ask for fewer")
    for request in requests:
        for cell in _cells_of(request.over(DEFAULTS), adjust, streams, broken, checked):
            cells.setdefault(cell.key, cell)
    if not cells:
        raise InputError(
            "nothing to run: name a scenario before the options, e.g. kancl run gaussian-peaks --seeds 4 (see kancl list)"
        )
    if all(cell.asked["architecture"] in broken for cell in cells.values()):
        raise next(iter(broken.values()))
    return list(cells.values())


def _cells_of(
    request: Request, adjust: Adjust, streams: StreamCache, broken: dict[str, InputError], checked: set[str]
) -> list[Cell]:
    assert request.seeds is not None
    assert request.dtype is not None
    assert request.evaluations is not None
    if not 2 <= request.evaluations <= MOST_EVALUATIONS:
        raise InputError(f"evaluations must be at least 2 and at most {MOST_EVALUATIONS:,}, got {request.evaluations}")
    for what in ("architectures", "strategies"):
        if not getattr(request, what):
            raise InputError(f"{what} is an empty list; name at least one (see kancl list {what})")
    assert request.runner is not None
    runner = RUNNERS[request.runner]
    runner.check_request(request, "cpu")
    seeds, cells = parse_seeds(request.seeds), []
    chosen = [(text, *runner.make_strategy(text)) for text in request.strategies or ()]
    for scenario_text in request.scenarios or ():
        scenario = complete_scenario(parse_spec(scenario_text))
        stream = streams.get(scenario, seeds, request.dtype, str(request.data_root))
        runner.check_scenario(stream, scenario_text)
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
                    request=request_digest(request, asked),
                    question=request_digest(request, asked, whole=False),
                )  # fmt: skip
                own.append(replace(cell, content=content_of(cell, stream)))
            try:
                network = _checked_network(own[-1], stream, checked)
            except PluginError as error:
                broken[own[-1].asked["architecture"]] = error
                continue
            pairs = zip(own[-len(chosen) :], chosen, strict=True)
            own[-len(chosen) :] = [as_built(cell, network, built) for cell, (_, _, built) in pairs]
            _check_strategies(network, own[-len(chosen) :], stream, {text: built for text, _, built in chosen})
        cells += adjust(request, own, stream)
        del stream  # or it would still be there while the next one is built
    return cells


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


def _check_strategies(network: Network, cells: Sequence[Cell], stream: Stream, chosen: Mapping[str, Any]) -> None:
    by_label = {cell.asked["strategy"]: cell for cell in cells}
    for text, strategy in chosen.items():
        cell = by_label[parse_spec(text).label]
        with refusing(cell):
            try:
                RUNNERS[cell.runner].check_cell(network, cell, stream, strategy, text)
            except InputError as error:  # one of many combinations: say which
                raise InputError(f"{cell.asked['scenario']} / {cell.asked['architecture']} / {text}: {error}") from error


def _sources(*specs: Spec) -> dict[str, str]:
    """Return the hash of every file that a spec names, so that an edited plug-in is a different experiment."""
    files = {spec.name.rpartition(":")[0] for spec in specs if ".py:" in spec.name}
    return {Path(file).name: digests(Path(file))[Path(file).resolve().name] for file in sorted(files)}
