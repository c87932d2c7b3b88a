"""Many tasks and many cells: frames are those of plain loops, figures stay small, and nothing is looked at for every pair.

Counted, never timed: what grows with the square of something shows in the number of calls, lines and inches.
"""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from kancl.metrics import METRICS
from kancl.options import Spec
from kancl.statistics import mean_interval
from runners.authoring.scenario_tables import tasks_sheet
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.measure.result import Result
from runners.report.drawing import draw_each, rendered
from runners.report.figures.curves import ALL_TASKS, curves, draw_curves
from runners.report.figures.data import line
from runners.report.figures.functions import FUNCTIONS, draw_functions, functions
from runners.report.figures.matrices import NUMBERED, draw_matrices, matrices
from runners.report.figures.panels import draw_line, legend_below
from runners.report.pages import FEW, MANY, PAGES, PANELS, PANELS_ON_PAGE, pages_of
from runners.report.palette import style_of
from runners.report.thinning import HIGHLIGHTED, MOMENTS, NAMES, QUIET, ROWS, evenly, fold, moments, ticks
from runners.results.blocks import _labelled
from runners.results.entry import Entry
from runners.results.results import Results
from scenarios import Scenario, Task


def result_of(tasks: int, seeds: int = 3, evaluations: int = 3, score: str = "rmse", functions: bool = False) -> Result:
    """What a run of some tasks left: any numbers, of the right shapes."""
    rng = np.random.default_rng(tasks)
    curve = rng.uniform(0.1, 0.9, (seeds, 1 + tasks * evaluations, tasks))
    x = np.linspace(0, 1, 20)[:, None]
    learned = rng.normal(size=(seeds, tasks + 1, 20, 1)) if functions else None
    return Result(
        seeds=tuple(range(4, 4 + seeds)),
        tasks=tuple(f"task {k}" for k in range(tasks)),
        setting="domain",
        metrics=tuple(METRICS),
        higher_is_better={score: score == "accuracy"},
        R={score: curve[:, ::evaluations]},
        null={score: np.full((seeds, tasks), 0.5)},
        curves={score: curve},
        curve_task=np.concatenate([[0], np.repeat(np.arange(tasks) + 1, evaluations)]),
        curve_step=np.concatenate([[0], np.tile(np.arange(evaluations) + 1, tasks)]),
        diverged_at=np.full(seeds, -1),
        parameters=10,
        seconds=1.0,
        steps=tasks * evaluations,
        functions=learned,
        plot_x=x if functions else None,
        plot_target=np.sin(x) if functions else None,
    )


def entry_of(number: int, result: Result, scenario: str = "long", strategy: str = "naive") -> Entry:
    asked = {"scenario": scenario, "architecture": f"mlp:hidden={number}", "strategy": strategy}
    specs = (Spec(scenario), Spec("mlp", {"hidden": [number]}), Spec(strategy))
    cell = Cell(*specs, Policy(steps=3), result.seeds, asked=asked)
    return Entry(cell, result, {**asked, "policy": cell.policy.label})


def results_of(entries: list[Entry]) -> Results:
    return Results((Path("nowhere"),), tuple(entries), ())


def lines(figure: Figure) -> Iterator[Any]:
    return itertools.chain.from_iterable(ax.lines for ax in figure.axes)


def rows_by_hand(entries: list[Entry], curves: bool) -> pd.DataFrame:
    """The frames' definition, number by number."""
    rows = []
    for entry in entries:
        result = entry.result
        for score, values in (result.curves if curves else result.R).items():
            for s, i, j in np.ndindex(values.shape):
                place = {"training_task": result.curve_task[i], "step": result.curve_step[i]} if curves else {"after_task": i}
                task = {"task": j + 1, "task_name": result.tasks[j], "score": score, "value": values[s, i, j]}
                rows.append({**entry.labels, "seed": result.seeds[s], **place, **task, "cell": entry.cell.key})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("kind", ["retention", "curves"])
def test_frames_are_those_of_a_loop_over_numbers(kind: str) -> None:
    entries = [entry_of(1, result_of(3)), entry_of(2, result_of(5, seeds=2)), entry_of(3, result_of(1, score="accuracy"))]
    frame = getattr(results_of(entries), kind)
    pd.testing.assert_frame_equal(frame, rows_by_hand(entries, kind == "curves"), check_exact=True)
    assert len(getattr(results_of([]), kind)) == 0


def test_a_cell_finds_the_joint_run_beside_it_as_a_search_over_all_pairs_does() -> None:
    entries = [
        entry_of(number, result_of(3), scenario, strategy)
        for scenario, number, strategy in itertools.product(("a", "b"), (1, 2, 3), ("naive", "joint", "ewc"))
        if (scenario, number, strategy) != ("b", 2, "joint")
    ]
    other_file = replace(entries[0].cell, sources={"plug-in.py": "1"})
    entries.append(replace(entries[0], cell=other_file))
    summary = results_of(entries).summary
    found = set(summary["cell"][summary["metric"] == "intransigence"])

    def beside(one: Cell, joint: Cell) -> bool:
        return joint.strategy.name == "joint" and replace(joint, strategy=one.strategy).asked_key == one.asked_key

    cells = [entry.cell for entry in entries]
    assert found == {c.key for c in cells if c.strategy.name != "joint" and any(beside(c, other) for other in cells)}
    assert len(found) == 2 * 5 + 1


def test_a_summary_needs_the_key_of_a_cell_and_not_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry_of(n, result_of(2), strategy=s) for n in range(40) for s in ("naive", "joint")]
    written: list[int] = []
    plain = Cell.to_json

    def counted(cell: Cell) -> dict[str, Any]:
        written.append(1)
        return plain(cell)

    monkeypatch.setattr(Cell, "to_json", counted)
    assert results_of(entries).summary["metric"].eq("intransigence").sum() == 40
    assert len(written) <= 3 * len(entries)


def test_labels_of_many_cells_differ_as_those_of_few_do() -> None:
    entries = [entry_of(n, result_of(2)) for n in [*range(100), 500]]
    entries = [*(replace(entry, cell=replace(entry.cell, dtype="float64")) for entry in entries[:100]), *entries]
    labels = [tuple(entry.labels.values()) for entry in _labelled(entries)]
    assert len(set(labels)) == len(labels) == 201
    assert labels[-1][-1] == Policy(steps=3).label


def test_student_quantiles_are_kept_and_intervals_stay_as_they_are() -> None:
    values = np.array([0.1, 0.4, 0.9])
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values).low == pytest.approx(-0.53729, abs=1e-4)
    assert mean_interval(values[:2]).low != mean_interval(values).low


@pytest.mark.parametrize("tasks", [1, 2, 5, 12, 13, 40, 1000])
def test_figures_have_an_upper_size_and_say_what_is_not_in_them(tasks: int) -> None:
    entries = [entry_of(n, result_of(tasks, evaluations=2 if tasks > 100 else 12, functions=tasks <= 40)) for n in range(3)]
    over_time, matrix = draw_curves(curves("long", entries)), draw_matrices(matrices("long", entries, "a note"))
    for figure in (over_time, matrix):
        assert max(figure.get_size_inches()) <= 30
    told = over_time.get_suptitle() + matrix.get_suptitle()
    assert ("in colour" in told) == (tasks > ALL_TASKS)
    assert (f"{ROWS} of" in told) == (tasks > ROWS)
    assert "a note" in told
    assert len(list(lines(over_time))) <= 3 * (HIGHLIGHTED + QUIET + 40)
    assert sum(len(line.get_xdata()) for line in lines(over_time)) <= 3 * (HIGHLIGHTED + QUIET) * (MOMENTS + HIGHLIGHTED) + 1000
    assert len(over_time.legends[0].get_texts()) == min(tasks, HIGHLIGHTED if tasks > ALL_TASKS else tasks) + 1  # and the null
    assert all(ax.images[0].get_array().size <= (ROWS + 1) * ROWS for ax in matrix.axes[:3])
    assert sum(len(ax.texts) for ax in matrix.axes) == (3 * tasks * (tasks + 1) if tasks <= NUMBERED else 0)
    if tasks <= 40:
        learned = draw_functions(functions("long", entries))
        assert len(learned.axes) == 3 * min(tasks, FUNCTIONS)
        assert (f"{FUNCTIONS} of" in learned.get_suptitle()) == (tasks > FUNCTIONS)


def test_a_line_keeps_the_best_moment_of_its_task_and_a_matrix_its_numbers() -> None:
    entry = entry_of(1, result_of(1000, evaluations=2))
    R = np.median(entry.result.R["rmse"], 0)
    (panel,) = curves("long", [entry]).panels
    assert [trace.task for trace in panel.traces] == evenly(1000, HIGHLIGHTED)
    for trace in panel.traces:
        assert trace.name == f"task {trace.task}"
        x, y = trace.scores.x, trace.scores.middle
        assert y[x == trace.task + 1.0] == R[trace.task + 1, trace.task]
        assert x.min() >= trace.task
    (matrix,) = matrices("long", [entry]).matrices
    kept = evenly(1000, ROWS)
    np.testing.assert_array_equal(matrix.values[1:], R[1:][np.ix_(kept, kept)])
    np.testing.assert_array_equal(matrix.values[0], R[0, kept])
    np.testing.assert_array_equal(matrix.shades, np.log10(matrix.values))


def test_what_is_drawn_is_the_data() -> None:
    entries = [entry_of(n, result_of(3, functions=True)) for n in range(2)]
    over_time, squares, learned = curves("short", entries), matrices("short", entries), functions("short", entries)
    for panel, ax in zip(over_time.panels, draw_curves(over_time).axes, strict=True):
        drawn = {str(line.get_label()): line for line in ax.lines}
        for trace in panel.traces:
            assert list(drawn[trace.name].get_xdata()) == list(trace.scores.x)
            assert list(drawn[trace.name].get_ydata()) == list(trace.scores.middle)
        assert ax.get_title() == panel.title
    for matrix, ax in zip(squares.matrices, draw_matrices(squares).axes, strict=False):
        np.testing.assert_array_equal(np.array(ax.images[0].get_array()), matrix.shades)
        assert ax.get_title() == matrix.title
    figure = draw_functions(learned)
    for place, ax in enumerate(figure.axes):
        cell = learned.cells[place // 3]
        assert list(ax.lines[1].get_ydata()) == list(cell.after[place % 3].middle)
        assert list(ax.lines[0].get_ydata()) == list(cell.target)


def test_data_of_figures_are_those_of_the_results() -> None:
    result = result_of(3, seeds=5, functions=True)
    entry = entry_of(1, replace(result, diverged_at=np.array([-1, -1, 2, -1, -1])))
    alive = entry.alive
    assert result.functions is not None
    (panel,) = curves("short", [entry]).panels
    (matrix,) = matrices("short", [entry]).matrices
    (cell,) = functions("short", [entry]).cells
    for trace in panel.traces:
        scores = result.curves["rmse"][alive][:, :, trace.task]
        np.testing.assert_allclose(trace.scores.low, np.quantile(scores, 0.1, axis=0))
        np.testing.assert_allclose(trace.scores.middle, np.median(scores, axis=0))
        np.testing.assert_allclose(trace.scores.high, np.quantile(scores, 0.9, axis=0))
    np.testing.assert_allclose(matrix.values, np.median(result.R["rmse"][alive], axis=0))
    for number, after in enumerate(cell.after, 1):
        np.testing.assert_allclose(after.middle, np.median(result.functions[alive, number, :, 0], axis=0))
    assert panel.null == 0.5
    assert (panel.tasks, panel.diverged, panel.at_ends) == (3, False, False)
    assert "n = 5 seeds, 1 diverged and left out" in curves("short", [entry]).heading[1]


def test_a_cell_whose_seeds_all_diverged_is_still_drawn() -> None:
    entry = entry_of(1, replace(result_of(2, functions=True), diverged_at=np.zeros(3, dtype=int)))
    data = matrices("short", [entry])
    figure = draw_matrices(data)
    assert {text.get_text() for text in figure.axes[0].texts} == {"–"}
    assert {text.get_color() for text in figure.axes[0].texts} == {"black"}
    assert "every seed diverged" in [text.get_text() for text in draw_curves(curves("short", [entry])).axes[0].texts]
    assert draw_functions(functions("short", [entry])).axes


def test_seeds_with_steps_of_their_own_are_thinned_alike() -> None:
    result = result_of(100, seeds=2, evaluations=6)
    task, step = (np.stack([side, side]) for side in (result.curve_task, result.curve_step))
    task[1, -6:], step[1, -6:] = -1, -1  # the second seed has fewer evaluations
    figure = draw_curves(curves("long", [entry_of(1, replace(result, curve_task=task, curve_step=step))]))
    assert all(len(line.get_xdata()) <= MOMENTS + HIGHLIGHTED for line in lines(figure))
    assert "at the ends of tasks" in figure.get_suptitle()
    frame = results_of([entry_of(1, replace(result, curve_task=task, curve_step=step))]).curves
    assert len(frame) == (2 * 601 - 6) * 100
    assert (frame["step"] >= 0).all()


def test_a_table_of_very_many_tasks_shows_its_ends() -> None:
    def task(number: int) -> Task:
        x = torch.arange(4.0)[:, None] + 10 * number
        return Task(f"task {number}", (x[:2], x[:2]), (x[2:], x[2:]))

    rows = {count: len(tasks_sheet(Scenario([task(k) for k in range(count)], "mse")).rows) for count in (50, 51, 1000)}
    assert rows == {50: 50, 51: 51, 1000: 51}


def test_evaluations_that_are_few_are_all_drawn() -> None:
    few = result_of(12, evaluations=12).curve_task
    assert len(moments(few, [0])) == len(few)
    many = result_of(100, evaluations=12).curve_task
    kept = moments(many, [3])
    assert set(kept) <= {0, *range(12, 1201, 12)}
    assert {0, 4 * 12, 1200} <= set(kept)


def test_every_label_has_room() -> None:
    assert [len(ticks(count)) <= 12 for count in range(1, 3000)] == [True] * 2999
    assert max(map(len, fold("a" * 200 + ", " + "b" * 10, 34).splitlines())) <= 34
    figure = Figure(figsize=(6, 4))
    handles = figure.subplots().plot(np.zeros((2, 300)))
    legend_below(figure, handles, [f"contender {n}" for n in range(300)])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert (len(names), names[-1]) == (NAMES + 1, "and 276 more")


@pytest.mark.parametrize("cells", [3, 200])
def test_intervals_of_many_cells_are_a_band_and_those_of_few_are_bars(cells: int) -> None:
    ax = Figure().subplots()
    entries = [entry_of(n, result_of(2)) for n in range(cells)]
    draw_line(ax, line("mlp", range(cells), entries, "retention"), style_of("mlp"))
    assert (len(ax.containers), len(ax.lines)) == ((1, 3) if cells == 3 else (0, 1))
    assert len(ax.collections) == 1


def test_cells_beyond_what_figures_hold_are_counted_and_not_drawn() -> None:
    result = result_of(2)
    one = results_of([entry_of(n, result) for n in range(150)])
    pages, left_out = pages_of(one)
    assert [len(page.entries) for page in pages] == [PANELS_ON_PAGE] * PAGES
    assert [page.note for page in pages] == ["cells 1 to 24 of 150", "cells 25 to 48 of 150, 102 are not drawn"]
    assert left_out[0] == "long: the first 48 of 150 cells have panels, the tables show all"
    several = results_of([entry_of(n, result, f"scenario {k}") for k in range(20) for n in range(10)])
    pages, left_out = pages_of(several)
    assert sum(len(page.entries) for page in pages) == PANELS
    assert left_out[-2:] == [
        "10 more scenarios have no panels of their own, since figures hold 96 in all",
        "--scenarios, --architectures and --strategies choose which cells are shown",
    ]
    few = pages_of(results_of([entry_of(n, result) for n in range(3)]))
    assert [(page.number, page.note) for page in few[0]] == [("", "")]
    assert few[1] == []


@pytest.mark.parametrize("scenarios", [1, 5])
def test_of_a_thousand_cells_few_have_panels_and_that_is_said(scenarios: int) -> None:
    result = result_of(2)
    entries = [entry_of(n, result, f"scenario {n % scenarios}") for n in range(1000)]
    pages, left_out = pages_of(results_of(entries))
    assert sum(len(page.entries) for page in pages) == FEW
    assert left_out[0].endswith(f": the first {FEW} of {1000 // scenarios:,} cells have panels, the tables show all")
    assert sum(len(page.entries) for page in pages_of(results_of(entries[:MANY]))[0]) > FEW


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_picture_is_drawn_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    plain = Figure.draw

    def counting(figure: Figure, renderer: Any) -> None:
        drawn.append(figure)
        plain(figure, renderer)

    monkeypatch.setattr(Figure, "draw", counting)
    figure = draw_curves(curves("long", [entry_of(1, result_of(2))]))
    assert len(rendered(figure, kind)) > 1000
    assert drawn == [figure]


def test_a_figure_is_laid_out_once_for_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    laid: list[int] = []
    plain: Callable[..., None] = ConstrainedLayoutEngine.execute

    def counted(engine: Any, figure: Figure) -> None:
        laid.append(1)
        plain(engine, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    written = list(draw_each([("figure", lambda: draw_curves(curves("long", [entry_of(1, result_of(2))])))], tmp_path))
    assert [path.suffix for path in written] == [".png", ".svg"]
    assert len(laid) == 1


DATA = """
import sys

from runners.report.figures import draw_all
from runners.results.results import load

results = load(sys.argv[1])
made = {plan.name.rpartition("-")[2]: type(plan.data()).__name__ for plan in draw_all.planned(results)}
assert made["curves"] == "CurvesData", made
assert made["retention"] == "MatricesData", made
assert "matplotlib" not in sys.modules
"""


def test_data_of_figures_need_no_matplotlib() -> None:
    """What is shown can be had by whoever draws it in another way."""
    folder = Path(__file__).parents[2] / "data" / "stored-815f9c5" / "finished"
    done = subprocess.run([sys.executable, "-c", DATA, str(folder)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
