"""The cell: what is run, stored and resumed as one, with everything written out, and the name under which it is stored."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from kancl.errors import InputError
from kancl.options import Spec
from runners.config.policy import LATER, Policy

FORMAT = 2
"""Number of the stored format; a change of what a configuration means gets a new one."""

DATA_ROOT = "data"
"""That of :mod:`scenarios.data.files`, which the command line's help does not wait for."""

Runner = Literal["native", "avalanche"]

LONGEST = 255
"""Bytes of a key: it names a folder, and file systems take no more."""


@dataclass(frozen=True)
class Cell:
    """The unit that is run, stored and resumed: one scenario, architecture, strategy and policy with a block of seeds.

    Each spec is there twice: as it was asked for (it names the results), and with every option spelled out. ``sources`` has the
    SHA-256 of the plug-in and data files, by name; ``data_root`` says where the data files were, which makes no difference.
    ``content`` has digests of everything that the numbers depend on, by name (:mod:`runners.experiment.contents`): the data of
    all seeds as they were built, and the code of others; it is empty in cells that were stored before it was recorded.
    ``request`` is a digest of what was asked for, by which a cell of other contents is known again, and ``question`` one of the
    same without its seeds, by which cells of other seeds are; it is empty where a seed's values were chosen (tuned) apart.
    ``curve_samples`` is how many test samples of a task the evaluations inside tasks are made on.
    """

    scenario: Spec
    architecture: Spec
    strategy: Spec
    policy: Policy
    seeds: tuple[int, ...]
    dtype: Literal["float32", "float64"] = "float32"
    evaluations: int = 12
    locality: bool = False
    runner: Runner = "native"
    asked: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    data_root: str = DATA_ROOT
    content: Mapping[str, str] = field(default_factory=dict)
    request: str = ""
    question: str = ""
    curve_samples: int | Literal["all"] = "all"

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain values; equal configurations give equal JSON."""
        return {"format": FORMAT, **_plain(self)}

    @property
    def labels(self) -> dict[str, str]:
        """What the cell is called where people read: as it was asked for, and who carries out its strategy if not kancl."""
        if self.runner == "native":
            return dict(self.asked)
        return {**self.asked, "strategy": f"{self.runner}:{self.asked['strategy']}"}

    @cached_property
    def key(self) -> str:
        """The name of the cell's directory: readable, and ending in a hash of everything that determines its numbers."""
        config = self.to_json()
        for part in ("asked", "data_root", "request", "question"):
            config = _without(config, part)
        if not self.content:
            config = _without(config, "content")
        if not self.locality:  # as before there was a choice, so that older runs are still found
            config = _without(config, "locality")
        if self.runner == "native":
            config = _without(config, "runner")
        if self.curve_samples == "all":
            config = _without(config, "curve_samples")
        config["policy"] = {k: v for k, v in config["policy"].items() if k not in LATER or v != LATER[k]}
        for part in ("scenario", "architecture", "strategy"):  # a file counts by its contents, not by its folder
            config[part] = {**config[part], "name": Path(config[part]["name"]).name}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:10]
        names = [Path(spec.name).name.split(":")[-1] for spec in (self.scenario, self.architecture, self.strategy)]
        names[2] = names[2] if self.runner == "native" else f"{self.runner}-{names[2]}"
        said = [re.sub(r"[^\w.-]", "_", name) for name in names]
        if len("--".join([*said, digest]).encode()) > LONGEST:  # the digest tells apart what is cut
            said = [name.encode()[: LONGEST // 3 - 6].decode(errors="ignore") for name in said]
        return "--".join([*said, digest])

    @property
    def old_key(self) -> str:
        """The name of the directory in folders that were written before contents were recorded."""
        return replace(self, content={}).key

    @property
    def asked_key(self) -> str:
        """The key without any content: the same whatever files and data hold."""
        return replace(self, content={}, sources={}).key


def cell_from_json(config: Mapping[str, Any]) -> Cell:
    """Read what :meth:`Cell.to_json` wrote."""
    if config.get("format") != FORMAT:
        raise InputError(f"stored format {config.get('format')} is not the one this version reads ({FORMAT})")
    values = _without(config, "format")
    for part in ("scenario", "architecture", "strategy"):
        values[part] = Spec(**values[part])
    values["policy"] = Policy(**values["policy"])
    values["seeds"] = tuple(values["seeds"])
    return Cell(**values)


def _plain(value: Any) -> Any:
    """Return a configuration as plain values, as :func:`dataclasses.asdict` does slowly, by copying texts."""
    if is_dataclass(value):
        return {name: _plain(part) for name, part in vars(value).items() if name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    return value


def _without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k != key}
