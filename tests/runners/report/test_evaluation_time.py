"""Guards what is said of evaluations that take too much of the time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.report.evaluation_time import evaluation_line
from runners.results.entry import Entry
from runners.results.results import load


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """A result in which evaluations took all the time there was."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("slow") / "out"
    command = ["run", "gaussian-peaks:tasks=2", "--architectures", "mlp:hidden=3", "--steps", "2", "--seeds", "1"]
    assert main([*command, "--optimizer", "adam", "--curve-samples", "30", "--evaluations", "2", "--out", str(out)]) == 0
    return load(out).entries[0]


def of(entry: Entry, share: float, samples: Any = "all", evaluations: int = 12) -> Entry:
    cell = replace(entry.cell, curve_samples=samples, evaluations=evaluations)
    return replace(entry, cell=cell, result=replace(entry.result, seconds=2.0, evaluation_seconds=2.0 * share))


def test_the_time_and_the_samples_are_stored(entry: Entry) -> None:
    assert 0 < entry.result.evaluation_seconds < entry.result.seconds
    assert entry.cell.curve_samples == 30
    assert entry.result.remarks == ("curves on 30 samples",)


def test_what_takes_more_than_a_fifth_is_said_with_the_option_that_changes_it(entry: Entry) -> None:
    assert evaluation_line([of(entry, 0.2), of(entry, float("nan"))]) is None
    assert evaluation_line([of(entry, 0.21), of(entry, 0.1), of(entry, 0.29)]) == (
        "Evaluations took 25% of the time of 2 cells: --curve-samples 200 makes those inside tasks on 200 test samples each, "
        "an --evaluations below 12 makes fewer."
    )
    assert evaluation_line([of(entry, 0.5, 50)]) == (
        "Evaluations took 50% of the time of 1 cell: an --evaluations below 12 makes fewer."
    )
    assert evaluation_line([of(entry, 0.9, 50, 2)]) is None  # nothing but the rows of R is left


def test_run_says_it_at_the_end(kancl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.report.evaluation_time.SHARE", 0.0)
    command = ("run", "gaussian-peaks:tasks=2", "--architectures", "mlp:hidden=3", "--steps", 2, "--seeds", 1)
    said = kancl(*command, "--optimizer", "adam", "--out", tmp_path / "out")
    assert said.code == 0
    assert said.out.count("Evaluations took ") == 1
    refused = kancl(*command, "--curve-samples", 0)
    assert refused.code == 2
    assert "curve_samples must be all or a number of at least 1, got 0" in refused.err
