"""What a data set is, before a seed draws from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples with class numbers, as they are published.

    Args:
        name: names the random streams that draw from it.
        train: inputs (N, I) and class numbers (N,), int64. Of images the inputs are grey values, 0 to ``white``, row by row,
            the channels of a pixel side by side.
        test: the published test samples, of the same form; None where each seed sets some samples aside.
        classes: how many there are; they are numbered from 0.
        image_shape: (height, width) or (height, width, channels); None for tables.
        white: the largest grey value; of no meaning for tables, whose columns are standardised.
        files: the SHA-256 of each file that was read, by name; of what it holds uncompressed, so that the same data have the
            same checksum, packed or not.
    """

    name: str
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor] | None
    classes: int
    image_shape: tuple[int, ...] | None = None
    white: float = 255.0
    files: Mapping[str, str] = field(default_factory=dict)
