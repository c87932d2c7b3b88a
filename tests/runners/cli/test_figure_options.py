"""Figures as ``kancl compare`` is asked for them: formats, folder, width, resolution, purpose, which ones, and how."""

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from runners.report.figures.draw_all import KINDS

STORED = Path(__file__).parents[2] / "data" / "stored-815f9c5" / "finished"


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_formats_kinds_width_and_resolution_are_what_was_asked_for(kancl: Any, tmp_path: Path) -> None:
    asked = ("--figures", "pdf", "png", "--only-figures", "headline", "retention", "--width", "single", "--dpi", 100)
    ended = kancl("compare", STORED, "--figures-to", tmp_path, *asked)
    assert ended.code == 0, ended.err
    files = written(tmp_path)
    assert {Path(name).suffix for name in files} == {".pdf", ".png"}
    assert {Path(name).stem.rpartition("-")[2] for name in files} == {"headline", "retention"}
    assert ended.err.index("headline (png") < ended.err.index("-retention (png")
    for name in files:
        content = (tmp_path / name).read_bytes()
        if name.endswith("png"):
            assert struct.unpack(">I", content[16:20])[0] == 335
        else:
            (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", content)
            assert float(box) / 72 == pytest.approx(3.35, abs=0.01)


def test_slides_and_overlays(kancl: Any, tmp_path: Path) -> None:
    ended = kancl(
        "compare",
        STORED,
        "--figures-to",
        tmp_path,
        "--figures",
        "svg",
        "--style",
        "slides",
        "--overlay",
        "--only-figures",
        "curves",
    )
    assert ended.code == 0, ended.err
    files = written(tmp_path)
    assert files == [f"two.py_two-{strategy}-curves.svg" for strategy in ("ewc", "naive")]
    for name in files:
        assert float(re.findall(r'width="([\d.]+)pt"', (tmp_path / name).read_text())[0]) == pytest.approx(720)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--figures", "runs/figures"), "the folder for figures is asked for by --figures-to runs/figures"),
        (("--figures", "gif", "png"), "--figures takes formats, png, svg, pdf, got 'gif'"),
        (("--only-figures", "matrix"), "there are no figures called 'matrix'; --only-figures takes headline, size,"),
        (("--width", "triple"), "a width is a number of inches, single or double, got 'triple'"),
        (("--width", "0.1"), "figures are 2 to 60 inches wide, got 0.1"),
        (("--dpi", "5"), "figures need 20 to 1200 dots per inch, got 5"),
    ],
)
def test_what_makes_no_figure_is_refused_before_anything_is_printed(kancl: Any, asked: tuple[str, ...], said: str) -> None:
    ended = kancl("compare", STORED, *asked)
    assert ended.code == 2
    assert said in ended.err.replace("\n", " ")
    assert ended.out == ""


def test_the_help_names_every_kind(kancl: Any) -> None:
    told = " ".join(kancl("compare", "--help").out.replace("│", " ").split())
    assert f"Draw these alone: {', '.join(KINDS)}." in told
