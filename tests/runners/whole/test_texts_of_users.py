"""Names, labels and settings of users: they are shown as they are, and cost neither a figure nor a result."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text as Drawn

from runners.report import drawing
from runners.report.figures.draw_all import PANELS
from runners.results.results import load
from runners.trackers.tracking import configuration

Kancl = Callable[..., Any]

NAMES = [
    "$5-10% off, $20% off", r"$\frac{a$", "[/b] x", "[red]y[/]", ":smile:", "_hidden", "two\nlines", "\x1b[31mred", "a\ud800b",
    "任务一", "x" * 300,
]  # fmt: skip
SCENARIO = f"""
import numpy as np
from scenarios import Scenario, Task

def named(seed: int) -> Scenario:
    "Tasks [with] names."
    rng = np.random.default_rng(seed)
    def task(name, n):
        x = rng.uniform(n, n + 1, (30, 1))
        return Task(name, train=(x[:20], np.sin(x[:20])), test=(x[20:], np.sin(x[20:])))
    return Scenario([task(name, n) for n, name in enumerate({NAMES!r})], loss="mse")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file whose name is markup and formula at once, and the results of a run of it."""
    from runners.cli.main import main

    folder = tmp_path_factory.mktemp("named")
    file = folder / "[_b] $x$.py"
    file.write_text(SCENARIO)
    said = ["run", f"{file}:named", "--architectures", "mlp", "mlp:hidden=3", "--steps", "4", "--seeds", "2"]
    assert main([*said, "--out", str(folder / "out")]) == 0
    return folder


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, in their order."""
    seen: list[Figure] = []
    rendered = drawing.rendered

    def keep(figure: Figure, kind: str, **more: Any) -> bytes:
        if figure not in seen:
            seen.append(figure)
        return rendered(figure, kind, **more)

    monkeypatch.setattr(drawing, "rendered", keep)
    return seen


def texts(figure: Figure) -> dict[str, bool]:
    """The texts of a figure, and whether formulas are read in them."""
    return {text.get_text(): text.get_parse_math() for text in figure.findobj(Drawn)}  # type: ignore[attr-defined]


def test_figures_show_names_as_they_are(folder: Path, figures: list[Figure], kancl: Kancl, tmp_path: Path) -> None:
    ended = kancl("compare", folder / "out", "--figures-to", tmp_path)
    assert ended.code == 0
    assert len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.glob("*.svg"))) == len(figures) == 3
    curves = figures[1]
    (legend,) = curves.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == [
        "$5-10% off, $20% …", r"$\frac{a$", "[/b] x", "[red]y[/]", ":smile:", "\u200b_hidden", "two\nlines", r"\x1b[31mred",
        r"a\ud800b", "任务一", "x" * 17 + "…", "best constant predictor",
    ]  # fmt: skip
    for figure in figures:
        assert not any(math for text, math in texts(figure).items() if "$" in text and "mathdefault" not in text)
        assert any("[_b] $x$.py:named" in text for text in texts(figure))


def test_a_label_that_begins_with_an_underscore_is_in_the_legend() -> None:
    figure = Figure()
    ax = figure.subplots()
    ax.plot([1, 2], label=drawing.named("_mine"))
    assert [text.get_text() for text in ax.legend().get_texts()] == ["\u200b_mine"]
    assert drawing.named("mine_") == "mine_"


def test_the_screen_shows_names_as_they_are(folder: Path, kancl: Kancl) -> None:
    for command in (
        ["compare", folder / "out", "--no-figures"],
        ["scenario", "show", folder / "[_b] $x$.py:named", "--no-figure"],
    ):
        ended = kancl(*command)
        assert ended.code == 0
        assert "[_b] $x$.py:named" in ended.out.replace("\n", "")
        assert "\x1b" not in ended.out
    for name in ("$5-10% off, $20% off", "[/b] x", "[red]y[/]", ":smile:", r"\x1b[31mred", r"a\ud800b", "任务一"):
        assert name in ended.out


def test_every_format_can_be_read(folder: Path, kancl: Kancl) -> None:
    for form in ("json", "csv", "markdown"):
        ended = kancl("compare", folder / "out", "--no-figures", "--format", form)
        assert ended.code == 0
    found = json.loads(kancl("compare", folder / "out", "--no-figures", "--format", "json").out)
    assert {row["scenario"] for row in found["cells"]} == {f"{folder}/[_b] $x$.py:named"}
    assert load(folder / "out").entries[0].result.tasks == tuple(NAMES)


def test_a_figure_that_fails_takes_no_other_along(
    folder: Path, kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> Figure:
        raise ValueError("no [/b] curves")

    broken = ("curves", lambda entry: True, fail, fail)
    monkeypatch.setattr("runners.report.figures.draw_all.PANELS", (broken, *PANELS[1:]))
    ended = kancl("compare", folder / "out", "--figures-to", tmp_path)
    assert ended.code == 1
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg"}
    (line,) = [line for line in ended.err.splitlines() if "cannot be drawn" in line]
    assert line.startswith("left out, cannot be drawn: ")
    assert line.endswith("named-curves (ValueError: no [/b] curves)")


def test_names_of_figures_are_files_of_their_own() -> None:
    taken: set[str] = set()
    names = ["a:b", "a b", "A_B", "ä" * 300, "ä" * 299 + "b", "\ud800"]
    for name in names:
        stem = drawing._file_name(name, taken)
        assert len(stem.encode()) < 200
        taken.add(stem.casefold())
    assert len(taken) == len(names)


SETTINGS = """
text.usetex: True
font.family: No Such Font
savefig.facecolor: red
"""
SCRIPT = """
import os
from runners.report import drawing
with drawing.own_style():
    figure = drawing.Figure(figsize=(1, 1))
    figure.suptitle("$5 off $6")
    content = drawing.rendered(drawing.finish(figure), "png")
import io
from PIL import Image
print(Image.open(io.BytesIO(content)).convert("RGB").getpixel((0, 0)), os.environ["MPLBACKEND"])
"""


@pytest.mark.parametrize("backend", ["nonsense", "module://no_such_module.backend", "svg"])
def test_no_backend_and_no_style_of_the_users_matters(tmp_path: Path, backend: str) -> None:
    (tmp_path / "matplotlibrc").write_text(SETTINGS)
    surroundings = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=surroundings, check=True)
    assert ended.stdout == f"(255, 255, 255) {backend}\n"


def test_the_users_style_is_theirs_again() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 31.0, "text.color": "red"}):
        before = dict(mpl.rcParams)
        with drawing.own_style():
            assert (mpl.rcParams["font.size"], mpl.rcParams["text.color"]) == (9, "black")
        assert dict(mpl.rcParams) == before
    assert np.isfinite(mpl.rcParams["font.size"])


def test_tools_are_told_names_that_they_can_write(tools: Any) -> None:
    cell = tools.make_cell("gaussian-peaks:tasks=2", "mlp")
    told = configuration(cell, NAMES)
    assert told["tasks"] == [
        *NAMES[:6], "two\nlines", r"\x1b[31mred", r"a\ud800b", *NAMES[9:],
    ]  # fmt: skip
    assert told["policy"]["optimizer"] == "adam"
    json.dumps(told).encode()
