"""A photograph as a function of two coordinates, learned band by band."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.seeding import generator
from scenarios.registry import register
from scenarios.task import Advice, Scenario, Task
from scenarios.tools.advice import usual_policies
from scenarios.tools.sizes import rivals_of_kan

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BUILT_IN = ("flower", "china")
TEST_SHARE = 0.2
LARGEST = 1024
"""Pixels that the longer side may have after resizing."""


@register("image-bands")
def image_bands(
    seed: int,
    image: str = "flower",
    bands: int = 5,
    height: int = 40,
    colour: bool = False,
    direction: Literal["horizontal", "vertical"] = "horizontal",
    test: Literal["held-out", "train"] = "held-out",
) -> Scenario:
    """A photograph as a function (x, y) -> brightness, learned in bands from top to bottom.

    A pixel is a sample: its coordinates, scaled so that the whole picture fills [-1, 1] x [-1, 1] (x to the right, y
    upwards, pixel centres), and its grey value or red, green and blue from 0 to 1. A task is one band of the picture. This
    is how users showed that KANs forget beyond one dimension (pykan, issue 227): all bands cover the same range of x.

    Expected: splines along y are hardly shared by bands, those along x by all of them, so a KAN forgets; a table over the
    joint grid (`lookup`) loses only the tiles that two bands share. With ``direction=vertical`` the axes change places.

    Args:
        image: ``flower`` or ``china``, two photographs that come with scikit-learn, or the path of a PNG or JPEG file
            (8 bits a channel; transparency is ignored, a camera's note on orientation is not).
        bands: number of bands and tasks; their sizes differ by one line of pixels at most.
        height: of the resized picture in pixels, at least 2; the width follows from its proportions.
        colour: learn three outputs, red, green and blue, instead of one grey value (luma, ITU-R 601).
        direction: ``horizontal`` bands from top to bottom, or ``vertical`` ones from left to right.
        test: score on a fifth of each band's pixels, drawn by the seed and never trained on, or on the training pixels, which
            are then all pixels, the same for every seed.
    """
    if height < 2:
        raise InputError(f"height must be at least 2 pixels, got {height}")
    pixels, files = _pixels(image, height, colour)
    lines = _lines(pixels, vertical=direction == "vertical")
    if not 1 <= bands <= len(lines[0]):
        raise InputError(f"bands must be 1 to {len(lines[0])}, the lines of pixels in that direction, got {bands}")
    random = generator(seed, "image-bands")
    tasks = []
    for number, (x, y) in enumerate(zip(*(part.tensor_split(bands) for part in lines), strict=True), 1):
        x, y = x.flatten(0, 1), y.flatten(0, 1)
        train = rest = torch.arange(len(x))
        if test == "held-out":
            drawn = torch.randperm(len(x), generator=random)
            cut = max(1, round(TEST_SHARE * len(x)))
            rest, train = drawn[:cut].sort().values, drawn[cut:].sort().values
        tasks.append(Task(f"band {number} of {bands}", (x[train], y[train]), (x[rest], y[rest])))
    return Scenario(
        tasks=tuple(tasks),
        loss="mse",
        domain=((-1.0, 1.0), (-1.0, 1.0)),
        test_is_train=test == "train",
        advice=_advice(pixels.shape[2]),
        files=files,
    )


def _lines(pixels: Tensor, vertical: bool) -> tuple[Tensor, Tensor]:
    """Return the coordinates (L, M, 2) on [-1, 1] and the values (L, M, C) of L lines of M pixels: rows, or columns."""
    down, right = ((2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1 for size in pixels.shape[:2])
    y, x = torch.meshgrid(-down, right, indexing="ij")
    places = torch.stack([x, y], -1).float()
    return (places.transpose(0, 1), pixels.transpose(0, 1)) if vertical else (places, pixels)


def _pixels(image: str, height: int, colour: bool) -> tuple[Tensor, dict[str, str]]:
    """Return the resized picture (H, W, C), values 0 to 1, and the checksum of the user's file if it is one."""
    from PIL import Image  # on use: only pictures need it

    files = {}
    if image in BUILT_IN:
        from sklearn.datasets import load_sample_image

        picture = Image.fromarray(load_sample_image(f"{image}.jpg"))
    else:
        path = Path(image)
        picture = _opened(path)
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    width = max(1, round(height * picture.width / picture.height))
    if max(width, height) > LARGEST:
        raise InputError(f"the picture would have {width} x {height} pixels, at most {LARGEST} a side; choose a smaller height")
    resized = picture.convert("RGB" if colour else "L").resize((width, height), Image.Resampling.BOX)
    values = torch.from_numpy(np.asarray(resized, dtype=np.float32) / 255)
    return values.view(height, width, -1), files


def _opened(path: Path) -> "Picture":
    from PIL import Image, ImageOps

    if not path.is_file():
        raise InputError(f"image must be {' or '.join(BUILT_IN)} or the path of a PNG or JPEG file; there is no file {path}")
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # of many kinds: Pillow has no one exception for damaged files
        raise InputError(f"{path} cannot be read as a PNG or JPEG picture: {error}") from error
    if upright.mode.startswith(("I", "F")):  # Pillow would cut these values off at 255
        raise InputError(f"{path} has more than 8 bits a channel; save it with 8")
    return upright


def _advice(outputs: int) -> Advice:
    """A KAN [2,16,O] with ten intervals on every edge, and rivals of its size.

    Finer grids fit the noise of single pixels. Hidden values of this task leave [-1, 1], where a spline without a base branch
    is 0, so the KAN's hidden grids reach further; without that it leaves a part of the bands unlearned.
    """
    sizes = rivals_of_kan(2, outputs, hidden=(16,), intervals=10, base="none", depth=3, interpolation="linear")
    return Advice(
        architectures={**sizes, "kan": {**sizes["kan"], "hidden_range": (-3.0, 3.0)}},
        policies=usual_policies(adam={"lr": 3e-3, "steps": 3000}, sgd={"lr": 0.05, "steps": 3000}, lbfgs=200),
    )
