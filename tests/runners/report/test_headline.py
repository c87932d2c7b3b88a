"""The headline: a point per seed, the numbers of the tables, the verdict in words, and pages that say what they leave out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kancl.options import Spec
from kancl.statistics import mean_interval
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.measure.result import Result
from runners.report.figures.draw_all import KINDS, draw_all, planned
from runners.report.figures.headline import draw_headline, headline
from runners.report.figures.headline_data import PAGES, ROWS, HeadlineData, pages_of_headline
from runners.report.figures.look import Look
from runners.report.figures.overlaid import draw_overlaid, overlaid
from runners.report.words import in_words
from runners.results.entry import Entry
from runners.results.results import Results
from runners.results.verdicts import compare
from tests.runners.report.test_sizes import result_of, results_of

SEEDS = 8


def learned(keeps: float, setting: str = "domain", score: str = "accuracy") -> Result:
    """Three tasks that are learned nearly perfectly, of which so much is kept."""
    rng = np.random.default_rng(int(1000 * keeps))
    result = result_of(3, seeds=SEEDS, score=score)
    scores = np.full((SEEDS, 4, 3), 0.5)
    for row in range(1, 4):
        for task in range(row):
            scores[:, row, task] = 0.99 if task == row - 1 else 0.5 + 0.49 * keeps + rng.uniform(0, 0.005, SEEDS)
    return replace(result, R={score: scores}, setting=setting)


def cell(architecture: str, result: Result, scenario: str = "toy", strategy: str = "naive") -> Entry:
    name, _, options = architecture.partition(":hidden=")
    asked = {"scenario": scenario, "architecture": architecture, "strategy": strategy}
    if strategy == "joint":
        result = replace(result, metrics=("final_score",))
    made = Cell(Spec(scenario), Spec(name, {"hidden": [options]}), Spec(strategy), Policy(steps=3), result.seeds, asked=asked)
    return Entry(made, result, {**asked, "policy": made.policy.label})


def toy() -> Results:
    return results_of(
        [cell("kan", learned(0.9)), cell("mlp", learned(0.1)), cell("kan", learned(0.95), strategy="joint")]
    )  # fmt: skip


def data_of(results: Results) -> HeadlineData:
    return headline(results, compare(results))


def test_every_seed_is_a_point_and_intervals_are_those_of_the_tables() -> None:
    results = toy()
    (block,) = data_of(results).blocks
    assert list(block.groups) == ["naive", "joint"]
    for row, entry in zip(block.rows, results.entries, strict=True):
        for spread, key in zip(row.spreads, ("retention", "final_score"), strict=True):
            if key == "retention" and entry.labels["strategy"] == "joint":
                assert (len(spread.seeds), spread.missing) == (0, "means nothing under joint")
                continue
            np.testing.assert_array_equal(spread.seeds, entry.metrics()[key])
            assert spread.interval == mean_interval(entry.metrics()[key])
    summary = results.summary
    final = summary[summary["metric"] == "final_score"]["mean"].tolist()
    assert [row.spreads[1].interval.mean for row in block.rows] == final


def test_the_verdict_stands_beside_its_row_and_in_words_above() -> None:
    results = toy()
    comparisons = compare(results)
    (block,) = headline(results, comparisons).blocks
    kan, mlp, joint = block.rows
    assert kan.verdict == ("retains more than mlp, p 0.0078",)
    assert (kan.favours, mlp.favours, joint.favours) == (1, 0, 0)
    assert mlp.verdict == joint.verdict == ()
    assert block.title == f"toy: {in_words(comparisons[0])}"


def test_the_metric_is_that_of_the_verdicts() -> None:
    forgets = headline(toy(), compare(toy(), metric="forgetting")).blocks[0]
    assert [axis.label.split("\n")[0] for axis in forgets.axes] == ["forgetting", "final accuracy"]
    assert forgets.rows[0].verdict[0].startswith("forgets less than mlp")
    classes = results_of([cell("kan", learned(0.0, "class")), cell("mlp", learned(0.01, "class"))])
    (block,) = data_of(classes).blocks
    assert [axis.label.split("\n")[0] for axis in block.axes] == ["final accuracy", "learning accuracy"]


def test_strategies_that_forget_nothing_show_what_means_something() -> None:
    alone = replace(learned(0.5), metrics=("learning_score", "learned"))
    (block,) = data_of(results_of([cell("kan", alone, strategy="independent")])).blocks
    assert [axis.label.split("\n")[0] for axis in block.axes] == ["learning accuracy"]
    nothing = results_of([cell("kan", replace(alone, metrics=()))])
    assert [plan.name for plan in planned(nothing)] == ["toy-curves", "toy-retention"]


def test_what_cannot_be_compared_says_why_and_many_are_counted() -> None:
    few = results_of([cell("kan", learned(0.9)).of_seeds([4, 5]), cell("mlp", learned(0.1)).of_seeds([4, 5])])
    assert data_of(few).blocks[0].rows[0].verdict == ("no verdict against mlp: too few seeds (2 of 6)",)
    names = [f"mlp:hidden={n}" for n in range(5)]
    many = results_of([cell("kan", learned(0.9)), *(cell(name, learned(0.1 + 0.01 * n)) for n, name in enumerate(names))])
    assert data_of(many).blocks[0].rows[0].verdict == ("retains more than 5 others",)
    dead = replace(learned(0.5), diverged_at=np.zeros(SEEDS, dtype=int))
    (block,) = data_of(results_of([cell("kan", dead)])).blocks
    assert block.rows[0].spreads[0].missing == "every seed diverged"


def test_points_bars_and_words_are_drawn() -> None:
    data = data_of(toy())
    figure = draw_headline(data)
    kept, final = figure.axes
    points = [line for line in kept.lines if line.get_alpha() is not None]
    assert [list(line.get_xdata()) for line in points] == [list(row.spreads[0].seeds) for row in data.blocks[0].rows[:2]]
    assert [label.get_text() for label in kept.get_yticklabels()] == ["naive", "kan", "mlp", "joint", "kan"]
    assert [text.get_text() for text in kept.texts] == ["means nothing under joint"]
    assert [text.get_text() for text in final.texts] == ["retains more than mlp, p 0.0078"]
    assert kept.get_xlim()[0] < 0 < 1 < kept.get_xlim()[1]
    assert "n = 8 seeds" in figure.get_suptitle()


def test_an_interval_beyond_the_frame_is_cut_and_told() -> None:
    wide = replace(learned(0.5), seeds=(4, 5))
    scores = wide.R["accuracy"][:2].copy()
    scores[0, 3, :2], scores[1, 3, :2] = 0.5, 0.99
    results = results_of(
        [
            cell(
                "kan",
                replace(wide, R={"accuracy": scores}, null={"accuracy": np.full((2, 3), 0.5)}, diverged_at=np.full(2, -1)),
            )
        ]
    )
    figure = draw_headline(data_of(results))
    assert "bars at the frame go on" in figure.get_suptitle()
    low, high = figure.axes[0].get_xlim()
    assert all(low <= x <= high for line in figure.axes[0].lines for x in line.get_xdata())
    assert "at the frame" not in draw_headline(data_of(toy())).get_suptitle()


@pytest.mark.parametrize("cells", [2, 60, 1000])
def test_pages_hold_so_many_cells_and_say_what_they_leave_out(cells: int) -> None:
    result = learned(0.5)
    results = results_of([cell(f"mlp:hidden={n % 20}", result, f"toy {n // 20}") for n in range(cells)])
    data = headline(results, [])
    pages = pages_of_headline(data)
    shown = [row for page in pages for block in page.blocks for row in block.rows]
    assert all(0 < sum(len(block.rows) for block in page.blocks) <= ROWS for page in pages)
    assert len(shown) == (cells if cells <= 60 else ROWS)
    assert ("first 32 of 1,000 cells" in " ".join(data.heading)) == (cells == 1000)
    assert {page.contenders == data.contenders for page in pages} == {True}
    assert all(draw_headline(page).get_figheight() < 16 for page in pages)


def test_a_scenario_of_more_cells_than_a_page_goes_on() -> None:
    result = learned(0.5)
    pages = pages_of_headline(
        headline(results_of([cell(f"mlp:hidden={n}", result) for n in range(2 * PAGES * ROWS)][:190]), [])
    )
    assert [block.title for page in pages for block in page.blocks] == ["toy", *["toy (continued)"] * (PAGES - 1)]
    names = [row.name for page in pages for block in page.blocks for row in block.rows]
    assert names == [f"mlp:hidden={n}" for n in range(PAGES * ROWS)]


def test_where_two_axes_have_no_room_they_stand_one_below_the_other() -> None:
    narrow = draw_headline(data_of(toy()), Look(width="single"))
    assert [ax.get_subplotspec().colspan.start for ax in narrow.axes] == [0, 0]
    assert narrow.get_figwidth() == pytest.approx(3.35)


def test_it_is_drawn_first_and_figures_are_chosen_by_kind(tmp_path: Path) -> None:
    results = toy()
    names = [plan.name for plan in planned(results)]
    assert names == ["headline", "toy-curves", "toy-retention"]
    assert [plan.name for plan in planned(results, only=["retention"])] == ["toy-retention"]
    overlay = [plan.name for plan in planned(results, overlay=True)]
    assert overlay == ["headline", "toy-naive-curves", "toy-joint-curves", "toy-retention"]
    assert set(KINDS) >= {"headline", "size", "dial", "overlap", "curves", "retention", "functions"}
    written = list(draw_all(results, tmp_path, look=Look(("pdf", "png"), dpi=50), only=["headline"]))
    assert [path.name for path in written] == ["headline.pdf", "headline.png"]


def test_overlaid_curves_are_those_of_the_cells() -> None:
    results = toy()
    entries = [entry for entry in results.entries if entry.labels["strategy"] == "naive"]
    data = overlaid("toy", "naive", entries)
    assert [panel.title for panel in data.panels] == [
        "mean of the tasks so far",
        "task 1: task 0",
        "task 2: task 1",
        "task 3: task 2",
    ]
    assert data.contenders == {"kan": "kan", "mlp": "mlp"}
    for number, entry in enumerate(entries):
        scores = entry.result.curves["accuracy"]
        np.testing.assert_allclose(data.panels[2].courses[number].middle, np.median(scores[:, :, 1], axis=0))
        begun = np.maximum(entry.result.curve_task, 1)
        so_far = np.stack([scores[:, e, : begun[e]].mean(axis=1) for e in range(len(begun))], axis=1)
        np.testing.assert_allclose(data.panels[0].courses[number].middle, np.median(so_far, axis=0))
    figure = draw_overlaid(data)
    for panel, ax in zip(data.panels, figure.axes, strict=True):
        assert [list(line.get_ydata()) for line in ax.lines[:2]] == [list(course.middle) for course in panel.courses]
