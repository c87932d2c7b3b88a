"""Data files as they are published, only small: written byte by byte after the formats' descriptions, without the readers."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

CLASSES = 10
CIFAR_FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


def bars(per_class: int, side: int, draw: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (N, side, side, channels) with a bright bar across, at another height for each class, and their classes."""
    random = np.random.default_rng(draw)
    labels = random.permutation(np.repeat(np.arange(CLASSES, dtype=np.uint8), per_class))
    images = random.integers(0, 60, (len(labels), side, side, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] += 180
    return images, labels


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes in the IDX format."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx_set(folder: Path, per_class: int = 6, tests_per_class: int = 2, packed: bool = False, draw: int = 0) -> None:
    """The four files of MNIST's kind."""
    folder.mkdir(parents=True)
    for part, count, number in (("train", per_class, draw), ("t10k", tests_per_class, draw + 1)):
        images, labels = bars(count, 28, number)
        for name, array in (("images-idx3", images[..., 0]), ("labels-idx1", labels)):
            contents = idx_bytes(array)
            ending = ".gz" if packed else ""
            (folder / f"{part}-{name}-ubyte{ending}").write_bytes(gzip.compress(contents) if packed else contents)


def cifar_bytes(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Images (N, 32, 32, 3) as records: the class, then the red, the green and the blue plane."""
    return b"".join(
        bytes([label]) + b"".join(image[:, :, channel].tobytes() for channel in range(3))
        for image, label in zip(images, labels, strict=True)
    )


def cifar_files(per_class: int = 2, tests_per_class: int = 2, draw: int = 0) -> dict[str, bytes]:
    """The six files of the binary version; every batch has so many images of each class."""
    counts = [per_class] * 5 + [tests_per_class]
    return {
        name: cifar_bytes(*bars(count, 32, draw + number, channels=3))
        for number, (name, count) in enumerate(zip(CIFAR_FILES, counts, strict=True))
    }


def write_cifar_folder(root: Path) -> None:
    """The binary version, unpacked."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, contents in cifar_files().items():
        (folder / name).write_bytes(contents)


def cifar_archive(members: dict[str, bytes]) -> bytes:
    """The archive, with other members beside those that are needed, as in the published one."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, contents in {"batches.meta.txt": b"airplane\n", **members, "readme.html": b"<p>"}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(contents)
            archive.addfile(entry, io.BytesIO(contents))
    return written.getvalue()


def write_data_root(root: Path) -> Path:
    """Every data set that is read from files."""
    write_idx_set(root / "MNIST" / "raw")
    write_idx_set(root / "fashion-mnist", packed=True, draw=10)
    write_cifar_folder(root)
    return root
