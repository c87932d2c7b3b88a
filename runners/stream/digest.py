"""One digest of many tensors: read where they lie, each once."""

import hashlib
from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from runners.stream.samples import once


def digest_of(value: object, without: Collection[str] = ()) -> str:
    """Return the SHA-256 of dataclasses, sequences, tensors and plain values, whatever order of seeds or device they lie in.

    Tensors count by their number format, shape and values; what all seeds or several places share is read once.

    Args:
        value: what is digested.
        without: the fields of dataclasses that do not count.
    """
    digest = hashlib.sha256()
    _feed(digest, value, without, {})
    return digest.hexdigest()


def plain_parts(thing: object) -> list[tuple[str, object]]:
    """Return, by name, what an object holds of numbers, texts, tensors, collections of them, and functions by their names.

    Of a module that is what its author put there: not what every module has, and no tensors, which are parameters or buffers.
    """
    module = isinstance(thing, nn.Module)
    held = [(name, value) for name, value in sorted(vars(thing).items()) if not (module and name in _OF_MODULES)]
    held = [(name, getattr(value, "__qualname__", value)) for name, value in held]
    return [(name, value) for name, value in held if _is_plain(value) and not (module and isinstance(value, Tensor))]


_OF_MODULES = frozenset(vars(nn.Module()))


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return _is_plain(list(value.items()))
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | Tensor)


def _feed(digest: Any, value: object, without: Collection[str], seen: dict[tuple[object, ...], bytes]) -> None:
    if isinstance(value, Tensor):
        place = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if place not in seen:
            own = once(value) if value.ndim else value
            content = own.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
            seen[place] = hashlib.sha256(content.data).digest()
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode() + seen[place])
    elif is_dataclass(value):
        for field in fields(value):
            own = getattr(value, field.name)
            if own is not None and field.name not in without:  # so that a field that comes later may be left empty
                digest.update(f"{field.name}:".encode())
                _feed(digest, own, without, seen)
    elif isinstance(value, dict):
        _feed(digest, list(value.items()), without, seen)
    elif isinstance(value, tuple | list):
        digest.update(f"{len(value)} of:".encode())
        for item in value:
            _feed(digest, item, without, seen)
    else:
        digest.update(f"{value!r};".encode(errors="surrogatepass"))
