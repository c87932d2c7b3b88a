"""The report as a file: its numbers are those of terminal and CSV, and texts of users are texts."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kancl.errors import InputError
from kancl.options import Spec
from kancl.statistics import Interval
from runners.cli.report import NAME, Report
from runners.report.html.columns import Columns
from runners.report.html.markup import in_script, tag, written
from runners.report.html.plot import Box, Scale, band, path
from runners.report.numbers import Estimate
from runners.report.sheet import Sheet, as_csv
from runners.report.tables import score_sheet
from runners.report.verdict_tables import verdict_sheets
from runners.results.networks import is_kancls_own
from runners.results.results import Results, load
from runners.results.verdicts import compare, frame

Kancl = Callable[..., Any]


class Page(HTMLParser):
    """A page that was read: its elements, its tables and its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.data: list[dict[str, Any]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] == "script" and self.tags[-1][1].get("type") == "application/json":
            self.data.append(json.loads(data))

    def file(self, name: str) -> dict[str, Any]:
        """The data of a figure or a table."""
        (found,) = (data for data in self.data if data["file"] == name)
        return found


@pytest.fixture(scope="module")
def results(stored: Path) -> Results:
    return load(stored)


@pytest.fixture(scope="module")
def text(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    from runners.cli.main import main

    file = tmp_path_factory.mktemp("html") / "r.html"
    assert main(["report", str(stored), "-o", str(file)]) == 0
    return file.read_text()


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def rows_of(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a figure's data."""
    columns = [own if isinstance(own, list) else [own["of"][place] for place in own["at"]] for own in data["columns"]]
    return (dict(zip(data["heads"], row, strict=True)) for row in zip(*columns, strict=True))


def sheets_of(results: Results) -> list[Sheet]:
    scores = [score_sheet(scenario, entries) for (scenario,), entries in results.groups("scenario").items()]
    return [*scores, *verdict_sheets(compare(results))]


def test_numbers_are_those_of_terminal_and_csv(page: Page, results: Results, stored: Path, kancl: Kancl) -> None:
    shown = " ".join(kancl("compare", stored, "--no-figures").out.split())
    known = [table["csv"] for table in page.data if "csv" in table]
    for sheet in sheets_of(results):
        (table,) = (own for own in page.tables if own[1:] == [[text.strip() for text in row] for row in sheet.texts()])
        for row in table[1:]:
            for cell in row[sheet.keys :]:
                assert " ".join(cell.split()) in shown
        own = list(csv.DictReader(io.StringIO(next(text for text in known if text == as_csv(sheet)))))
        column = next(column for column in sheet.columns if column.kind in ("estimate", "interval"))
        for row, numbers in zip(sheet.rows, own, strict=True):
            value = row[sheet.columns.index(column)]
            if isinstance(value, Estimate | Interval) and np.isfinite(value.mean):
                assert float(numbers[column.head]) == value.mean


def test_what_rows_share_is_said(text: str, results: Results) -> None:
    said = [sheet.subtitle for sheet in sheets_of(results) if sheet.subtitle]
    assert said
    assert all(written(line) in text for line in said)


def test_the_summary_of_programs_has_the_numbers_of_the_tables(page: Page, stored: Path, kancl: Kancl) -> None:
    summary = list(csv.DictReader(io.StringIO(kancl("compare", stored, "--format", "csv", "--no-figures").out)))
    (first, *_) = (list(csv.DictReader(io.StringIO(data["csv"]))) for data in page.data if data["file"] == "scores-1")
    for row in first:
        (own,) = (
            other for other in summary
            if other["metric"] == "final_score" and other["scenario"].startswith("gaussian")
            and (other["architecture"], other["strategy"]) == (row["architecture"], row["strategy"])
        )  # fmt: skip
        assert float(own["mean"]) == float(row["final rmse"])


def test_curves_end_in_the_last_row_of_the_matrix(page: Page, results: Results) -> None:
    entries = results.groups("scenario")["gaussian-peaks:tasks=3,samples=40",]
    (data,) = (own for own in page.data if own["file"] == "1-gaussian-peaks_tasks_3_samples_40-curves")
    rows = list(rows_of(data))
    for number, entry in enumerate(entries, 1):
        for task in range(3):
            last = [row for row in rows if row["panel"] == number and row["task"] == task + 1][-1]
            assert last["median"] == pytest.approx(np.median(entry.result.R["rmse"][:, -1, task]), rel=1e-6)
            assert (last["architecture"], last["strategy"]) == (entry.labels["architecture"], entry.labels["strategy"])


def test_verdicts_are_drawn_with_the_numbers_of_the_frame(page: Page, results: Results) -> None:
    known = frame(compare(results)).to_dict("records")
    drawn = [row for data in page.data if data["file"].startswith("verdicts-") for row in rows_of(data)]
    assert [row["outcome"] for row in drawn] == [row["outcome"] for row in known]
    for row, own in zip(drawn, known, strict=True):
        ends = [own["difference"], own["difference_low"], own["difference_high"]]
        numbers = [np.nan if row[name] is None else row[name] for name in ("difference", "low", "high")]
        assert numbers == pytest.approx(ends, rel=1e-6, nan_ok=True)
    assert any(row["difference"] is not None for row in drawn)


def test_texts_of_users_are_texts(text: str, page: Page) -> None:
    assert {name for name, _ in page.tags} <= ELEMENTS
    assert text.count("</script>") == text.count("<script")
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "&lt;img onerror=x()&gt;" in text
    assert "&lt;i&gt;&amp;$x$.py:named" in text
    assert "\\x1b[31m" in text
    assert "\x1b" not in text


ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "div", "h1", "p", "label", "select", "option", "nav", "ul",
    "li", "main", "section", "h2", "h3", "b", "span", "button", "figure", "figcaption", "svg", "text", "line", "g", "circle",
    "path", "rect", "script", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "fieldset", "legend", "input",
    "code", "footer", "noscript", "tspan", "image",
}  # fmt: skip


def test_nothing_is_asked_from_anywhere(page: Page, text: str) -> None:
    for name, attributes in page.tags:
        assert not {"src", "srcset", "poster", "data", "action"} & set(attributes)
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,")), (name, attributes)
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    assert "color-scheme" in style
    assert not re.search(r"url\(|@import", style)


def test_every_figure_and_table_has_its_files(page: Page) -> None:
    names = [attributes["data-file"] for _, attributes in page.tags if "data-file" in attributes]
    assert names == [data["file"] for data in page.data]
    assert len(set(names)) == len(names)
    drawings = [attributes for name, attributes in page.tags if name == "svg" and "aria-hidden" not in attributes]
    assert drawings
    assert all(own["role"] == "img" and own["aria-label"] for own in drawings)


def test_the_selection_is_that_of_compare(stored: Path, kancl: Kancl, tmp_path: Path) -> None:
    file = tmp_path / "one.html"
    ended = kancl("report", stored, "--scenarios", "gaussian-peaks", "--strategies", "naive", "--seeds", "0-4", "-o", file)
    assert (ended.code, ended.out.split()) == (0, ["wrote", str(file)])
    text = file.read_text()
    assert "named" not in text.split('id="origin"')[0]
    assert "5 seeds" in text
    assert kancl("report", stored, "--strategies", "ewc", "-o", file).code == 2
    assert "no strategy" in kancl("report", stored, "--strategies", "ewc", "-o", file).err


def test_places_that_cannot_be_written_are_told(stored: Path, kancl: Kancl, tmp_path: Path) -> None:
    ended = kancl("report", stored, "-o", tmp_path / "no" / "where.html")
    assert ended.code == 2
    assert "--output" in ended.err
    assert kancl("report").code == 2


def boom(*given: Any, **more: Any) -> None:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    "place",
    [
        "html.sections.intervals",
        "html.sections.headline",
        "html.panels.curves",
        "html.panels.matrices",
        "html.panels.surfaces",
        "html.panels.differences",
        "html.panels.functions",
        "html.panels.overlaps",
        "html.panels.ledgers",
        "html.panels.tradeoff",
        "html.panels.networks_drawn.draw",
        "figures.network.networks_of_seed",
    ],
)
def test_a_figure_that_fails_is_the_only_one_left_out(
    place: str, stored: Path, page: Page, kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"runners.report.{place}", boom)
    said = kancl("report", stored, "-o", tmp_path / "report.html")
    lines = said.err.splitlines()
    assert (said.code, lines != []) == (1, True)
    assert all(line.startswith("left out, cannot be drawn: ") and line.endswith("(RuntimeError: boom)") for line in lines)
    written_page = (tmp_path / "report.html").read_text()
    assert written_page.count("cannot be drawn, and left out: ") == len(lines)
    left, whole = (sum(name == "figure" for name, _ in tags) for tags in (Page(written_page).tags, page.tags))
    of_one_line = {"html.sections.intervals": 2, "html.panels.surfaces": 0}  # a figure a scenario; no images of two inputs here
    assert whole - left == of_one_line.get(place, len(lines))


def test_a_network_that_cannot_be_built_takes_no_figure_along(
    stored: Path, kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.report.figures.network.networks_of_seed", boom)
    said = kancl("compare", stored, "--only-figures", "network", "retention", "--figures", "png", "--figures-to", tmp_path)
    assert said.code == 1
    assert said.err.count("network (RuntimeError: boom)") == 2
    assert len(list(tmp_path.glob("*-retention.png"))) == 2


def test_data_that_are_not_there_any_more_leave_out_what_needs_them(
    stored: Path, kancl: Kancl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*given: Any) -> None:
        raise InputError("the files are gone")

    monkeypatch.setattr("runners.stream.cache.StreamCache.of", gone)
    said = kancl("report", stored, "-o", tmp_path / "report.html")
    assert (said.code, said.err) == (0, "")


def test_code_of_others_is_not_built_again_unasked(results: Results) -> None:
    for entry in results.entries:
        assert is_kancls_own(entry.cell) == (".py:" not in entry.cell.scenario.name)
        installed = replace(entry.cell, scenario=Spec("gaussian-peaks"), architecture=Spec("of-a-package"))
        assert not is_kancls_own(installed)
        assert not is_kancls_own(replace(installed, scenario=Spec("avalanche"), architecture=Spec("kan")))


def test_run_writes_the_report_beside_the_results(kancl: Kancl, tmp_path: Path) -> None:
    said = ["run", "gaussian-peaks:tasks=2,samples=10", "--architectures", "mlp", "--steps", "2", "--seeds", "2", "--report"]
    ended = kancl(*said, "--out", tmp_path / "out")
    assert ended.code == 0
    assert str(tmp_path / "out" / NAME) in ended.out
    own = (tmp_path / "out" / NAME).read_text()
    assert own.startswith("<!doctype html>")
    outside = tmp_path / "elsewhere.html"
    (tmp_path / "out" / NAME).unlink()
    (tmp_path / "out" / NAME).symlink_to(outside)
    assert kancl("report", tmp_path / "out").code == 2
    assert not outside.exists()


def test_what_is_no_markup_is_escaped_wherever_it_stands() -> None:
    assert tag("p", "<b>", title='"&') == '<p title="&quot;&amp;">&lt;b&gt;</p>'
    assert tag("p", tag("b", "<"), None, 3) == "<p><b>&lt;</b>3</p>"
    assert "</script" not in in_script(json.dumps("</script>"))
    assert json.loads(in_script(json.dumps("</script>"))) == "</script>"


def test_data_come_back_from_a_script() -> None:
    columns = Columns.of([{"name": "</script>", "value": 1 / 3}, {"name": 'a,"b"', "value": float("nan")}])
    (data,) = Page(columns.script("x")).data
    assert [row["name"] for row in rows_of(data)] == ["</script>", 'a,"b"']
    assert [row["value"] for row in rows_of(data)] == [0.3333333, None]
    assert list(csv.reader(io.StringIO(columns.csv())))[1:] == [["</script>", "0.3333333"], ['a,"b"', ""]]


def test_scales_and_lines() -> None:
    scale = Scale(1e-6, 1.0, 0, 60, logarithmic=True)
    assert scale([1e-6, 1e-3, 1.0]).tolist() == pytest.approx([0, 30, 60])
    assert [text for _, text in scale.ticks()] == ["1e-6", "1e-4", "0.01", "1"]
    assert [text for _, text in Scale(0, 1, 0, 10).ticks()] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert path([0, 1, 2, 3], [0.0, 1.04, np.nan, 3]) == "M0 0L1 1M3 3"
    x = np.arange(3.0)
    assert band(x, x, x + 1) == "M0 1L1 2L2 3L2 2L1 1L0 0Z"
    assert band(x, x, np.full(3, np.nan)) == ""
    assert Box().y(0, 1)(1.0) == Box().top


def test_options_are_those_of_compare() -> None:
    assert Report((Path("a"),)).margin == 0.1
