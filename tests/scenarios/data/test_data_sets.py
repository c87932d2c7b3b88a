"""Guards what is drawn from data sets: which samples, on which scale, and how images are turned and filtered."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.ndimage import rotate
from scipy.signal import correlate2d
from sklearn.datasets import load_breast_cancer, load_wine

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.data.dataset import DataSet
from scenarios.data.draw import draw
from scenarios.data.features import random_convolution, standardiser
from scenarios.data.rotation import rotate_images, rotate_pairs
from scenarios.data.sources import DATA_SETS, FROM_FILES, load_data

NAMES = tuple(DATA_SETS)
INSIDE = tuple(name for name in NAMES if name not in FROM_FILES)


def rows_of(x: torch.Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in x}


@pytest.mark.parametrize("name", NAMES)
def test_whoever_changes_a_data_set_changes_it_for_nobody_else(name: str, data_root: Path) -> None:
    first = load_data(name, data_root)
    assert first.train[1].dtype == torch.int64
    kept = [tensor.clone() for tensor in first.train]
    for tensor in first.train:
        tensor.zero_()
    assert all(map(torch.equal, load_data(name, data_root).train, kept))


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_says_what_it_is(name: str, data_root: Path) -> None:
    data = load_data(name, data_root)
    assert data.name == name
    assert data.train[0].shape == (len(data.train[1]), data.train[0].shape[1])
    assert data.train[1].unique().tolist() == list(range(data.classes))
    assert (data.test is None) == (name in INSIDE)
    assert bool(data.files) == (name in FROM_FILES)
    assert (data.image_shape is None) == (name in ("wine", "breast-cancer"))
    if data.image_shape is not None:
        assert np.prod(data.image_shape) == data.train[0].shape[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("samples", [None, 3])
def test_what_is_drawn_lies_in_its_span_class_after_class(name: str, samples: int | None, data_root: Path) -> None:
    data = load_data(name, data_root)
    drawn = draw(data, 4, range(data.classes), samples)
    low, high = drawn.span
    for x, y in (drawn.train, drawn.test):
        assert x.dtype == torch.float32
        assert low <= x.min()
        assert x.max() <= high
        assert torch.equal(y, y.sort().values)
    assert drawn.train[1].unique().tolist() == drawn.test[1].unique().tolist() == list(range(data.classes))
    if samples is not None:
        assert torch.bincount(drawn.train[1]).tolist() == [samples] * data.classes
    assert not rows_of(drawn.train[0]) & rows_of(drawn.test[0])


@pytest.mark.parametrize(("name", "load"), [("wine", load_wine), ("breast-cancer", load_breast_cancer)])
def test_columns_of_tables_are_standardised_by_the_training_samples(name: str, load: type) -> None:
    source, data = load(), load_data(name, Path())
    drawn = draw(data, 0, range(data.classes))
    count = len(source.target)
    assert len(drawn.train[1]) + len(drawn.test[1]) == count
    # Which rows of the source are the training samples: those that the map, made anew from them, takes to what was drawn.
    random = generator(0, name)
    train = []
    for label in range(data.classes):
        members = np.flatnonzero(source.target == label)
        members = members[torch.randperm(len(members), generator=random).numpy()]
        train.append(members[round(0.2 * len(members)) :])
    raw = source.data.astype(np.float32).astype(np.float64)
    ours = raw[np.concatenate(train)]
    np.testing.assert_allclose(drawn.train[0].numpy(), np.clip((ours - ours.mean(0)) / ours.std(0), -3, 3), atol=1e-5)
    rest = np.delete(raw, np.concatenate(train), 0)
    z = np.clip((rest - ours.mean(0)) / ours.std(0), -3, 3)
    np.testing.assert_allclose(np.sort(drawn.test[0].numpy(), 0), np.sort(z, 0), atol=1e-5)


def test_standardised_values_end_at_three_deviations() -> None:
    train = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
    scaled = standardiser(train)(torch.tensor([[1.0, 5.0], [3.0, 7.0], [-10.0, 5.0], [10.0, 100.0]]))
    assert scaled.tolist() == [[0.0, 0.0], [2.0, 2.0], [-3.0, 0.0], [3.0, 3.0]]


def test_grey_values_are_scaled_to_one(data_root: Path, toy_files: ModuleType) -> None:
    drawn = draw(load_data("mnist", data_root), 0, range(10))
    images, labels = toy_files.bars(6, 28, 0)
    expected = np.concatenate([images[labels == label] for label in range(10)]).reshape(60, -1) / 255
    np.testing.assert_allclose(drawn.train[0].numpy(), expected, atol=1e-7)


def test_published_data_do_not_depend_on_the_seed_but_samples_do(data_root: Path) -> None:
    data = load_data("fashion-mnist", data_root)
    one, other = draw(data, 0, range(10)), draw(data, 1, range(10))
    assert torch.equal(one.train[0], other.train[0])
    assert torch.equal(one.test[0], other.test[0])
    few, others, again = (draw(data, seed, range(10), 3) for seed in (0, 1, 0))
    assert torch.equal(few.train[0], again.train[0])
    assert not torch.equal(few.train[0], others.train[0])
    assert torch.equal(few.test[0], one.test[0])
    assert rows_of(few.train[0]) < rows_of(one.train[0])


def test_even_classes_are_cut_to_the_smallest() -> None:
    data = load_data("wine", Path())
    drawn = draw(data, 0, (2, 0, 1), even=True)
    assert torch.bincount(drawn.train[1]).tolist() == [38] * 3, "48 wines of the rarest cultivar, a fifth of them for tests"
    assert torch.bincount(drawn.test[1]).tolist() == [10] * 3


def test_the_order_numbers_the_classes() -> None:
    data = load_data("digits", Path())
    plain, other = draw(data, 0, range(10)), draw(data, 0, (7, 2))
    for place, label in enumerate((7, 2)):
        assert torch.equal(other.train[0][other.train[1] == place], plain.train[0][plain.train[1] == label])


def test_impossible_draws_are_refused() -> None:
    x, y = torch.rand(20, 3), torch.arange(20) % 2
    for data, samples, message in (
        (DataSet("few", (x, y), (x, y), 3), None, "few has no training samples of class 2"),
        (DataSet("few", (x, y), (x[::2], y[::2]), 2), None, "few has no test samples of class 1"),
        (DataSet("few", (x, y), (x, y), 2), 11, "samples must be 1 to 10"),
        (DataSet("few", (x, y), (x, y), 2), 0, "samples must be 1 to 10"),
    ):
        with pytest.raises(InputError, match=message):
            draw(data, 0, range(data.classes), samples)


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (6, 6, 3)])
@pytest.mark.parametrize("degrees", [0.0, 10.0, 45.0, 90.0, 180.0, -30.0])
def test_images_turn_as_scipy_turns_them_one_by_one(shape: tuple[int, ...], degrees: float) -> None:
    images = torch.rand(4, int(np.prod(shape)), generator=generator(0, "images"))
    turned = rotate_images(images, shape, degrees)
    for ours, image in zip(turned, images, strict=True):
        expected = rotate(image.view(shape).numpy(), degrees, reshape=False, order=1, mode="grid-constant")
        np.testing.assert_allclose(ours.view(shape).numpy(), expected, atol=1e-5)
    assert turned.min() >= 0
    assert turned.max() <= 1


def test_quarter_turns_are_counter_clockwise_and_lose_nothing() -> None:
    image = torch.rand(2, 36, generator=generator(1, "images"))
    np.testing.assert_allclose(
        rotate_images(image, (6, 6), 90).view(2, 6, 6).numpy(), np.rot90(image.view(2, 6, 6).numpy(), axes=(1, 2)), atol=1e-6
    )
    back = rotate_images(rotate_images(image, (6, 6), 90), (6, 6), -90)
    torch.testing.assert_close(back, image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("columns", [2, 3, 13, 30])
def test_pairs_of_columns_turn_as_complex_numbers_do(columns: int) -> None:
    x = torch.randn(5, columns, generator=generator(0, "table", columns))
    turned = rotate_pairs(x, 35.0).numpy()
    for first in range(0, columns - 1, 2):
        z = (x[:, first] + 1j * x[:, first + 1]).numpy() * np.exp(1j * np.deg2rad(35))
        np.testing.assert_allclose(turned[:, first], z.real, atol=1e-6)
        np.testing.assert_allclose(turned[:, first + 1], z.imag, atol=1e-6)
    if columns % 2:
        np.testing.assert_array_equal(turned[:, -1], x[:, -1].numpy())
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), x.norm(dim=1).numpy(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3)])
def test_random_convolutions_are_filters_relu_and_averages(shape: tuple[int, ...]) -> None:
    channels = shape[2] if len(shape) == 3 else 1
    x = torch.rand(40, int(np.prod(shape)), generator=generator(0, "images"))
    ours = random_convolution(x, shape)
    assert ours.shape == (40, 512)
    weights = torch.randn(32, channels, 6, 6, generator=generator(0, "random-conv", channels)).numpy().astype(np.float64)
    answers = np.empty((40, 4, 4))
    for number in (0, 31):
        filter_ = weights[number] - weights[number].mean()
        filter_ /= np.linalg.norm(filter_)
        for row, image in enumerate(x.numpy().reshape(40, *shape[:2], channels)):
            total = sum(correlate2d(image[..., c], filter_[c], "valid") for c in range(channels))
            excited = np.maximum(total[::2, ::2], 0)
            side = len(excited)
            edges = [(i * side // 4, -(-(i + 1) * side // 4)) for i in range(4)]
            answers[row] = [[excited[a:b, c:d].mean() for c, d in edges] for a, b in edges]
        np.testing.assert_allclose(ours.view(40, 32, 4, 4)[:, number].numpy(), answers, atol=1e-5)


def test_brightness_alone_excites_no_filter() -> None:
    assert random_convolution(torch.full((1, 784), 0.7), (28, 28)).abs().max() < 1e-5


def test_features_do_not_depend_on_the_images_beside_and_need_room() -> None:
    many = torch.rand(600, 784, generator=generator(0, "images"))
    torch.testing.assert_close(random_convolution(many[500:], (28, 28)), random_convolution(many, (28, 28))[500:])
    with pytest.raises(InputError, match="at least 12 x 12 pixels, got 8 x 8"):
        random_convolution(torch.rand(3, 64), (8, 8))
