"""What a network sees of a data set: columns brought to one scale, and frozen random features of images."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from kancl.errors import InputError
from kancl.seeding import generator

Features = Literal["pixels", "random-conv"]

LIMIT = 3.0
"""Standardised numbers are held within so many standard deviations, which is then the range of a spline's grid."""

FILTERS, WIDTH, STRIDE, POOLED = 32, 6, 2, 4
"""Random filters of 6 x 6 pixels, placed at every second pixel, their answers averaged over 4 x 4 parts of the image."""

SLICE = 256
"""Images that meet the filters at once: their answers stay in the processor's cache, which is three times as fast."""


def standardiser(train: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the function that brings columns to mean 0 and standard deviation 1 by the training samples' statistics.

    z = (x - mean) / deviation, held within [-3, 3]: what lies further out, in training as in test samples, counts as 3
    deviations away. So one grid fits every column, and no outlier leaves most of its cells without data. A column that is
    constant in the training samples gets the deviation 1.

    Args:
        train: the training samples (N, I).
    """
    mean = train.double().mean(0)
    deviation = train.double().std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return lambda x: ((x.double() - mean) / deviation).clamp(-LIMIT, LIMIT).float()


def random_convolution(x: Tensor, image_shape: tuple[int, ...]) -> Tensor:
    """Return frozen random features of images (N, 512): convolution, ReLU, averages over a grid of 4 x 4 parts.

    Random filters that are never trained, with pooling, keep much of what tells images apart (Jarrett et al. 2009; Saxe et al.
    2011). 32 filters of 6 x 6 pixels with normal weights, of mean 0 and norm 1 over each filter, so that brightness alone
    excites none. They are the same for every seed: the features are part of the data.

    Args:
        x: images (N, I), the channels of a pixel side by side.
        image_shape: (height, width) or (height, width, channels).

    Raises:
        InputError: images with too few places for a filter.
    """
    height, width = image_shape[:2]
    smallest = WIDTH + STRIDE * (POOLED - 1)
    if min(height, width) < smallest:
        raise InputError(
            f"features=random-conv needs images of at least {smallest} x {smallest} pixels, got {height} x {width}"
        )
    channels = image_shape[2] if len(image_shape) == 3 else 1
    weights = torch.randn(FILTERS, channels, WIDTH, WIDTH, generator=generator(0, "random-conv", channels))
    weights -= weights.mean((1, 2, 3), keepdim=True)
    weights /= weights.square().sum((1, 2, 3), keepdim=True).sqrt()
    pooled = []
    for part in x.split(SLICE):
        images = part.view(len(part), height, width, channels).permute(0, 3, 1, 2)
        excited = functional.conv2d(images, weights, stride=STRIDE).relu()
        pooled.append(functional.adaptive_avg_pool2d(excited, POOLED).flatten(1))
    return torch.cat(pooled)
