"""Guards figures of scores against an option of the scenario: which cells make a family, and what is drawn of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kancl.statistics import mean_interval
from runners.config.policy import Policy
from runners.report.figures.dials import COLUMNS, DialData, dial_figures, draw_dials, families
from runners.report.figures.draw_all import draw_all, planned
from runners.results.entry import Entry
from runners.results.results import Results, load

SEEDS = 4


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished experiment of one cell, whose numbers serve as a mould; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("dial") / "out"
    arguments = ["overlap-dial:samples=20,tasks=2", "--architectures", "kan", "--seeds", str(SEEDS), "--steps", "2"]
    assert main(["run", *arguments, "--evaluations", "2", "--out", str(out)]) == 0
    return load(out)


@pytest.fixture
def cell(results: Results) -> Callable[..., Entry]:
    """Make a cell as if it had learned both tasks (error 0.01 of null 0.4) and kept a share of the first."""
    (base,) = results.entries

    def make(architecture: str = "kan", kept: float = 0.5, lr: float = 0.01, strategy: str = "naive", **options: Any) -> Entry:
        scenario = replace(base.cell.scenario, options={**base.cell.scenario.options, **options})
        asked = {"scenario": scenario.label, "architecture": architecture, "strategy": strategy}
        policy = Policy(optimizer="adam", lr=lr, steps=7)
        own = replace(base.cell, scenario=scenario, policy=policy, asked=asked)
        R = np.full((SEEDS, 3, 2), 0.01)
        R[:, 2, 0] = 0.4 - 0.39 * (kept + 0.02 * np.arange(SEEDS))
        result = replace(base.result, R={"rmse": R}, null={"rmse": np.full((SEEDS, 2), 0.4)})
        return Entry(own, result, {**asked, "policy": policy.label})

    return make


def of(results: Results, *entries: Entry) -> Results:
    return replace(results, entries=entries)


def data_of(results: Results, *entries: Entry) -> tuple[str, DialData]:
    """The name and the data of the only figure."""
    ((name, data, draw),) = dial_figures(of(results, *entries))
    assert draw is draw_dials
    return name, data()


def test_three_values_of_one_option_are_a_family_in_its_order(results: Results, cell: Any) -> None:
    shown = [cell(joint=j, kept=1 - j / 2) for j in (1.0, 0.0, 0.5)]
    (family,) = families(of(results, *shown))
    assert (family.scenario, family.strategy, family.option) == ("overlap-dial", "naive", "joint")
    assert family.lines == {"kan": [shown[1], shown[2], shown[0]]}
    name, data = data_of(results, *shown)
    assert name == "overlap-dial-naive-joint"
    ((learning,), (retention,)) = data.panels
    assert [line.name for line in retention.lines] == ["kan"]
    intervals = [mean_interval(entry.metrics()["retention"]) for entry in family.lines["kan"]]
    assert list(retention.lines[0].x) == [0.0, 0.5, 1.0]
    assert list(retention.lines[0].mean) == [interval.mean for interval in intervals]
    assert list(retention.lines[0].low) == [interval.low for interval in intervals]
    assert list(retention.lines[0].high) == [interval.high for interval in intervals]
    assert list(retention.lines[0].mean) == pytest.approx([1.03, 0.78, 0.53])
    assert list(learning.lines[0].mean) == pytest.approx([0.01] * 3)
    assert learning.null is not None
    assert retention.null is None
    assert list(learning.null[1]) == pytest.approx([0.4] * 3)
    assert [axis.logarithmic for axis in data.axes] == [True, False]
    assert (data.option, data.titles) == ("joint", ("",))
    assert f"n = {SEEDS} seeds" in data.heading[1]


def test_what_is_drawn_is_the_data(results: Results, cell: Any) -> None:
    _, data = data_of(results, *[cell(name, joint=j, kept=1 - j / 2) for j in (1.0, 0.0, 0.5) for name in ("kan", "mlp")])
    figure = draw_dials(data)
    assert len(figure.axes) == 2
    for ax, (panel,) in zip(figure.axes, data.panels, strict=True):
        drawn = {c.get_label(): c[0] for c in ax.containers if hasattr(c, "has_yerr")}
        assert set(drawn) == {"kan", "mlp"} == {line.name for line in panel.lines}
        for line in panel.lines:
            assert list(drawn[line.name].get_xdata()) == list(line.x)
            assert list(drawn[line.name].get_ydata()) == list(line.mean)
    assert figure.axes[-1].get_xlabel() == "joint"
    assert data.heading[1] in figure.get_suptitle()


def test_two_values_are_none(results: Results, cell: Any) -> None:
    assert families(of(results, cell(joint=0.0), cell(joint=1.0))) == []
    spread = [cell("kan", joint=0.0), cell("kan", joint=0.5), cell("mlp", joint=1.0)]
    assert families(of(results, *spread)) == []


def test_scenarios_that_differ_in_more_than_one_option_are_apart(results: Results, cell: Any) -> None:
    shown = [cell(joint=j, gap=g) for j, g in ((0.0, 0.0), (0.5, 0.1), (1.0, 0.2))]
    assert families(of(results, *shown)) == []
    assert families(of(results, *[cell(joint=j, strategy=f"s{j}") for j in (0.0, 0.5, 1.0)])) == []


def test_options_that_are_no_numbers_are_no_dials(results: Results, cell: Any) -> None:
    assert families(of(results, *[cell(order=order) for order in ("as-laid", "reversed", "random")])) == []
    assert families(of(results, *[cell(extra=value) for value in (None, False, True)])) == []


def test_each_contender_is_one_line_whatever_is_advised_where(results: Results, cell: Any) -> None:
    """Rates and sizes may differ from position to position; what was asked for tells the contenders."""
    shown = [cell(name, joint=j, lr=0.01 * (1 + j)) for name in ("kan", "kan:hidden=[]", "mlp") for j in (0.0, 0.5, 1.0)]
    (family,) = families(of(results, *shown))
    assert list(family.lines) == ["kan", "kan:hidden=[]", "mlp"]
    figure = draw_dials(data_of(results, *shown)[1])
    looks = {(c[0].get_marker(), c[0].get_color(), c[0].get_linestyle()) for c in figure.axes[0].containers}
    assert len(looks) == 3


def test_two_rates_at_one_position_are_two_lines(results: Results, cell: Any) -> None:
    shown = [cell(joint=j, lr=lr) for j in (0.0, 0.5, 1.0) for lr in (0.01, 0.1)]
    (family,) = families(of(results, *shown))
    assert list(family.lines) == ["kan, adam lr=0.01 steps=7", "kan, adam lr=0.1 steps=7"]


def test_families_of_one_option_stand_side_by_side_under_what_tells_them_apart(results: Results, cell: Any) -> None:
    conflicts = np.linspace(0, 1, COLUMNS + 1).tolist()
    shown = [cell(joint=j, conflict=c) for c in conflicts[:2] for j in (0.0, 0.5, 1.0)]
    name, data = data_of(results, *shown)
    assert name == "overlap-dial-naive-joint"
    assert data.titles == ("conflict=0", "conflict=0.25")
    assert [ax.get_title() for ax in draw_dials(data).axes[:2]] == list(data.titles)
    many = [cell(joint=j, conflict=c) for c in conflicts for j in (0.0, 0.5, 1.0)]
    names = [name for name, _, _ in dial_figures(of(results, *many))]
    assert names == [f"overlap-dial-naive-{part}" for part in ("joint-1", "joint-2", "conflict")]


def test_compare_writes_the_figures(results: Results, cell: Any, tmp_path: Any) -> None:
    shown = of(results, *[cell(joint=j) for j in (0.0, 0.5, 1.0)])
    assert "overlap-dial-naive-joint" in [name for name, _, _ in planned(shown)]
    written = [path for path in draw_all(shown, tmp_path) if path.name.startswith("overlap-dial-naive-joint")]
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert all(path.stat().st_size > 5_000 for path in written)


def test_a_strategy_without_retention_has_learning_alone(results: Results, cell: Any) -> None:
    entries = [cell(joint=j) for j in (0.0, 0.5, 1.0)]
    bare = [replace(e, result=replace(e.result, metrics=("learning_score",))) for e in entries]
    _, data = data_of(results, *bare)
    assert len(data.panels) == len(data.axes) == len(draw_dials(data).axes) == 1
