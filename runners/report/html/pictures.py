"""Values as colours: scales, and pictures that stand in the page itself."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from runners.report.html.markup import Markup, tag
from runners.report.html.plot import hexadecimal, number

Colours = Callable[[np.ndarray], np.ndarray]
"""Gives shares from 0 to 1 their colours, red, green, blue and alpha."""
NOTHING = (0.6, 0.6, 0.6)
"""The colour of what is not there."""


def sequential(reverse: bool = False) -> Colours:
    """Return the colours of values; bright is good."""
    return _colours("viridis_r" if reverse else "viridis")


def diverging() -> Colours:
    """Return the colours of differences: purple below 0, white at 0, green above."""
    return _colours("PRGn")


def _colours(name: str) -> Colours:
    from runners.report.drawing import colormaps

    return colormaps[name]


def coloured(shares: Float[np.ndarray, "R C"], colours: Colours) -> Float[np.ndarray, "R C 3"]:
    """Return red, green and blue, 0 to 1, of shares; grey where there is none."""
    known = np.isfinite(shares)
    painted = np.asarray(colours(np.clip(np.where(known, shares, 0.0), 0.0, 1.0)))[..., :3]
    return np.where(known[..., None], painted, NOTHING)


def picture(painted: Float[np.ndarray, "R C 3"], x: float, y: float, width: float, height: float) -> Markup:
    """Return a picture of fields in a drawing."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((255 * painted).round().astype(np.uint8)).save(file, format="PNG", optimize=True)
    link = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    place: dict[str, Any] = {"x": number(x), "y": number(y), "width": number(width), "height": number(height)}
    return tag("image", href=link, preserveAspectRatio="none", class_="picture", **place)


def scale(colours: Colours, low: str, high: str, label: str) -> Markup:
    """Return the scale of colours as a piece of a legend."""
    steps = 24
    shades = [hexadecimal(shade) for shade in coloured(np.linspace(0, 1, steps)[None], colours)[0].tolist()]
    bars = [tag("rect", x=5 * place, y=1, width=5.3, height=10, fill=shade) for place, shade in enumerate(shades)]
    bar = tag("svg", *bars, viewBox=f"0 0 {5 * steps} 12", class_="scale", aria_hidden="true")
    return tag("span", tag("span", low), bar, tag("span", high), tag("span", label, class_="of"), class_="colours")
