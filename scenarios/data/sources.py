"""Where data sets come from: a loader for each name."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from kancl.errors import InputError
from scenarios.data.cifar import IMAGE, read_cifar
from scenarios.data.dataset import DataSet
from scenarios.data.files import find_files
from scenarios.data.idx import read_idx

MNIST_SHAPE = (28, 28)
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
FIRST_LABELS = {"mnist": [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "fashion-mnist": [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]}
"""Of the published training sets, whose files have the same four names."""


def load_data(name: str, data_root: Path) -> DataSet:
    """Return the data set called ``name``.

    Args:
        name: one of ``DATA_SETS``.
        data_root: the folder of data files, for those that are read from files.

    Raises:
        InputError: files that are missing or damaged.
    """
    return DATA_SETS[name](data_root)


@cache
def _shipped(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and labels of a set inside scikit-learn, which reads it from text; shared, so not to be changed."""
    from sklearn import datasets  # on use: slow to import

    data = getattr(datasets, f"load_{name}")()
    return data.data, data.target


def _digits(data_root: Path) -> DataSet:
    return DataSet("digits", _tensors(*_shipped("digits")), None, 10, (8, 8), white=16)


def _wine(data_root: Path) -> DataSet:
    return DataSet("wine", _tensors(*_shipped("wine")), None, 3)


def _breast_cancer(data_root: Path) -> DataSet:
    return DataSet("breast-cancer", _tensors(*_shipped("breast_cancer")), None, 2)


def _mnist(data_root: Path) -> DataSet:
    source = "https://yann.lecun.com/exdb/mnist/ (also at https://ossci-datasets.s3.amazonaws.com/mnist/)"
    return _idx_images("mnist", data_root, ("MNIST/raw", "mnist", "raw"), source)


def _fashion_mnist(data_root: Path) -> DataSet:
    source = "https://github.com/zalandoresearch/fashion-mnist"
    return _idx_images("fashion-mnist", data_root, ("FashionMNIST/raw", "fashion-mnist", "raw"), source)


def _cifar10(data_root: Path) -> DataSet:
    train, test, files = read_cifar(data_root)
    return _images("cifar10", train, test, IMAGE, files)


DATA_SETS: dict[str, Callable[[Path], DataSet]] = {
    "digits": _digits,
    "wine": _wine,
    "breast-cancer": _breast_cancer,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "cifar10": _cifar10,
}
"""Loaders by name; each takes the folder of data files."""

FROM_FILES = ("mnist", "fashion-mnist", "cifar10")
"""Those that are read from files; the others ship inside scikit-learn."""


def _idx_images(name: str, data_root: Path, folders: tuple[str, ...], source: str) -> DataSet:
    needed = [file for pair in MNIST_FILES.values() for file in pair]
    paths = find_files(data_root, folders, needed, ("", ".gz"), name, source)
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    files: dict[str, str] = {}
    for part, (image_file, label_file) in MNIST_FILES.items():
        images, labels = read_idx(paths[image_file], MNIST_SHAPE), read_idx(paths[label_file], ())
        if len(images.array) != len(labels.array):
            raise InputError(
                f"{paths[image_file]} has {len(images.array):,} images and {paths[label_file]} {len(labels.array):,} labels; "
                "they belong together and must be as many"
            )
        if labels.array.max() > 9:
            place = int(np.argmax(labels.array > 9))
            raise InputError(f"{paths[label_file]}: label {place} is {labels.array[place]}, expected 0 to 9")
        for other, first in FIRST_LABELS.items():
            if part == "train" and other != name and labels.array[: len(first)].tolist() == first:
                raise InputError(
                    f"{paths[label_file]} belongs to {other}, and {name} was asked for; their files have the same names, so "
                    f"put each set into a folder of its own, such as {folders[1]}"
                )
        pairs[part] = images.array.reshape(len(images.array), -1), labels.array
        files |= {image_file: images.sha256, label_file: labels.sha256}
    return _images(name, pairs["train"], pairs["test"], MNIST_SHAPE, files)


def _images(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    image_shape: tuple[int, ...],
    files: dict[str, str],
) -> DataSet:
    """Return images with a published test set, without the training images that are also among the test images.

    Some published sets hold a few of those; they would be tests of memory, and the test set is what others report on.
    """
    tested = {image.tobytes() for image in test[0]}
    new = np.array([image.tobytes() not in tested for image in train[0]])
    if not new.any():
        raise InputError(f"{name}: every training image is also a test image; the files of the two parts must differ")
    if not new.all():
        train = train[0][new], train[1][new]
    pairs = [(torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))) for x, y in (train, test)]
    return DataSet(name, pairs[0], pairs[1], 10, image_shape, files=files)


def _tensors(x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return copies of both."""
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.int64)
