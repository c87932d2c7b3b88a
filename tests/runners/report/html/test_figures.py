"""What the report's own figures are made of: numbers of the results, and nothing left out without a word."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kancl.statistics import mean_interval
from runners.report.figures.differences import MOST, differences
from runners.report.figures.ledgers import INTERACTION, ledgers
from runners.report.figures.surfaces import SIDE, surfaces
from runners.report.figures.tradeoff import POINTS, tradeoff
from runners.report.html.curves import rooms
from runners.report.html.panels import figures_of
from runners.report.html.plot import marker, span_of
from runners.report.palette import MARKERS
from runners.results.entry import Entry
from runners.results.networks import files_of, networks_of_seed
from runners.results.results import Results, load
from runners.results.verdicts import Comparison, compare

PEAKS = "gaussian-peaks:tasks=3,samples=40"


@pytest.fixture(scope="module")
def results(stored: Path) -> Results:
    return load(stored)


@pytest.fixture(scope="module")
def entries(results: Results) -> list[Entry]:
    return results.groups("scenario")[PEAKS,]


@pytest.fixture(scope="module")
def verdicts(results: Results) -> list[Comparison]:
    return [own for own in compare(results) if own.first.labels["scenario"] == PEAKS]


def diverged(entry: Entry, seeds: int) -> Entry:
    """The entry as if its first seeds had diverged."""
    at = np.where(np.arange(len(entry.cell.seeds)) < seeds, 1, -1)
    return replace(entry, result=replace(entry.result, diverged_at=at))


def test_a_difference_is_the_median_over_the_seeds_of_both(verdicts: list[Comparison]) -> None:
    (comparison,) = verdicts
    data = differences(PEAKS, [replace(comparison, second=diverged(comparison.second, 2))])
    assert data is not None
    (own,) = data.matrices
    first, second = (np.log10(side.result.R["rmse"][2:]) for side in (comparison.first, comparison.second))
    assert own.seeds == 4
    assert np.allclose(own.values, np.median(second - first, axis=0))
    assert data.limit == pytest.approx(np.abs(own.values).max())


def test_no_seed_in_common_is_no_difference(verdicts: list[Comparison]) -> None:
    (comparison,) = verdicts
    assert differences(PEAKS, [replace(comparison, second=diverged(comparison.second, 6))]) is None


def test_comparisons_that_are_not_drawn_are_told(verdicts: list[Comparison]) -> None:
    data = differences(PEAKS, verdicts * (MOST + 2))
    assert data is not None
    assert len(data.matrices) == MOST
    assert "2 further comparisons not drawn" in data.heading


def test_the_parts_of_a_ledger_are_the_whole(entries: list[Entry]) -> None:
    (data,) = ledgers(PEAKS, entries)
    assert data.strategy == "naive"
    assert data.causes[-1] == INTERACTION
    assert [own.architecture for own in data.stacks] == ["kan:intervals=20", "mlp:hidden=5"]
    for own, entry in zip(data.stacks, (entries[0], entries[2]), strict=True):
        assert entry.result.locality is not None
        _, damage = entry.result.locality.final_ledger()
        assert own.damage == mean_interval(damage)
        assert own.parts.sum() == pytest.approx(damage.mean())
        assert np.abs(own.parts[:-1]).sum() > 0


def test_seeds_that_diverged_are_not_in_the_ledger(entries: list[Entry]) -> None:
    broken = diverged(entries[0], 3)
    (data,) = ledgers(PEAKS, [broken])
    assert broken.result.locality is not None
    assert data.stacks[0].damage.n == 3
    assert data.stacks[0].damage.mean == pytest.approx(broken.result.locality.final_ledger()[1][3:].mean())
    assert ledgers(PEAKS, [diverged(entries[0], 6)]) == []


def test_a_point_for_every_seed_that_has_both(entries: list[Entry]) -> None:
    data = tradeoff(PEAKS, entries)
    assert data is not None
    assert list(data.strategies) == ["naive"]
    kan, mlp = data.strategies["naive"]
    values = entries[0].metrics()
    assert kan.retention.tolist() == values["retention"].tolist()
    assert kan.learning.tolist() == values["learning_score"].tolist()
    assert len(mlp.seeds) == np.isfinite(entries[2].metrics()["retention"]).sum()
    assert tradeoff(PEAKS, [entries[1]]) is None


def test_of_very_many_cells_some_have_points(entries: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    assert POINTS >= 60 * 32
    monkeypatch.setattr("runners.report.figures.tradeoff.POINTS", 12)
    data = tradeoff(PEAKS, [entries[0]] * 5)
    assert data is not None
    assert data.heading[-1] == "2 of 5 cells"
    assert sum(map(len, data.strategies.values())) == 2


def never(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


def test_every_figure_that_results_allow_is_there(results: Results) -> None:
    drawn = figures_of(results, compare(results), never)
    kinds = [one.name.rpartition("-")[2] for one in drawn[PEAKS]]
    assert kinds == ["curves", "retention", "differences", "functions", "overlap", "ledger", "learning", "network", "network"]
    for figures in drawn.values():
        for one in figures:
            assert one.panels
            assert len(one.data.values[0]) > 0
            assert len({len(column) for column in one.data.values}) == 1


def test_matrices_hold_the_medians(results: Results, entries: list[Entry]) -> None:
    drawn = figures_of(results, [], never)[PEAKS][1]
    values = np.array(drawn.data.values[drawn.data.heads.index("value")], dtype=float).reshape(4, 4, 3)
    for own, entry in zip(values, entries, strict=True):
        assert np.allclose(own, np.median(entry.result.R["rmse"], axis=0))


def test_fewer_seeds_have_lines_where_there_is_no_room(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = figures_of(results, [], never)[PEAKS][0]
    assert whole.seeds
    assert whole.panels[0].svg.count('class="seed"') == 3 * 6
    monkeypatch.setattr("runners.report.html.panels.SEED_POINTS", 1500)
    fewer = figures_of(results, [], never)[PEAKS][0]
    shown = fewer.panels[0].svg.count('class="seed"')
    assert 0 < shown < 3 * 6
    assert f"{shown // 3} of up to 6 seeds have a line of their own" in fewer.notes
    monkeypatch.setattr("runners.report.html.panels.SEED_POINTS", 10)
    assert not figures_of(results, [], never)[PEAKS][0].seeds


def test_room_is_shared() -> None:
    assert rooms([5, 100, 100], 105) == [5, 50, 50]
    assert rooms([], 5) == []
    assert sum(rooms([70, 20, 30], 90)) == 90


def test_every_marker_is_drawn_and_no_two_alike() -> None:
    drawn = [marker(letter, 10, 10) for letter in MARKERS]
    assert len(set(drawn)) == len(MARKERS)
    assert marker("o", np.nan, 1.0) == ""


def test_axes_of_nothing_are_axes() -> None:
    assert span_of([], logarithmic=True) == (0.1, 1.0)
    assert span_of([[np.nan]]) == (0.0, 1.0)
    low, high = span_of([[2.0, 2.0]])
    assert low < 2 < high


def test_functions_of_two_inputs_are_images_of_the_network(tmp_path: Path, stored: Path) -> None:
    from runners.cli.main import main

    scenario = "gaussian-peaks:dims=2,tasks=2,samples=30"
    said = ["run", scenario, "--architectures", "kan:intervals=5", "--steps", "5", "--optimizer", "adam", "--seeds", "2"]
    assert main([*said, "--quiet", "--out", str(tmp_path / "out")]) == 0
    results = load(tmp_path / "out")
    data = surfaces(results, results.entries)
    assert data is not None
    (own,) = data.surfaces
    assert (own.seed, len(own.after), len(data.x)) == (0, 2, len(data.y))

    files = files_of(results.paths, results.entries[0], 0)
    assert files is not None
    networks = networks_of_seed(*files, 0)
    first, second = (data.low[place] + (np.arange(SIDE) + 0.5) / SIDE * (data.high - data.low)[place] for place in (0, 1))
    at = torch.tensor([[[first[3], second[-1]], [first[0], second[0]]]], dtype=torch.float32)
    with torch.no_grad():
        values = networks.at(2)(at)[0, :, 0].numpy()
    assert np.allclose([own.after[1][0, 3], own.after[1][-1, 0]], values, atol=1e-6)

    (drawn,) = (one for one in figures_of(results, [], never)[scenario] if one.name.endswith("surfaces"))
    rows = dict(zip(drawn.data.heads, drawn.data.values, strict=True))
    assert len(rows["output"]) == 2 * SIDE**2
    assert rows["x2"][0] == pytest.approx(second[-1])
    assert surfaces(load(stored), load(stored).entries) is None


def test_networks_are_those_that_are_kept(results: Results) -> None:
    nets = [one for one in figures_of(results, [], never)[PEAKS] if one.name.endswith("network")]
    assert [one.panels[0].shows["architecture"] for one in nets] == ["kan:intervals=20", "mlp:hidden=5"]
    for one in nets:
        assert len(one.panels) == 4
        columns = dict(zip(one.data.heads, one.data.values, strict=True))
        assert not any(moved for moved, moment in zip(columns["moved"], columns["moment"], strict=True) if moment == "start")
        assert any(columns["moved"])
    files = files_of(results.paths, results.entries[2], 0)
    assert files is not None
    weight = networks_of_seed(*files, 0).states[3]
    known = {float(f"{value:.5g}") for tensor in weight.values() for value in tensor.flatten().tolist()}
    columns = dict(zip(nets[1].data.heads, nets[1].data.values, strict=True))
    last = [
        value
        for value, moment in zip(columns["value"], columns["moment"], strict=True)
        if str(moment).startswith("after task 3")
    ]
    assert last
    assert {float(f"{value:.5g}") for value in last} <= known
