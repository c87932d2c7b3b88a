"""What a cell's numbers depend on beside its settings: its data, and the code of others that makes and trains on them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kancl.models import Network, architectures
from kancl.options import Spec, parse_spec
from runners.config.cell import Cell
from runners.config.request import Request
from runners.config.seeds import parse_seeds
from runners.run import RUNNERS
from runners.store.contents import BUILT, DATA
from runners.stream.digest import digest_of, plain_parts
from runners.stream.stream import Stream
from scenarios.registry import scenarios


def content_of(cell: Cell, stream: Stream) -> dict[str, str]:
    """Return digests of a cell's data and of the code of its scenario, architecture and strategy where it is not kancl's."""
    found = {DATA: stream.digest}
    registries = {"scenario": scenarios, "architecture": architectures, "strategy": RUNNERS[cell.runner].strategies}
    for part, registry in registries.items():
        consists = registry.contents(getattr(cell, part).name)
        found |= {f"{part}: {name}": consists[name] for name in sorted(consists)}
    return found


def as_built(cell: Cell, network: Network, strategy: object) -> Cell:
    """Return a cell with digests of its initial networks and its strategy where these are not kancl's.

    What a builder reads from a file shows there: in parameters, and in numbers, texts and tensors that the objects hold.

    Args:
        cell: with what its parts consist of.
        network: its networks with their initial weights.
        strategy: its strategy, before it began.
    """
    modules = [(name, plain_parts(module)) for name, module in network.named_modules()]
    tensors = [*network.named_parameters(), *network.named_buffers()]
    built = {BUILT[0]: [tensors, modules], BUILT[1]: plain_parts(strategy)}
    others = {name.partition(": ")[0] for name in cell.content}
    digests = {name: digest_of(parts) for name, parts in built.items() if name.partition(": ")[0] in others}
    return replace(cell, content={**cell.content, **digests})


def request_digest(request: Request, asked: Mapping[str, str], whole: bool = True) -> str:
    """Return a digest of what was asked for, before anything was filled in, matched or tuned, and of no content.

    Args:
        request: with its settings.
        asked: one scenario, architecture and strategy of those that it names.
        whole: whether the seeds are part of it.
    """
    parts = ("scenarios", "architectures", "strategies", "cells")
    said = {key: value for key, value in vars(request).items() if value is not None and key not in (*parts, "data_root")}
    if said.get("curve_samples") == "all":  # as where nothing is said
        del said["curve_samples"]
    said["seeds"] = parse_seeds(request.seeds or 0) if whole else ()
    named = [_placed(parse_spec(asked[part])) for part in ("scenario", "architecture", "strategy")]
    text = json.dumps([named, said], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _placed(spec: Spec) -> list[Any]:
    """Return a spec in which a file stands by its place, so that two files of one name are two."""
    file, colon, function = spec.name.rpartition(":")
    return [f"{Path(file).resolve()}:{function}" if colon else spec.name, dict(spec.options)]
