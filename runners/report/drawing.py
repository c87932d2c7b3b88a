"""The one door to matplotlib.

It is imported whatever backend the environment names; figures are made with its own defaults, not the user's; texts are drawn
as they are; a figure that fails takes no other along; and files are written whole.
"""
# ruff: noqa: E402

import hashlib
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from kancl.errors import one_line
from kancl.text import visible
from runners.report.figures.data import Lost
from runners.report.figures.look import PLAIN, Look
from runners.store.files import file_name, remove_temporaries, write_atomically

BACKEND = "MPLBACKEND"


def _import_matplotlib() -> None:
    """Import matplotlib; figures in files need no backend, so one that is named and not there is passed over."""
    named = None if "matplotlib" in sys.modules else os.environ.pop(BACKEND, None)
    try:
        imported: Any = importlib.import_module("matplotlib")
    finally:
        if named is not None:
            os.environ[BACKEND] = named
    if named:  # what matplotlib itself does; whoever draws in windows finds what was asked for
        with suppress(ValueError):
            imported.rcParams["backend"] = named


_import_matplotlib()

import matplotlib as mpl
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize, to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

__all__ = [
    "Artist", "Axes", "BoundaryNorm", "Colormap", "Drawing", "Figure", "Line2D", "LineCollection", "ListedColormap",
    "LogLocator", "Lost", "MaxNLocator", "Normalize", "NullFormatter", "PolyCollection", "Rectangle", "ScalarMappable",
    "StrMethodFormatter", "SubFigure", "colormaps", "draw_each", "finish", "named", "own_style", "rendered", "to_rgba",
    "warn",
]  # fmt: skip

DPI = 150
"""Dots per inch of pictures."""
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": DPI,
    "svg.hashsalt": "kancl",
    "pdf.fonttype": 42,
    "legend.frameon": False,
}
SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei")
"""Fonts of other scripts, those that are there: matplotlib's own has no Chinese."""
SCALED = (
    "font.size", "axes.titlesize", "axes.linewidth", "axes.labelpad", "axes.titlepad", "lines.linewidth", "patch.linewidth",
    *(f"{axis}tick.{which}.{what}" for axis in "xy" for which in ("major", "minor") for what in ("size", "width", "pad")),
)  # fmt: skip
"""Settings that are points."""
NO_STYLE = ("backend", "interactive", "toolbar")
"""Settings that are no matter of looks, by how they begin."""
WRITERS: dict[str, Callable[[Figure, IO[bytes]], None]] = {
    "png": lambda figure, file: FigureCanvasAgg(figure).print_png(file),
    "svg": lambda figure, file: FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None}),
    "pdf": lambda figure, file: figure.savefig(file, format="pdf", metadata={"CreationDate": None}),
}
UNSEEN = "\u200b"

Drawing = tuple[str, Callable[[], Figure]]
"""The name of a figure, and what makes it."""


@contextmanager
def own_style(size: float = 1.0) -> Iterator[None]:
    """Draw with matplotlib's defaults and :data:`STYLE` for a while, whatever the user's matplotlibrc says.

    Args:
        size: how large texts, lines and ticks are beside those.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        defaults: Any = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(NO_STYLE)}
        known = set(fontManager.get_font_names())
        fonts = ["sans-serif", *(font for font in SCRIPTS if font in known)]
        style = defaults | STYLE | {"font.family": fonts}
        mpl.rcParams.update(style | {key: style[key] * size for key in SCALED})
        yield


def finish(figure: Figure) -> Figure:
    """Let every text of a figure be drawn as it is: dollars enclose no formula, and what cannot be seen stands as an escape.

    Numbers that matplotlib writes along an axis itself are left alone.
    """
    for text, computed in _texts(figure, False):
        text.set_parse_math(computed)
        text.set_text(visible(text.get_text(), keep=f"\n{UNSEEN}"))
    return figure


def _texts(artist: Artist, computed: bool) -> Iterator[tuple[Text, bool]]:
    """Yield the texts of an artist and of all below it, each with whether matplotlib writes it itself."""
    if isinstance(artist, Axis):
        computed = not isinstance(artist.get_major_formatter(), FixedFormatter)
        if not computed:
            artist.get_ticklabels()  # makes those of all names
    elif isinstance(artist, Text):
        yield artist, computed
    for child in artist.get_children():
        yield from _texts(child, computed and child is not getattr(artist, "label", None))


def named(label: str) -> str:
    """Return a name for a legend: matplotlib leaves out those that begin with an underscore."""
    return UNSEEN + label if label.startswith("_") else label


def rendered(figure: Figure, kind: str, dpi: float = DPI) -> bytes:
    """Return a figure as the contents of a file of this kind: one of :data:`WRITERS`.

    Args:
        figure: is laid out and drawn in one go; matplotlib's ``savefig`` draws everything once more, for the layout alone.
        kind: how the file's name ends.
        dpi: dots per inch where there are dots.
    """
    figure.set_dpi(dpi)
    file = io.BytesIO()
    WRITERS[kind](figure, file)
    return file.getvalue()


def warn(name: str, error: Exception) -> None:
    """Warn of a figure that could not be drawn."""
    warnings.warn(f"the figure {visible(name)} cannot be drawn: {one_line(error)}", stacklevel=2)


def draw_each(figures: Iterable[Drawing], folder: Path, lost: Lost = warn, look: Look = PLAIN) -> Iterator[Path]:
    """Draw figures, as PNG and SVG if nothing else is asked for, and yield the paths.

    Args:
        figures: made one by one.
        folder: for the files; it exists.
        lost: hears of those that cannot be drawn; the others are.
        look: the formats, the resolution of pictures, and the size of texts and lines.

    Raises:
        StorageError: a file cannot be written.
    """
    taken: set[str] = set()
    remove_temporaries(folder)
    for name, make in figures:
        try:
            with own_style(look.size):
                figure = finish(make())
                contents = {}
                for kind in look.formats:
                    contents[kind] = rendered(figure, kind, dpi=look.dpi)
                    figure.set_layout_engine("none")  # it is laid out now, once for all files
        except Exception as error:
            lost(name, error)
            continue
        stem = _file_name(name, taken)
        taken.add(stem.casefold())
        for kind, content in contents.items():
            path = folder / f"{stem}.{kind}"
            write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
            yield path


def _file_name(name: str, taken: set[str]) -> str:
    """Return a figure's name as a file system takes it; with a part of its hash where another is called alike."""
    short = file_name(name)
    if short.casefold() not in taken:
        return short
    return f"{short}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
