"""Guards sheets: the same plain cells for a terminal, a document and a program, under one rule for numbers."""

import csv
import io
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from kancl.statistics import Interval
from runners.report.numbers import KINDS, MISSING, counts, estimate, in_little_room, with_error, with_interval
from runners.report.sheet import (
    WIDE,
    Column,
    Sheet,
    Words,
    as_csv,
    as_latex,
    as_markdown,
    figures,
    latex_text,
    parts,
    plain,
    tables,
)
from runners.report.tables import frame_as_csv

SHEET = Sheet(
    "a title",
    (
        Column("name"),
        figures("score", "estimate"),
        figures("difference", "interval"),
        figures("FLOPs", "count"),
        Column("said"),
    ),
    (
        ("a|b", estimate(np.array([1.0, 3.0, np.nan])), Interval(0.5, 0.41, 0.63, 8), 12345, Words("well", "good")),
        ("[bold]", estimate(np.full(3, np.nan)), Interval(np.nan, np.nan, np.nan, 0), None, "–"),
    ),
    keys=1,
    first=2,
)


def rendered(sheet: Sheet, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for table in tables(sheet, width):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_shows_what_people_read() -> None:
    text = rendered(SHEET, WIDE)
    for part in ("a title", "2 ± 13 (n=2)", "0.50 [0.41, 0.63]", "12,345", "well", "a|b", "[bold]"):
        assert part in text
    assert text.split("[bold]")[1].split() == ["–"] * 4


def test_a_narrow_terminal_gets_two_parts_that_both_name_their_rows() -> None:
    first, second = parts(SHEET, 50)
    assert [[column.head for column in part.columns] for part in (first, second)] == [
        ["name", "score", "difference"],
        ["name", "FLOPs", "said"],
    ]
    assert (first.title, second.title) == ("a title", "")
    assert [row[0] for row in second.rows] == ["a|b", "[bold]"]


def test_a_narrow_terminal_gets_more_parts_before_names_are_cut_to_pieces() -> None:
    name, columns = "an architecture", tuple(figures(f"score {number}", "estimate") for number in range(4))
    cells = [estimate(np.array([1.0, 3.0])) for _ in columns]
    sheet = Sheet("", (Column("architecture"), *columns), ((name, *cells),), first=1)
    for width, count in ((WIDE, 1), (48, 1), (47, 2), (30, 3)):
        found = parts(sheet, width)
        assert len(found) == count
        assert [column.head.split() for part in found for column in part.columns[1:]] == [own.head.split() for own in columns]
        assert "an architect" in rendered(sheet, width)


def test_many_columns_that_name_a_row_become_one_where_they_take_half_of_the_room() -> None:
    names = ("kan:hidden=5,intervals=20", "ewc:strength=100", "lr=tuned(0.0001, 0.00316)")
    heads, cells = ("architecture", "strategy", "policy"), [estimate(np.array([1.0, 3.0]))] * 4
    columns = (*map(Column, heads), *(figures(f"{number}", "estimate") for number in range(4)))
    sheet = Sheet("", columns, ((*names, *cells),), keys=3, first=2)
    assert [column.head for column in parts(sheet, 110)[0].columns[:3]] == list(heads)
    found = parts(sheet, 60)
    assert {part.columns[0].head for part in found} == {" / ".join(heads)}
    assert {"".join(str(part.rows[0][0]).split()) for part in found} == {"".join("/".join(names).split())}
    for part in ("intervals=20", "strength=100", "lr=tuned(0.0001,", "0.00316)"):
        assert part in rendered(sheet, 60), "a number stays in one piece"


LATEX_CELLS = [("a_b & c%", r"a\_b \& c\%"), ("{x}^2 ~ $", r"\{x\}\textasciicircum{}2 \textasciitilde{} \$"), ("–", "--")]


@pytest.mark.parametrize(
    ("text", "written"), [*LATEX_CELLS, ("C:\\x", r"C:\textbackslash{}x"), ("1.2e-05", r"$1.2\times 10^{-5}$")]
)
def test_what_latex_reads_otherwise_is_escaped(text: str, written: str) -> None:
    assert latex_text(text) == written


def test_latex_has_a_table_of_booktabs() -> None:
    text = as_latex(replace(SHEET, notes=("100 % sure",), subtitle="both", section=1))
    rows = [
        r"name & score & difference & FLOPs & said \\",
        r"a\textbar{}b & 2 $\pm$ 13 (n=2) & 0.50 [0.41, 0.63] & 12,345 & well \\",
    ]
    for part in (r"\caption{a title. both}", r"\begin{tabular}{lrrrl}", r"\toprule", r"\addlinespace", "% 100 % sure", *rows):
        assert part in text
    assert text.count(r"\addlinespace") == 1
    assert text.count("{") == text.count("}")


def test_a_title_is_as_wide_as_the_terminal() -> None:
    sheet = Sheet("a title that is much longer than its table", (Column("x"),), (("y",),))
    assert sheet.title in rendered(sheet, 80)


def test_a_document_gets_a_table_whose_cells_stay_apart() -> None:
    head, marks, first, second = as_markdown(SHEET).splitlines()
    assert head == "| name | score | difference | FLOPs | said |"
    assert marks == "| --- | ---: | ---: | ---: | --- |"
    assert first == r"| a\|b | 2 ± 13 (n=2) | 0.50 [0.41, 0.63] | 12,345 | well |"
    assert second == "| [bold] | – | – | – | – |"


def test_a_program_gets_every_digit_and_nothing_where_nothing_is() -> None:
    value, half = 1 / 3, 2 / 7
    sheet = Sheet("", (Column("x", "estimate"), Column("y")), ((estimate(np.array([value - half, value + half])), math.nan),))
    (row,) = csv.DictReader(io.StringIO(as_csv(sheet)))
    assert float(row["x"]) == pytest.approx(value, rel=1e-15)
    assert (row["x n"], row["y"]) == ("2", "")
    rows = list(csv.reader(io.StringIO(as_csv(SHEET))))
    assert rows[0] == ["name", "score", "score half", "score n", "difference", "difference low", "difference high",
                       "difference n", "FLOPs", "said"]  # fmt: skip
    assert rows[1][0] == "a|b"
    assert rows[1][4:] == ["0.5", "0.41", "0.63", "8", "12345", "well"]
    assert rows[2] == ["[bold]", "", "", "0", "", "", "", "0", "", "–"]


def test_frames_are_written_as_pandas_writes_them() -> None:
    frame = pd.DataFrame(
        {
            "text": ['a "b", c', "two\nlines", ""],
            "number": [1 / 3, math.nan, -1e-300],
            "count": [1, 2, 10**12],
            "truth": [True, False, True],
            "nothing": [None, None, 2.5],
        }
    )
    for part in (frame, frame[:0], frame["text"].to_frame(), pd.DataFrame()):
        assert frame_as_csv(part) == part.to_csv(index=False)


def test_a_sheet_without_heads_is_drawn_without_them() -> None:
    table = plain(Sheet("", (Column(""), Column("")), (("a", "b"),)))
    assert not table.show_header
    assert table.row_count == 1


@pytest.mark.parametrize("half", [0.3, 0.004, 1e-6, 0.0, None])
@pytest.mark.parametrize("mean", [-1e-3, -1e-5, -1e-9, -0.0, 0.04, -0.04])
def test_no_zero_has_a_sign(mean: float, half: float | None) -> None:
    interval = Interval(mean, mean - (half or 0.0), mean + (half or 0.0), 1 if half is None else 8)
    for text in (with_error(mean, half), with_interval(interval)):
        assert not re.search(r"-0(\.0+)?(?![\d.])", text), text


@pytest.mark.parametrize("half", [31.4, 0.3, 0.0999, 0.004, 2e-7])
@pytest.mark.parametrize("mean", [0.0, 0.5, -12.34, 3e-6, 1.5e7])
def test_a_mean_and_its_half_interval_have_as_many_decimals(mean: float, half: float) -> None:
    found = [len(part.partition(".")[2]) for part in re.findall(r"\d+(?:\.\d+)?(?!\d)", with_error(mean, half).split(")e")[0])]
    assert len(found) == 2
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_a_dash_whatever_the_kind(kind: str) -> None:
    assert KINDS[kind](math.nan) == MISSING
    assert with_error(math.nan, 0.1) == with_interval(Interval(math.nan, math.nan, math.nan, 0)) == MISSING
    assert in_little_room(math.nan) == MISSING


def test_one_seed_is_one_seed() -> None:
    assert (counts([1], "seed"), counts([3], "seed"), counts([1, 3], "seed")) == ("1 seed", "3 seeds", "1 or 3 seeds")
    assert counts([3, 1], "seed") == "1 or 3 seeds"
