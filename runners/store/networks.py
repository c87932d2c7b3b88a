"""The networks of a cell as they were before the first task and after each, in one file that is only appended to.

Writing them costs what one moment has, however many tasks there were. A block is some seeds at one moment: a line of JSON
(whose file it is, the place of the first seed, the moment, and names, types and shapes of the tensors), the tensors' bytes one
after another, and a seal: whose file it is, its format, and the checksum of all of the file before it. A finished cell has a
last block without tensors. Nothing else tells of the file, so it is read as well where there is no checkpoint any more. A block
cuts off what has its place or a later one, which a run that was killed left behind.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from kancl.errors import StorageError
from runners.store.files import DamageError, Tell, open_stored, open_to_append, reason_of
from runners.store.formats import check_format, format_of
from runners.store.seals import DIFFERS, HEX, SEAL

NETWORKS = "networks.bin"
"""Its name, beside ``checkpoint.pt``."""

START = 0
"""The moment before the first task, after pretraining; moment n is the end of task n."""

LONGEST_HEAD = 1 << 20
LARGEST = 1 << 62

Place = tuple[int, int]
"""Of a block in its file: by the place of its first seed, and by its moment."""

KINDS = {str(kind).removeprefix("torch."): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}

END: Place = (LARGEST, LARGEST)
State = dict[str, Tensor]


class TornError(DamageError):
    """The last block is not whole, as where a process was killed that wrote it."""


@dataclass(frozen=True)
class Head:
    """What a block says of itself.

    Args:
        place: where it belongs; :data:`END` for the block that ends a file.
        tensors: name, type and shape of each.
    """

    place: Place
    tensors: tuple[tuple[str, torch.dtype, tuple[int, ...]], ...] = ()

    @cached_property
    def size(self) -> int:
        """Bytes of the tensors."""
        return sum(math.prod(shape) * kind.itemsize for _, kind, shape in self.tensors)

    def to_bytes(self, name: str) -> bytes:
        """Return the line that says it in the file of some name."""
        tensors = [[name, str(kind).removeprefix("torch."), list(shape)] for name, kind, shape in self.tensors]
        said = {"end": True} if self.place == END else {"seed": self.place[0], "moment": self.place[1], "tensors": tensors}
        return json.dumps({"of": name, **said}).encode() + b"\n"

    def of_seed(self, data: bytes, seed: int) -> State | None:
        """Return the tensors (1, ...) of a seed by its place among all; None if the block is of other seeds."""
        found, own, start = {}, seed - self.place[0], 0
        for name, kind, shape in self.tensors:
            row = math.prod(shape[1:]) * kind.itemsize
            if not 0 <= own < shape[0]:
                return None
            part, own_shape = bytearray(data[start + own * row : start + (own + 1) * row]), (1, *shape[1:])
            found[name] = torch.frombuffer(part, dtype=kind).view(own_shape) if part else torch.empty(own_shape, dtype=kind)
            start += shape[0] * row
        return found or None


@dataclass(frozen=True)
class Written:
    """A block that is in the file: its place, where it ends, and the state of the checksum there."""

    place: Place
    size: int
    digest: Any


class Networks:
    """The file of one cell.

    Args:
        path: the file.
        root: the experiment's folder, which it must lie in.
        name: what the file says it is.
        tell: hears, in a line, how it is damaged.
    """

    def __init__(self, path: Path, root: Path, name: str, tell: Tell = lambda line: None) -> None:
        self.path, self.root, self.name, self.tell = path, root, name, tell
        self._written: list[Written] | None = None

    @property
    def size(self) -> int:
        """Bytes of the file; 0 where there is none."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def append(self, moment: int, network: Mapping[str, Tensor], seed: int = 0) -> None:
        """Write networks at a moment, and cut off what the file has of it or of later ones.

        Args:
            moment: :data:`START`, or the number of the task that ended, from 1.
            network: parameters and buffers by name, (S, ...).
            seed: the place of their first seed among those of the cell.

        Raises:
            StorageError: the disk does not take it.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.items()}
        head = Head((seed, moment), tuple((name, tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()))
        self._write(head, [tensor.flatten().view(torch.uint8).numpy() for tensor in tensors.values()])

    def end(self) -> None:
        """Write that there will be no more, if there is anything."""
        known = self._known()
        if known and known[-1].place != END:
            self._write(Head(END), [])

    def take_over(self, other: "Networks") -> None:
        """Begin with the networks of another cell, whose numbers are the first ones of this one."""
        try:
            with open_stored(other.path, other.root) as file:
                for head, data, _ in blocks(file, other.name):
                    if head.place != END:
                        self._write(head, [data])
        except (OSError, DamageError):  # as if nothing had been kept
            self.discard()

    def discard(self) -> None:
        """Remove the file, if there is one."""
        self._written = None
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be removed: {reason_of(error)}") from error

    def read(self, seed: int) -> dict[int, State]:
        """Return the networks (1, ...) of a seed by moment, as far as they are whole; what is not is told.

        Args:
            seed: its place among the seeds of the cell.

        Raises:
            FileNotFoundError: none are kept.
        """
        found: dict[int, State] = {}
        with open_stored(self.path, self.root) as file:
            for head, data, _ in self._whole(blocks(file, self.name)):
                state = head.of_seed(data, seed)
                if state is not None:
                    found[head.place[1]] = state
        return found

    def check(self, ended: bool) -> None:
        """See that the file is as it was written.

        Args:
            ended: whether the cell is finished; what was being written when a process was killed is no damage before.

        Raises:
            FileNotFoundError: there is none.
            DamageError: it is not.
        """
        last: Place | None = None
        with open_stored(self.path, self.root) as file:
            try:
                for head, _, _ in blocks(file, self.name):
                    last = head.place
            except TornError:
                if ended:
                    raise
        if ended and last != END:
            raise DamageError("ends before its end")

    def _known(self) -> list[Written]:
        """Return what is there and whole; read once."""
        if self._written is None:
            self._written = []
            try:
                with open_stored(self.path, self.root) as file:
                    self._written += [block for _, _, block in self._whole(blocks(file, self.name))]
            except (OSError, DamageError):  # a link, for example, which is not written to either
                pass
        return self._written

    def _whole(self, found: "Iterator[Block]") -> "Iterator[Block]":
        """Yield blocks until one is not whole, and tell of damage."""
        try:
            yield from found
        except TornError:
            return
        except DamageError as error:
            self.tell(f"{self.path} {error}; what comes after is left out")

    def _write(self, head: Head, parts: Sequence[Any]) -> None:
        known = [block for block in self._known() if block.place < head.place]
        size, digest = (known[-1].size, known[-1].digest.copy()) if known else (0, hashlib.sha256())
        try:
            with open_to_append(self.path) as file:
                file.truncate(size)
                file.seek(size)
                for part in (head.to_bytes(self.name), *parts, _said(self.name)):
                    digest.update(part)
                    file.write(part)
                seal = digest.hexdigest().encode()
                digest.update(seal)
                file.write(seal)
                file.flush()
                os.fsync(file.fileno())
                self._written = [*known, Written(head.place, file.tell(), digest)]
        except OSError as error:
            self._written = None
            raise StorageError(f"{self.path} cannot be written: {reason_of(error)}") from error


Block = tuple[Head, bytes, Written]


def blocks(file: IO[bytes], name: str) -> Iterator[Block]:
    """Yield the blocks of a file one by one: what they say of themselves, the tensors' bytes, and where they end.

    Args:
        file: open at its beginning.
        name: what it must say it is.

    Raises:
        TornError: the last one is not whole.
        DamageError: one is not what was written, or not of this file.
    """
    digest, left, before = hashlib.sha256(), os.fstat(file.fileno()).st_size, (-1, -1)
    while line := file.readline(LONGEST_HEAD):
        if not line.endswith(b"\n"):
            raise TornError("ends inside of what was written last") if len(line) == left else DamageError(DIFFERS)
        head = _head(line, name)
        if head.place <= before:
            raise DamageError("has its parts in another order than they were written in")
        rest = head.size + len(_said(name)) + HEX
        data = file.read(min(rest, left - len(line)))
        if len(data) < rest:
            raise TornError("ends inside of what was written last")
        digest.update(line)
        digest.update(memoryview(data)[:-HEX])
        _check(data[head.size :], name, digest.hexdigest().encode())
        digest.update(data[-HEX:])
        left, before = left - len(line) - rest, head.place
        yield head, data[: head.size], Written(head.place, file.tell(), digest.copy())


def _said(name: str) -> bytes:
    """Return what stands before the checksum of a block."""
    return f"kancl {name} format {format_of(NETWORKS)} sha256 ".encode()


def _check(tail: bytes, name: str, digest: bytes) -> None:
    """See that a seal is that of this file, and of what comes before it."""
    seal = SEAL.fullmatch(tail)
    if seal is not None and seal[2] is not None and seal[1] == name.encode():
        check_format(NETWORKS, int(seal[2]))
    if seal is None or seal[1] != name.encode() or seal[3] != digest:
        raise DamageError(DIFFERS)


def _head(line: bytes, name: str) -> Head:
    try:
        said = json.loads(line)
        of = said.pop("of")
        if of != name:
            raise DamageError(f"is another file ({str(of)[:600]})")
        if said == {"end": True}:
            return Head(END)
        tensors = tuple((name, KINDS[kind], tuple(shape)) for name, kind, shape in said["tensors"])
        place = said["seed"], said["moment"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DamageError(DIFFERS) from error
    numbers = [*place, *(length for _, _, shape in tensors for length in shape)]
    sizes = all(type(number) is int and 0 <= number < LARGEST for number in numbers)
    if not sizes or not all(isinstance(name, str) and shape for name, _, shape in tensors):
        raise DamageError("holds something that is no network")
    return Head(place, tensors)
