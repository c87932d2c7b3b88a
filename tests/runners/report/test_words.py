"""Guards what a terminal says: sentences on what verdicts found, and tables of 80 columns whatever names are."""

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from kancl.metrics import METRICS
from kancl.options import Spec
from kancl.statistics import mean_interval
from kancl.verdict import Rules
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.measure.result import Result
from runners.report.numbers import estimate, with_interval
from runners.report.tables import ON_SCREEN, score_sheet, summary_tables
from runners.report.verdict_tables import verdict_tables
from runners.report.words import MOST, answers, in_words
from runners.report.written import as_csv
from runners.results.entry import Entry
from runners.results.results import Results
from runners.results.verdicts import Comparison, compare


def entry(architecture: str, end: float, learned: float = 0.9, *, score: str = "accuracy", **said: Any) -> Entry:
    """A cell of two tasks: what was learned, and what is left of the first at the end; a little different in every seed."""
    count, wobble, setting = said.pop("seeds", 8), said.pop("wobble", 0.001), said.pop("setting", "domain")
    scenario, optimizer = said.pop("scenario", "toy"), said.pop("optimizer", "adam")
    null = 0.5 if score == "accuracy" else 0.4
    R = np.full((count, 3, 2), null)
    R[:, 1, 0] = R[:, 2, 1] = learned
    R[:, 2, 0] = end + wobble * np.sin(np.arange(count) + len(architecture))
    result = Result(
        seeds=tuple(range(count)), tasks=("one", "two"), setting=setting, metrics=tuple(METRICS),
        higher_is_better={score: score == "accuracy"}, R={score: R}, null={score: np.full((count, 2), null)},
        curves={score: R}, curve_task=np.arange(3), curve_step=np.arange(3), diverged_at=np.full(count, -1), parameters=10,
        seconds=1.0, steps=2,
    )  # fmt: skip
    asked = {"scenario": scenario, "architecture": architecture, "strategy": said.pop("strategy", "naive")}
    specs = (Spec(scenario), Spec(architecture.partition(":")[0]), Spec(asked["strategy"]))
    cell = Cell(*specs, Policy(optimizer=optimizer, lr=said.pop("lr", 0.001), steps=3), result.seeds, asked=asked)
    return Entry(cell, result, {**asked, "policy": cell.policy.label})


def compared(*entries: Entry, **how: Any) -> list[Comparison]:
    return compare(Results((), entries, ()), **how)


def sentence(*entries: Entry, **how: Any) -> str:
    (comparison,) = compared(*entries, **how)
    return in_words(comparison)


def error(architecture: str, end: float, learned: float = 0.01, **said: Any) -> Entry:
    return entry(architecture, end, learned, score="rmse", **said)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "kan keeps 75 % of what it learned, mlp 25 %; 8 seeds, p 0.0078"),
        ({"metric": "final"}, "kan ends with 85 % accuracy over all tasks, mlp with 75 %; 8 seeds, p 0.0078"),
        ({"metric": "forgetting"}, "kan loses 10 points of accuracy on earlier tasks, mlp 30; 8 seeds, p 0.0078"),
        ({"metric": "learning"}, "kan learns its tasks to 90 % accuracy, mlp to 90 %, the same in every seed; 8 seeds"),
    ],
)
def test_accuracies(how: dict[str, Any], said: str) -> None:
    assert sentence(entry("kan", 0.8), entry("mlp", 0.6), **how) == said


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "kan keeps 90 % of what it learned, mlp 38 %; 8 seeds, p 0.0078"),
        ({"metric": "final"}, "kan ends with rmse 0.03 over all tasks, mlp with 0.13; 8 seeds, p 0.0078"),
        ({"metric": "forgetting"}, "rmse on earlier tasks grows by 0.04 in kan, by 0.24 in mlp; 8 seeds, p 0.0078"),
        ({"metric": "learning"}, "kan learns its tasks to rmse 0.01, mlp to 0.01, the same in every seed; 8 seeds"),
    ],
)
def test_errors(how: dict[str, Any], said: str) -> None:
    assert sentence(error("kan", 0.05), error("mlp", 0.25), **how) == said


def test_classes_of_one_head_are_compared_at_the_end() -> None:
    sides = [entry(name, end, setting="class") for name, end in (("kan", 0.8), ("mlp", 0.6))]
    assert sentence(*sides).startswith("kan ends with 85 % accuracy")
    assert sentence(*sides, metric="retention").startswith("kan keeps 75 %")
    gone = [entry(name, 0.0, setting="class", wobble=wobble) for name, wobble in (("kan", 0.0), ("mlp", 0.0))]
    kept = "kan ends with 45 % accuracy over all tasks, mlp with 45 %: neither keeps anything of earlier tasks; 8 seeds"
    assert sentence(*gone) == kept
    assert sentence(*gone, metric="retention") == "neither kan nor mlp keeps anything of what it learned, in any seed; 8 seeds"


def test_a_small_difference_that_is_sure_is_not_written_as_none() -> None:
    said = sentence(entry("kan", 0.8012, wobble=0.0), entry("mlp", 0.8, wobble=0.0))
    assert said == "kan keeps 75.3 % of what it learned, mlp 75.0 %; 8 seeds, p 0.0078"


def test_no_difference_too_few_seeds_and_equivalence() -> None:
    alike = [entry("kan", 0.8, wobble=0.01), entry("mlp", 0.8, wobble=0.02)]
    claim = "kan keeps 75 % of what it learned, mlp 75 %"
    assert sentence(*alike).startswith(f"{claim}: no difference that could be told from chance; 8 seeds, p 0.")
    assert sentence(*alike, rules=Rules(equivalence=0.3)).startswith(f"{claim}: equivalent; 8 seeds")
    few = sentence(entry("kan", 0.8, seeds=5), entry("mlp", 0.6, seeds=5))
    assert few == (
        "kan keeps 75 % of what it learned, mlp 25 %, but these are too few seeds (5 of 6) to tell that from chance; "
        "5 seeds, p 0.062"
    )


def test_a_tiny_p_is_called_small_and_lost_seeds_are_told() -> None:
    many = [entry("kan", 0.8, seeds=16), entry("mlp", 0.6, seeds=16)]
    assert sentence(*many).endswith("; 16 seeds, p below 0.001")
    lost = replace(many[1], result=replace(many[1].result, diverged_at=np.array([3, *[-1] * 15])))
    assert "; 15 seeds and 1 lost, p " in sentence(many[0], lost)


def test_other_ways_of_training_are_told() -> None:
    said = sentence(entry("kan", 0.8, optimizer="sgd"), entry("mlp", 0.6))
    assert said.endswith("; 8 seeds, p 0.0078; they were trained differently")


def test_why_there_is_no_answer() -> None:
    kan = entry("kan", 0.8)
    assert sentence(kan, entry("mlp", 0.55, 0.6)) == (
        "no answer on kan and mlp: mlp learned 0 % of its tasks, less than 80 %, and what was not learned cannot be forgotten"
    )
    much = "by 20 % of what there was to learn, so they had different things to lose"
    assert sentence(kan, entry("mlp", 0.6, 0.8)) == f"no answer on kan and mlp: kan learned better than mlp, {much}"
    assert sentence(error("kan", 0.2, 0.09), error("mlp", 0.2)).startswith(
        "no answer on kan and mlp: kan learned worse than mlp"
    )
    gone = replace(kan, result=replace(kan.result, diverged_at=np.ones(8)))
    assert sentence(gone, entry("mlp", 0.6)) == "no answer on kan and mlp: every seed of kan diverged"


def test_answers_name_the_place_and_are_counted_where_they_are_many() -> None:
    few = compared(entry("kan", 0.8), entry("mlp", 0.6))
    assert answers(few) == ["toy, naive: kan keeps 75 % of what it learned, mlp 25 %; 8 seeds, p 0.0078."]
    ends = {"kan": 0.8, "kan-rbf": 0.55, "mlp": 0.6}
    many = compared(
        *(entry(name, end, scenario=f"toy{n}", seeds=10) for n in range(MOST // 2 + 1) for name, end in ends.items())
    )
    assert answers(many) == [
        "kan against mlp: retains more in 4 of 4 comparisons.", "kan-rbf against mlp: retains less in 4 of 4 comparisons.",
    ]  # fmt: skip
    assert answers([]) == []


LONG = (
    "kan:hidden=5,intervals=20,grid=each-task,base=silu", "mlp:hidden=20,activation=tanh", "a-name-that-nothing-can-fold" * 3,
    "kan", "mlp",
)  # fmt: skip


def printed(parts: Iterable[RenderableType], width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for part in parts:
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width, "a line is wider than the terminal"
    return text


@pytest.mark.parametrize("scale", [1.0, 1e-7, 3e8])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_broken(width: int, scale: float) -> None:
    cells = []
    for place, (name, strategy) in enumerate(product(LONG, ("naive", "replay:capacity=200,sampling=class-balanced"))):
        own = entry(name, (0.05 + 0.02 * place) * scale, 0.01 * scale, score="rmse", strategy=strategy, wobble=0.013 * scale)
        null = {"rmse": np.full((8, 2), 0.4 * scale)}
        cells.append(replace(own, result=replace(own.result, null=null)))
    results, comparisons = Results((), tuple(cells), ()), compared(*cells)
    text = printed(summary_tables(results, width, explain=True), width)
    for cell in cells:
        for key in ON_SCREEN[:-1]:
            assert str(estimate(cell.metrics()[key])) in text
    verdicts = printed(verdict_tables(comparisons, Rules(), width), width)
    for comparison in comparisons:
        for interval in (*comparison.verdict.sides, comparison.verdict.difference, *comparison.verdict.learning):
            assert with_interval(interval) in verdicts
    printed([*answers(comparisons), *map(in_words, comparisons)], width)


def test_what_is_the_same_in_all_rows_stands_in_the_title() -> None:
    sheet = score_sheet("toy", [entry("kan", 0.8), entry("mlp", 0.6)])
    assert [column.head for column in sheet.columns[: sheet.keys]] == ["architecture"]
    assert sheet.subtitle == "naive; adam lr=0.001 steps=3; every task was learned"
    own = score_sheet("toy", [entry("kan", 0.8, optimizer="sgd"), entry("mlp", 0.6), entry("mlp", 0.6, strategy="ewc")])
    assert [column.head for column in own.columns[: own.keys]] == ["architecture", "strategy"]
    assert own.subtitle.startswith("kan: sgd lr=0.001 steps=3, mlp: adam lr=0.001 steps=3; ")
    several = score_sheet("toy", [entry("kan", 0.8, lr=lr) for lr in (0.1, 0.2)])
    assert several.subtitle.startswith("naive; adam steps=3; ")
    assert [row[:2] for row in several.rows] == [("kan", "lr=0.1"), ("kan", "lr=0.2")]
    unlike = score_sheet("toy", [entry("kan", 0.8), entry("mlp", 0.55, 0.6)])
    assert unlike.columns[-1].head == "learned"
    assert [str(note) for note in unlike.notes] == [
        "some tasks were never learned, and what was never learned cannot be forgotten: mlp"
    ]


def test_intervals_that_reach_beyond_a_score_are_told() -> None:
    sure, unsure = entry("kan", 0.8), entry("mlp-a", 0.98, 1.0, wobble=0.03, seeds=3)
    assert not [note for note in score_sheet("toy", [sure]).notes if "beyond" in str(note)]
    (note,) = score_sheet("toy", [sure, unsure]).notes
    assert str(note).endswith("symmetric ones: final accuracy of mlp-a above 1")
    assert unsure.metrics()["final_score"].max() < 1
    below = entry("mlp", 0.5, wobble=0.001)
    (comparison,) = compared(sure, below)
    assert comparison.verdict.sides[1].low < 0
    assert "retention of mlp below 0" in printed(verdict_tables([comparison], Rules()))


def test_equal_seeds_are_said_in_words() -> None:
    assert "0 in every seed" in printed(summary_tables(Results((), (entry("kan", 0.0, wobble=0.0),), ()), 80))


def test_programs_get_the_same_numbers_by_cell_and_by_seed() -> None:
    cells = (entry("kan", 0.8), entry("mlp", 0.6, seeds=5))
    wide, seeds = (list(csv.DictReader(io.StringIO(as_csv(Results((), cells, ()), [], rows)))) for rows in ("wide", "seeds"))
    assert [row["architecture"] for row in wide] == ["kan", "mlp"]
    for row, cell in zip(wide, cells, strict=True):
        values = cell.metrics()["retention"]
        assert float(row["retention"]) == pytest.approx(values.mean(), rel=1e-12)
        assert (float(row["retention_low"]), row["retention_n"]) == (pytest.approx(mean_interval(values).low), str(len(values)))
        own = [float(other["retention"]) for other in seeds if other["architecture"] == row["architecture"]]
        assert own == pytest.approx(values.tolist(), rel=1e-12)
    assert len(seeds) == 13
