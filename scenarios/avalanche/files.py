"""The files behind avalanche's classic benchmarks: which must lie where, and no download that was not asked for."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kancl.errors import InputError

_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_CIFAR10 = tuple(
    f"cifar-10-batches-py/{name}" for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")
)
_CIFAR100 = tuple(f"cifar-100-python/{name}" for name in ("train", "test", "meta"))
_MNIST = tuple(f"MNIST/raw/{name}" for name in _IDX)

FILES = {
    "SplitMNIST": _MNIST,
    "PermutedMNIST": _MNIST,
    "RotatedMNIST": _MNIST,
    "SplitFMNIST": tuple(f"FashionMNIST/raw/{name}" for name in _IDX),
    "SplitCIFAR10": _CIFAR10,
    "SplitCIFAR100": _CIFAR100,
    "SplitCIFAR110": _CIFAR10 + _CIFAR100,
}
"""The unpacked files of a benchmark, below the folder of data files; torchvision's layout."""

_LOCK = threading.RLock()


def find_files(benchmark: str, data_root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a benchmark, by its name below ``data_root``; none for a benchmark not in ``FILES``.

    Raises:
        InputError: files that are not there, and where they belong.
    """
    names = FILES.get(benchmark, ())
    missing = [name for name in names if not (data_root / name).is_file()]
    if missing:
        raise InputError(
            f"{benchmark} reads {len(names)} files below {data_root.resolve()}, of which {len(missing)} are not there:"
            + "".join(f"\n  - {name}" for name in missing)
            + "\nPut them there unpacked, as torchvision lays them out, or name another folder; nothing is downloaded here"
        )
    return {name: digest(data_root / name) for name in names}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def offline() -> Iterator[list[str]]:
    """Refuse the calling thread every address on a network; gives the list of hosts that were asked for.

    avalanche's data sets download what is missing, most of them without a way to tell them not to. Whoever resolves a host's
    name does it by ``socket.getaddrinfo``; other threads go on as ever.
    """
    asked: list[str] = []
    thread = threading.get_ident()

    def refuse(host: Any, *rest: Any, **settings: Any) -> Any:
        if threading.get_ident() != thread:
            return resolve(host, *rest, **settings)
        asked.append(host.decode() if isinstance(host, bytes) else str(host))
        raise OSError(f"no connection to {asked[-1]}: nothing is downloaded here")

    with _LOCK:
        resolve = socket.getaddrinfo
        socket.getaddrinfo = refuse
        try:
            yield asked
        finally:
            socket.getaddrinfo = resolve
