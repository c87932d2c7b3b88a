"""What anybody may give: experiment files, texts of options, and stored files, drawn at random from what is nearly right."""

import json
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runners.config.request import Request
from runners.store.seals import SEAL, seal, write_sealed
from runners.store.stored import write_arrays

KEYS = [own.name for own in fields(Request)]
NAMES = [
    "gaussian-peaks",
    "split-digits",
    "feynman",
    "mlp",
    "kan",
    "lookup",
    "naive",
    "ewc",
    "replay",
    "si",
    "nothing",
    "x.py:f",
]
OPTIONS = ["tasks", "samples", "hidden", "intervals", "strength", "setting", "base", "grid", "size", "skip", "blur", "cycles"]
WORDS = ["", "none", "true", "nan", "inf", "-inf", "0", "-1", "1e400", "9" * 40, "[1,2", "[[1]]", '"', "a" * 300, "../../x",
         "/dev/zero", "\0", "\x1b[31m", "é任", "\ud800", "{}", "=", ",", ":", "1x2x3", "{x}", "%s", "~", "-"]  # fmt: skip


def number(draw: random.Random) -> Any:
    """Return a number, most of them odd ones."""
    return draw.choice([0, 1, -1, 2, 3, 0.5, 2**31, 2**63, -(2**63), 10**30, 1e-320, 1e308, float("nan"), float("inf"), True])


def value(draw: random.Random, depth: int = 0) -> Any:
    """Return a value of TOML or JSON."""
    kinds: list[Callable[[], Any]] = [
        lambda: number(draw),
        lambda: draw.choice(WORDS),
        lambda: spec(draw),
        lambda: draw.randrange(-3, 12),
    ]
    if depth < 3:
        kinds.append(lambda: [value(draw, depth + 1) for _ in range(draw.randrange(4))])
        kinds.append(lambda: {draw.choice(KEYS + WORDS[1:5]): value(draw, depth + 1) for _ in range(draw.randrange(3))})
    return draw.choice(kinds)()


def spec(draw: random.Random) -> str:
    """Return the text of a name with options."""
    parts = []
    for _ in range(draw.choice([0, 1, 1, 2, 5])):
        given = draw.choice([draw.choice(WORDS), str(number(draw)), str(draw.randrange(9)), draw.choice(NAMES)])
        parts.append(f"{draw.choice(OPTIONS + WORDS[:6])}{draw.choice(['=', '=', '=', '', '=='])}{given}")
    return scrambled(draw, f"{draw.choice(NAMES)}{':' if parts else ''}{','.join(parts)}", draw.choice([0, 0, 0, 1, 3]))


def scrambled(draw: random.Random, text: str, times: int) -> str:
    """Return a text with letters put in, taken out, or repeated."""
    for _ in range(times):
        place = draw.randrange(len(text) + 1)
        act = draw.randrange(3)
        put = draw.choice([draw.choice(string.printable), draw.choice(WORDS)])
        text = (
            text[:place] + (put if act == 0 else text[place : place + 5] * 2 if act == 1 else "") + text[place + (act == 2) :]
        )
    return text


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return other bytes: with bits flipped, a part cut off, taken out, repeated, or made of something else."""
    whole = data
    while data == whole:
        data = _damaged(draw, data)
    return data


def _damaged(draw: random.Random, data: bytes) -> bytes:
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(data) + 1)
        size = draw.choice([1, 1, 4, 30])
        act = draw.randrange(5)
        if act == 0 and place < len(data):
            data = data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :]
        elif act == 1:
            data = data[:place]
        elif act == 2:
            data = data[:place] + data[place + size :]
        elif act == 3:
            data = data[: place + size] + data[place:]
        else:
            data = data[:place] + draw.randbytes(size) + data[place + size :]
    return data


def toml(own: Any) -> str:
    """Return a value as TOML has it, as far as it has it."""
    if isinstance(own, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(part)}" for key, part in own.items()) + "}"
    if isinstance(own, list):
        return "[" + ", ".join(map(toml, own)) + "]"
    return str(own) if isinstance(own, float) else json.dumps(own)


def experiment_file(draw: random.Random, examples: Sequence[bytes]) -> bytes:
    """Return an experiment file: a damaged example, or keys with values that they need not take."""
    if draw.random() < 0.3:
        return damaged(draw, draw.choice(examples))
    lines = ['scenarios = ["gaussian-peaks:tasks=2,samples=8"]'] if draw.random() < 0.5 else []
    for _ in range(draw.randrange(6)):
        key = draw.choice(KEYS) if draw.random() < 0.85 else draw.choice(WORDS)
        lines.append(f"{key.replace('_', draw.choice('_-'))} = {toml(value(draw))}")
        if draw.random() < 0.1:
            lines.append(draw.choice(["[[block]]", "[block]", "[[block.block]]", "[policy]"]))
    text = scrambled(draw, "\n".join(lines), draw.choice([0, 0, 0, 1, 2]))
    return text.encode(errors="surrogatepass")


def resealed(draw: random.Random, path: Path) -> None:
    """Change what a stored file holds, and seal it as somebody would who wants to be believed."""
    if path.suffix == ".json":
        content = json.loads(path.read_bytes())
        name = content.pop("of")
        content.pop("sha256")
        for _ in range(draw.choice([1, 1, 2])):
            content = changed(draw, content)
        try:
            write_sealed(path, name, content)
        except (ValueError, TypeError):  # what JSON cannot be written of
            write_sealed(path, name, {})
        return
    match = SEAL.search(path.read_bytes()[-900:])
    assert match is not None
    name = match[1].decode()
    if path.suffix == ".npz":
        with np.load(path) as archive:
            arrays = dict(archive)
        _change_arrays(draw, arrays)
        with path.open("w+b") as file:
            write_arrays(file, arrays)
            seal(file, name)
        return
    content = changed(draw, torch.load(path, weights_only=True))
    with path.open("w+b") as file:
        torch.save(content, file)
        seal(file, name)


def changed(draw: random.Random, content: Any) -> Any:
    """Return nested values with one of them changed, left out, or put in."""
    if isinstance(content, dict) and content and draw.random() < 0.9:
        key = draw.choice(list(content))
        act = draw.random()
        if act < 0.1:
            return {own: part for own, part in content.items() if own != key}
        if act < 0.2:
            return {**content, draw.choice([*WORDS, "../x", "/etc/passwd", "format"]): value(draw)}
        return {**content, key: changed(draw, content[key])}
    if isinstance(content, list) and content and draw.random() < 0.7:
        place = draw.randrange(len(content))
        return [*content[:place], changed(draw, content[place]), *content[place + 1 :]]
    if isinstance(content, torch.Tensor) and draw.random() < 0.8:
        acts: list[Callable[[torch.Tensor], torch.Tensor]] = [
            lambda t: t[None], lambda t: t.double(), lambda t: t.flatten()[:0], lambda t: t.to(torch.int32),
            lambda t: t * torch.nan, lambda t: t.to(torch.complex64),
            lambda t: t.repeat(2, *[1] * (t.ndim - 1)) if t.ndim else t,
        ]  # fmt: skip
        return draw.choice(acts)(content)
    return value(draw)


def _change_arrays(draw: random.Random, arrays: dict[str, np.ndarray]) -> None:
    name = draw.choice(list(arrays))
    own = arrays[name]
    acts: list[Callable[[], Any]] = [
        lambda: own[None], lambda: own[:0] if own.ndim else own, lambda: np.array(draw.choice(WORDS)), lambda: own.astype("U8"),
        lambda: np.full_like(own, 0), lambda: np.array(draw.choice([0, -1, 2**62])), lambda: own.T,
        lambda: own[..., :1] if own.ndim else own[None],
        lambda: np.full(own.shape, draw.choice([np.nan, np.inf, -1e308, 0.0])),
        lambda: own.repeat(2, axis=-1) if own.ndim else own,
        lambda: own.astype(draw.choice(["f2", "f4", "i1", "c16", ">f8", "b1"])) if own.dtype.kind in "fiub" else own,
        lambda: np.array([draw.choice(WORDS) for _ in range(own.size)]).reshape(own.shape),
    ]  # fmt: skip
    act = draw.randrange(len(acts) + 2)
    if act < len(acts):
        arrays[name] = acts[act]()
    elif act == len(acts):
        del arrays[name]
    else:
        arrays[draw.choice(["../x", "R/none", "payload", "/x", "R/../x"])] = own
