"""Guards the regression of loss on overlap and the figures over many cells."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import runners
from kancl.metrics import retention, retention_by_task
from runners.report.figures.draw_all import planned
from runners.report.figures.overlaps import overlaps
from runners.results.entry import Entry
from runners.results.mechanism import Mechanism, lost_share, mechanisms, shared_mass
from runners.results.results import Results

Kancl = Callable[..., Any]
SEEDS, TASKS = 5, 3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """KANs of three sizes and an MLP, with locality records, on three tasks of the toy; some steps each."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("stored") / "out"
    networks = ["kan:intervals=10", "kan:intervals=20", "kan:intervals=40", "mlp:hidden=4"]
    sizes = ["--seeds", str(SEEDS), "--optimizer", "adam", "--steps", "20", "--evaluations", "2", "--locality", "on"]
    said = ["run", f"gaussian-peaks:tasks={TASKS},samples=20", "--architectures", *networks, *sizes, "--out", str(out)]
    assert main(said) == 0
    return runners.load(out)


def with_numbers(entry: Entry, overlap: np.ndarray, kept: np.ndarray) -> Entry:
    """Return the entry as if every task had been learned perfectly (error 0 of null 1) and then kept this share."""
    record = entry.result.locality
    assert record is not None
    layers = overlap.shape[1]
    changed = replace(record, layers=tuple(map(str, range(layers))), overlap_after=overlap)
    R = np.zeros((SEEDS, TASKS + 1, TASKS))
    R[:, 0] = 1.0
    R[:, -1, :-1] = 1 - kept
    alive = np.full(SEEDS, -1)
    result = replace(entry.result, R={"rmse": R}, null={"rmse": np.ones((SEEDS, TASKS))}, locality=changed, diverged_at=alive)
    return replace(entry, result=result)


def symmetric(rng: np.random.Generator, layers: int = 2) -> np.ndarray:
    values = rng.uniform(0, 1, (SEEDS, layers, TASKS, TASKS))
    return (values + values.swapaxes(-1, -2)) / 2


def test_what_a_task_shares_is_its_largest_overlap_with_a_later_one(results: Results) -> None:
    overlap = symmetric(np.random.default_rng(0))
    shared = shared_mass(with_numbers(results.entries[0], overlap, np.zeros((SEEDS, TASKS - 1))))
    for s in range(SEEDS):
        for j in range(TASKS - 1):
            layers = [max(overlap[s, layer, j, i] for i in range(j + 1, TASKS)) for layer in range(overlap.shape[1])]
            assert shared[s, j] == pytest.approx(np.mean(layers))


def test_the_slope_is_that_of_a_line_through_every_seeds_points(results: Results) -> None:
    rng = np.random.default_rng(1)
    entries = []
    for entry in results.entries:
        overlap = symmetric(rng)
        shared = shared_mass(with_numbers(entry, overlap, np.zeros((SEEDS, TASKS - 1))))
        entries.append(with_numbers(entry, overlap, 1 - 0.8 * shared - 0.1))
    (found,) = mechanisms(replace_entries(results, entries))
    assert found.slope.slope.mean == pytest.approx(0.8)
    assert found.slope.intercept == pytest.approx(0.1)
    assert found.slope.points == SEEDS * (TASKS - 1) * len(entries)
    for s in range(SEEDS):
        fit = stats.linregress(found.shared[:, s].ravel(), found.lost[:, s].ravel())
        assert fit.slope == pytest.approx(0.8)
    assert "+0.80 [0.80, 0.80] for these networks, +0.80 to +0.80 without any one of them" in found.sentence()
    assert f"{len(entries)} networks" in found.sentence()
    entries[0].result.R["rmse"][:] = 1.0  # it learns nothing, so it has no point
    (fewer,) = mechanisms(replace_entries(results, entries))
    assert f"{len(entries) - 1} networks" in fewer.sentence()
    assert found.to_json()["slope"]["mean"] == pytest.approx(0.8)  # type: ignore[index]


def replace_entries(results: Results, entries: list[Entry]) -> Results:
    return replace(results, entries=tuple(entries))


def test_diverged_seeds_and_unlearned_tasks_do_not_count(results: Results) -> None:
    entry = with_numbers(results.entries[0], symmetric(np.random.default_rng(2)), np.full((SEEDS, TASKS - 1), 0.25))
    entry.result.R["rmse"][2, 1, 0] = 0.9  # never learned
    broken = entry.result.diverged_at.copy()
    broken[4] = 1
    lost = lost_share(replace(entry, result=replace(entry.result, diverged_at=broken)))
    assert np.isnan(lost[2, 0])
    assert np.isnan(lost[4]).all()
    assert np.count_nonzero(np.isfinite(lost)) == SEEDS * (TASKS - 1) - 3
    assert lost[0] == pytest.approx([0.75, 0.75])


def test_retention_is_the_mean_over_its_tasks() -> None:
    rng = np.random.default_rng(3)
    R, null = rng.uniform(0, 0.4, (4, 5, 4)), np.full((4, 4), 0.5)
    by_task = retention_by_task(R, null, False)
    for s in range(4):
        kept = [
            max((null[s, j] - R[s, -1, j]) / (null[s, j] - R[s, j + 1, j]), 0.0)
            for j in range(3)
            if null[s, j] - R[s, j + 1, j] >= 0.5 * null[s, j]
        ]
        assert np.sort(by_task[s][np.isfinite(by_task[s])]) == pytest.approx(np.sort(kept))
        assert retention(R, null, False)[s] == pytest.approx(np.mean(kept) if kept else np.nan, nan_ok=True)


def test_without_records_or_with_one_network_there_is_no_regression(results: Results) -> None:
    bare = [replace(entry, result=replace(entry.result, locality=None)) for entry in results.entries]
    assert list(mechanisms(replace_entries(results, bare))) == []
    assert list(mechanisms(replace_entries(results, [*bare[:-1], results.entries[-1]]))) == []


def test_too_few_seeds_for_a_slope_are_told(results: Results) -> None:
    flat = np.full((SEEDS, 1, TASKS, TASKS), 0.5)
    entries = [with_numbers(entry, flat, np.zeros((SEEDS, TASKS - 1))) for entry in results.entries]
    (found,) = mechanisms(replace_entries(results, entries))
    assert "overlaps differ too little" in found.sentence()
    assert json.loads(json.dumps(found.to_json()))["slope"]["mean"] is None


def test_families_of_three_sizes_and_recorded_overlaps_are_drawn(results: Results) -> None:
    figures = {plan.name: plan for plan in planned(results)}
    scenario = results.entries[0].labels["scenario"]
    size, overlap = (figures[f"{scenario}-naive-{kind}"] for kind in ("size", "overlap"))
    for plan in (size, overlap):
        figure = plan.draw(plan.data())
        assert all(ax.get_xlabel() + ax.get_ylabel() for ax in figure.axes)
        assert f"n = {SEEDS}" in figure.get_suptitle()
    for panel in size.data().panels:
        (line,) = [line for line in panel.lines if line.name.startswith("kan, adam")]
        assert list(line.x) == [13, 23, 43]
    two = replace_entries(results, [e for e in results.entries if "intervals=40" not in e.labels["architecture"]])
    assert not any(plan.name.endswith("-size") for plan in planned(two))
    assert any(plan.name.endswith("-overlap") for plan in planned(two))


def test_a_point_is_the_mean_over_seeds(results: Results) -> None:
    (mechanism,) = mechanisms(results)
    data = overlaps(mechanism)
    assert len(data.networks) == len(mechanism.entries)
    assert len({points.name for points in data.networks}) == len(data.networks)
    for points, shared, lost in zip(data.networks, mechanism.shared, mechanism.lost, strict=True):
        np.testing.assert_allclose(points.shared, shared.mean(0))
        there = np.isfinite(lost).any(0)
        np.testing.assert_allclose(points.lost[there], np.nanmean(lost[:, there], 0))
        assert np.isnan(points.lost[~there]).all()
    if data.slope is not None:
        (x0, x1), (y0, y1), text = data.slope
        assert (y1 - y0) / (x1 - x0) == pytest.approx(mechanism.slope.slope.mean)
        assert "slope" in text


def test_no_line_is_drawn_where_overlaps_differ_too_little(results: Results) -> None:
    rng = np.random.default_rng(4)
    entries = [
        with_numbers(entry, 0.5 + 1e-3 * symmetric(rng), rng.uniform(0.4, 0.6, (SEEDS, TASKS - 1))) for entry in results.entries
    ]
    (found,) = mechanisms(replace_entries(results, entries))
    assert found.slope.slope.n == SEEDS
    assert "overlaps differ too little" in found.sentence()
    assert overlaps(found).slope is None


def test_compare_tells_the_regression_in_every_format(results: Results, kancl: Kancl) -> None:
    (mechanism,) = mechanisms(results)
    assert isinstance(mechanism, Mechanism)
    table = kancl("compare", str(results.paths[0]), "--no-figures").out
    assert "Overlap and forgetting" in table
    found = json.loads(kancl("compare", str(results.paths[0]), "--no-figures", "--format", "json").out)
    assert found["overlap"] == [json.loads(json.dumps(mechanism.to_json()))]
    assert f"Overlap and forgetting: {mechanism.sentence()}." in (
        kancl("compare", str(results.paths[0]), "--no-figures", "--format", "markdown").out
    )
    explained = [verdict["explanation"] for verdict in found["verdicts"]]
    assert explained
    assert all("kan:" in text and "mlp:hidden=4:" in text for text in explained)


def test_compare_draws_them(results: Results, kancl: Kancl, tmp_path: Path) -> None:
    kancl("compare", str(results.paths[0]), "--figures-to", str(tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert len({name for name in names if name.endswith(("-size.png", "-overlap.png", "-size.svg", "-overlap.svg"))}) == 4
