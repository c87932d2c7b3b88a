"""The IDX format of the MNIST files: two zero bytes, the type of the numbers, how many dimensions, their sizes, the numbers.

Sizes are four bytes each, the highest first; type 8 is unsigned bytes, and no other is used by the data sets read here
(LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kancl.errors import InputError
from scenarios.data.files import contents_of, opened, read_up_to

BYTES = 8
MOST_ITEMS = 1_000_000
"""The published files have 60,000; a header that claims more than this is damaged."""


@dataclass(frozen=True, eq=False)
class Idx:
    """The bytes of an IDX file, (N, ...), and the SHA-256 of the uncompressed file."""

    array: np.ndarray
    sha256: str


def read_idx(path: Path, item_shape: tuple[int, ...]) -> Idx:
    """Read a file of N items of the given shape, plain or compressed by gzip.

    Raises:
        InputError: naming the file, what was expected and what came.
    """
    return parse_idx(opened(contents_of(path)), path, item_shape)


def parse_idx(stream: BinaryIO, path: Path, item_shape: tuple[int, ...]) -> Idx:
    """Read IDX from a stream.

    Args:
        stream: of what is uncompressed.
        path: for messages.
        item_shape: of each item; () for labels.

    Raises:
        InputError: what is damaged, or of another shape.
    """
    dimensions = 1 + len(item_shape)
    magic = bytes((0, 0, BYTES, dimensions))
    header = read_up_to(stream, 4 + 4 * dimensions, path)
    if not header:
        raise InputError(f"{path} is empty; expected an IDX file")
    if header[:4] != magic:
        raise InputError(
            f"{path} begins with {header[:4].hex(' ')}; expected {magic.hex(' ')}: IDX, bytes in {dimensions} dimensions"
        )
    if len(header) < 4 + 4 * dimensions:
        raise InputError(f"{path} ends within its header: it has {len(header)} bytes, expected at least {4 + 4 * dimensions}")
    count, *shape = (int(size) for size in np.frombuffer(header, ">u4", offset=4))
    if tuple(shape) != item_shape:
        raise InputError(f"{path} holds items of shape {tuple(shape)}, expected {item_shape}")
    if not 1 <= count <= MOST_ITEMS:
        raise InputError(f"{path} says that it holds {count:,} items, expected 1 to {MOST_ITEMS:,}")
    length = count * math.prod(item_shape)
    body = read_up_to(stream, length + 1, path)
    if len(body) != length:
        came = f"only {len(body):,}" if len(body) < length else "more"
        raise InputError(f"{path} must have {length:,} bytes after its header, for {count:,} items, and has {came}")
    digest = hashlib.sha256(header)
    digest.update(body)
    return Idx(np.frombuffer(body, np.uint8).reshape(count, *item_shape), digest.hexdigest())
