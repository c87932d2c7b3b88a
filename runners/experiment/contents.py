"""What a cell's numbers depend on beside its settings: its data, and the code of others that makes and trains on them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kancl.models import Network, architectures
from kancl.options import Spec, parse_spec
from runners.avalanche.strategies import registry_of
from runners.config.cell import Cell
from runners.config.request import Request
from runners.config.seeds import parse_seeds
from runners.stream.digest import digest_of, plain_parts
from runners.stream.stream import Stream
from scenarios.registry import scenarios

DATA, SETTINGS = "data", "settings"
BUILT = ("architecture: as built", "strategy: as built")


def content_of(cell: Cell, stream: Stream) -> dict[str, str]:
    """Return digests of a cell's data and of the code of its scenario, architecture and strategy where it is not kancl's."""
    found = {DATA: stream.digest}
    registries = {"scenario": scenarios, "architecture": architectures, "strategy": registry_of(cell.runner)}
    for part, registry in registries.items():
        consists = registry.contents(getattr(cell, part).name)
        found |= {f"{part}: {name}": consists[name] for name in sorted(consists)}
    return found


def as_built(cell: Cell, network: Network, strategy: object) -> Cell:
    """Return a cell with digests of its initial networks and its strategy where these are not kancl's.

    What a builder reads from a file shows there: in parameters, and in numbers, texts and tensors that the objects hold.
    """
    modules = [(name, plain_parts(module)) for name, module in network.named_modules()]
    tensors = [*network.named_parameters(), *network.named_buffers()]
    built = {BUILT[0]: [tensors, modules], BUILT[1]: plain_parts(strategy)}
    others = {name.partition(": ")[0] for name in cell.content}
    digests = {name: digest_of(parts) for name, parts in built.items() if name.partition(": ")[0] in others}
    return replace(cell, content={**cell.content, **digests})


def request_digest(request: Request, scenario: str, architecture: str, strategy: str) -> str:
    """Return a digest of what was asked for, before anything was filled in, matched or tuned, and of no content."""
    parts = ("scenarios", "architectures", "strategies")
    said = {key: value for key, value in vars(request).items() if value is not None and key not in (*parts, "data_root")}
    said["seeds"] = parse_seeds(request.seeds or 0)
    asked = [_placed(parse_spec(text)) for text in (scenario, architecture, strategy)]
    text = json.dumps([asked, said], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _placed(spec: Spec) -> list[Any]:
    """Return a spec in which a file stands by its place, so that two files of one name are two."""
    file, colon, function = spec.name.rpartition(":")
    return [f"{Path(file).resolve()}:{function}" if colon else spec.name, dict(spec.options)]


def same_content(one: Cell, other: Cell, but: str = "strategy") -> bool:
    """Tell whether two cells depend on the same contents but those of one part; cells without a record are believed."""
    ours, theirs = ({k: v for k, v in c.content.items() if not k.startswith(f"{but}: ")} for c in (one, other))
    return ours == theirs or not one.content or not other.content


def recorded(cell: Cell) -> dict[str, str]:
    """Return what may change while the same is asked for, by name: contents, files that were read, and what was filled in."""
    filled = [cell.scenario.options, cell.architecture.options, cell.strategy.options, cell.policy.label]
    settings = hashlib.sha256(json.dumps(filled, sort_keys=True).encode(errors="surrogatepass")).hexdigest()
    return {**cell.content, **{f"file: {name}": digest for name, digest in cell.sources.items()}, SETTINGS: settings}


def changed(cell: Cell, before: Mapping[str, str]) -> str:
    """Return in words what differs from an earlier record of the same request, e.g. ``the data of `two` ``."""
    now = recorded(cell)
    names = [name for name in dict.fromkeys([*now, *before]) if now.get(name) != before.get(name)]
    coded = {name.partition(": ")[0] for name in names if name not in BUILT}
    names = [name for name in names if name not in BUILT or name.partition(": ")[0] not in coded]  # what follows from the code
    told = [_words(name, cell) for name in names if name != SETTINGS and not name.startswith("file: ")]
    told = told or [_words(name, cell) for name in names if name != SETTINGS]  # a data file shows in the data, if it matters
    return _joined(told or ["defaults or advice"])


def _words(name: str, cell: Cell) -> str:
    if name == DATA:
        return f"the data of `{cell.labels.get('scenario', cell.scenario.name)}`"
    part, _, thing = name.partition(": ")
    if part == "file" or thing.startswith("package "):
        return thing
    file = getattr(cell, part).name.rpartition(":")[0]
    if name in BUILT:
        return f"what {file or getattr(cell, part).name} builds"
    return file if not file or Path(file).name == thing else f"{thing} beside {file}"


def _joined(words: Iterable[str]) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last
