"""What figures are made for: how wide they are, how large their texts and lines, and as which files. Nothing here draws."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from kancl.errors import InputError

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
Purpose = Literal["paper", "slides"]

COLUMNS = {"single": 3.35, "double": 7.0}
"""Inches of one and of two columns of a page in print."""
SLIDE = 10.0
"""Inches of a figure on a slide where no width is asked for."""
POINTS = 9.0
"""Size of texts where nothing is asked for."""
LEAST_DPI, MOST_DPI = 20, 1200
NARROWEST, WIDEST = 2.0, 60.0
"""Inches."""


@dataclass(frozen=True)
class Look:
    """How figures look.

    Args:
        formats: one file of each.
        width: inches, or the name of one of :data:`COLUMNS`; None: as wide as the panels need.
        dpi: dots per inch of pictures, 20 to 1200.
        purpose: texts are larger and lines thicker on slides.

    Raises:
        InputError: a width or a resolution that makes no figure, or no format.
    """

    formats: tuple[Format, ...] = ("png", "svg")
    width: float | str | None = None
    dpi: int = 150
    purpose: Purpose = "paper"

    def __post_init__(self) -> None:
        if not self.formats:
            raise InputError("figures need a format: png, svg or pdf")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise InputError(f"figures need {LEAST_DPI} to {MOST_DPI} dots per inch, got {self.dpi}")
        inches = self.inches
        if inches is not None and not NARROWEST <= inches <= WIDEST:
            raise InputError(f"figures are {NARROWEST:g} to {WIDEST:g} inches wide, got {inches:g}")

    @property
    def inches(self) -> float | None:
        """How wide figures have to be; None where they are as wide as they need."""
        if self.width is None:
            return SLIDE if self.purpose == "slides" else None
        if self.width in COLUMNS:
            return COLUMNS[str(self.width)]
        try:
            inches = float(self.width)
        except ValueError:
            inches = math.nan
        if not math.isfinite(inches):
            raise InputError(f"a width is a number of inches, {' or '.join(COLUMNS)}, got {self.width!r}")
        return inches

    @property
    def size(self) -> float:
        """How large texts and lines are beside those where nothing is asked for: 9 points for texts.

        >>> [round(9 * look.size, 1) for look in (Look(), Look(width="single"), Look(width="double"), Look(purpose="slides"))]
        [9.0, 7.0, 8.0, 15.0]
        """
        if self.purpose == "slides":
            return 15 / POINTS
        inches = self.inches or math.inf
        return (7 if inches <= 4.5 else 8 if inches <= 8 else POINTS) / POINTS


PLAIN = Look()
