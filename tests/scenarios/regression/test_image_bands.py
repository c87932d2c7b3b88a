"""Guards pictures as functions: every pixel's place and value by an array made by hand, bands, files that are no pictures."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kancl.errors import InputError
from scenarios import Scenario
from scenarios.regression.image_bands import image_bands


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """6 rows of 4 pixels: red tells the row, green the column."""
    pixels = np.zeros((6, 4, 3), dtype=np.uint8)
    pixels[..., 0] = 40 * np.arange(6)[:, None]
    pixels[..., 1] = 60 * np.arange(4)[None]
    path = tmp_path / "ramp.png"
    Image.fromarray(pixels).save(path)
    return path


def everything(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """All pixels of all tasks, of training and test."""
    pairs = [task.train for task in scenario.tasks]
    pairs += [] if scenario.test_is_train else [task.test for task in scenario.tasks]
    x, y = (torch.cat(parts).numpy() for parts in zip(*pairs, strict=True))
    return x, y


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_every_pixel_is_one_sample_at_its_place(ramp: Path, direction: Any) -> None:
    x, y = everything(image_bands(0, image=str(ramp), height=6, bands=3, colour=True, direction=direction))
    assert len(x) == 24
    columns, rows = (x[:, 0] + 1) * 4 / 2 - 0.5, (1 - x[:, 1]) * 6 / 2 - 0.5
    np.testing.assert_allclose(y[:, 0] * 255, 40 * rows, atol=1e-3)
    np.testing.assert_allclose(y[:, 1] * 255, 60 * columns, atol=1e-3)
    assert {*zip(rows.round().tolist(), columns.round().tolist(), strict=True)} == {(r, c) for r in range(6) for c in range(4)}


def test_bands_go_from_top_to_bottom_or_from_left_to_right(ramp: Path) -> None:
    down = image_bands(0, image=str(ramp), height=6, bands=3, test="train")
    right = image_bands(0, image=str(ramp), height=6, bands=2, direction="vertical", test="train")
    for number, task in enumerate(down.tasks):
        assert sorted({round(float(y), 3) for y in task.train[0][:, 1]}) == [
            round(1 - (2 * row + 1) / 6, 3) for row in (2 * number + 1, 2 * number)
        ]
        assert len(task.train[0]) == 8
    for number, task in enumerate(right.tasks):
        assert sorted({float(x) for x in task.train[0][:, 0]}) == [-0.75 + number, -0.25 + number]
        assert len(task.train[0]) == 12


def test_a_fifth_of_each_band_is_held_out_by_the_seed() -> None:
    one, other = image_bands(0), image_bands(1)
    for task in one.tasks:
        count = len(task.train[0]) + len(task.test[0])
        assert len(task.test[0]) == round(count / 5)
    assert not torch.equal(one.tasks[0].test[0], other.tasks[0].test[0])
    x, y = everything(one)
    places, values = everything(other)
    assert sorted(map(tuple, np.c_[x, y].tolist())) == sorted(map(tuple, np.c_[places, values].tolist()))


def test_all_pixels_are_trained_and_tested() -> None:
    whole = image_bands(0, test="train")
    assert whole.test_is_train
    assert all(torch.equal(a, b) for task in whole.tasks for a, b in zip(task.train, task.test, strict=True))
    assert len(everything(whole)[0]) == len(everything(image_bands(0))[0]) == 40 * 60


@pytest.mark.parametrize("image", ["china", "flower"])
def test_the_photographs_keep_their_brightness(image: str) -> None:
    """The mean of a resized picture is that of the picture, in grey by the weights of ITU-R 601."""
    from sklearn.datasets import load_sample_image

    mean = load_sample_image(f"{image}.jpg").mean((0, 1)) / 255
    assert everything(image_bands(0, image=image))[1].mean() == pytest.approx(mean @ (0.299, 0.587, 0.114), abs=0.005)
    colours = image_bands(0, image=image, colour=True, height=30)
    assert (colours.inputs, colours.outputs) == (2, 3)
    np.testing.assert_allclose(everything(colours)[1].mean(0), mean, atol=0.005)


def test_bands_need_not_be_of_equal_size(ramp: Path) -> None:
    assert [len(task.train[0]) for task in image_bands(0, image=str(ramp), height=6, bands=4, test="train").tasks] == [
        8,
        8,
        4,
        4,
    ]


def test_a_file_of_ones_own_is_named_with_its_checksum(ramp: Path) -> None:
    assert image_bands(0, image=str(ramp), height=6).files == {"ramp.png": hashlib.sha256(ramp.read_bytes()).hexdigest()}
    assert image_bands(0).files == {}


def test_a_jpeg_stands_as_its_camera_held_it(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16), dtype=np.uint8)
    pixels[:, 8:] = 255  # bright on the right
    picture, note = Image.fromarray(pixels), Image.Exif()
    note[0x0112] = 6  # to be turned by 90 degrees clockwise: what is on the right comes to the bottom
    picture.save(tmp_path / "turned.jpg", exif=note)
    top, bottom = image_bands(0, image=str(tmp_path / "turned.jpg"), height=16, bands=2, test="train").tasks
    assert float(top.train[1].mean()) < 0.1 < 0.9 < float(bottom.train[1].mean())


def test_other_files_are_refused(tmp_path: Path, ramp: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(ramp.read_bytes()[:45])
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "other.gif")
    Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    for name, words in {
        "text.png": "cannot be read",
        "cut.png": "cannot be read",
        "empty.jpg": "cannot be read",
        "other.gif": "cannot be read",
        "deep.png": "more than 8 bits",
        "absent.png": "flower or china or the path",
    }.items():
        with pytest.raises(InputError, match=words) as refusal:
            image_bands(0, image=str(tmp_path / name))
        assert name in str(refusal.value)


def test_damaged_files_are_pictures_or_input_errors(tmp_path: Path, ramp: Path) -> None:
    Image.open(ramp).save(tmp_path / "ramp.jpg")
    random, refused = np.random.default_rng(0), 0
    for name in ("ramp.png", "ramp.jpg"):
        whole = np.frombuffer((tmp_path / name).read_bytes(), dtype=np.uint8)
        for _ in range(50):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
            (tmp_path / name).write_bytes(damaged.tobytes())
            try:
                image_bands(0, image=str(tmp_path / name), height=6, test="train")
            except InputError:
                refused += 1
    assert 0 < refused < 100


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"height": 1}, "height must be at least 2"),
        ({"height": 1000}, "at most 1024"),
        ({"bands": 0}, "1 to 40"),
        ({"bands": 41}, "1 to 40"),
        ({"bands": 61, "direction": "vertical"}, "1 to 60"),
        ({"image": "chna"}, "flower or china"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        image_bands(0, **wrong)
