"""Rotations of inputs: of pictures in their plane, of tables in the planes of neighbouring columns."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def rotate_images(x: Tensor, image_shape: tuple[int, ...], degrees: float) -> Tensor:
    """Turn images about their middle, counter-clockwise, by bilinear interpolation; what comes from outside is 0.

    A rotation is a linear map of the pixels. It is made once, by turning the images of single pixels
    (``scipy.ndimage.rotate`` of order 1, mode ``grid-constant``), and applied to all images as a sparse matrix.

    Args:
        x: images (N, height * width * channels) with values in [0, 1], which they keep.
        image_shape: (height, width) or (height, width, channels).
        degrees: the angle.
    """
    height, width = image_shape[:2]
    # Pixels first, so that each row of the matrix meets all images and channels at once.
    planes = x.view(len(x), height * width, -1).permute(1, 0, 2)
    result = torch.from_numpy(_turned_pixels(height, width, degrees) @ planes.reshape(height * width, -1).numpy())
    return result.clamp_(0, 1).view(planes.shape).permute(1, 0, 2).reshape(x.shape).contiguous()


@lru_cache(maxsize=64)  # every seed turns its training and its test images by the same angles
def _turned_pixels(height: int, width: int, degrees: float) -> "csr_matrix":
    """Return the rotation as a sparse matrix (pixels after, pixels before)."""
    from scipy.ndimage import rotate  # on use: slow to import
    from scipy.sparse import csr_matrix

    single = np.eye(height * width, dtype=np.float32).reshape(-1, height, width)
    turned = rotate(single, degrees, axes=(1, 2), reshape=False, order=1, mode="grid-constant", cval=0.0)
    return csr_matrix(turned.reshape(len(single), -1).T)


def rotate_pairs(x: Tensor, degrees: float) -> Tensor:
    """Turn columns 1 and 2, 3 and 4, ... of a table against each other, all by one angle; an odd column at the end stays.

    (a, b) becomes (a cos t - b sin t, a sin t + b cos t).

    Args:
        x: inputs (N, I).
        degrees: the angle t.
    """
    paired = x.shape[1] // 2 * 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b = x[:, 0:paired:2], x[:, 1:paired:2]
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], 2).view(len(x), paired)
    return torch.cat([turned, x[:, paired:]], 1)
