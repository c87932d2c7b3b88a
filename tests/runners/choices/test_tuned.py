"""Guards how tuned cells are read: those of one tuning as one, and every verdict with what the choices have to tell."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runners
from kancl.errors import InputError
from runners.choices.trials import Trials
from runners.choices.tuned import labels_of_all
from runners.results.results import Results
from runners.results.verdicts import compare, frame
from runners.store.experiment import Store

Kancl = Callable[..., Any]

RUN = ("run", "gaussian-peaks:tasks=2,samples=20", "--steps", "60", "--optimizer", "adam", "--evaluations", "2", "--seeds", "6",
       "--locality", "on", "--architectures", "kan:intervals=30", "kan:intervals=40")  # fmt: skip
TUNE = ("--tune", "3", "--tune-range", "0.02", "0.5", "--tune-seeds", "1")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose odd seeds were given another rate than its even ones; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("tuned") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "choose", lambda self, seeds: 2 if seeds[0] % 2 else 1)
        assert main([*RUN, *TUNE, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def results(tuned: Path) -> Results:
    return runners.load(tuned)


def test_cells_of_one_tuning_are_read_as_one(tuned: Path, results: Results) -> None:
    assert len(Store(tuned).keys()) == 4
    assert [entry.labels["policy"] for entry in results.entries] == ["adam lr=tuned(0.1, 0.5) steps=60"] * 2
    assert [(entry.rate, entry.words) for entry in results.entries] == [("lr=tuned(0.1, 0.5)", ("adam", "steps=60"))] * 2
    for entry in results.entries:
        assert entry.cell.seeds == entry.result.seeds == tuple(range(6))
        assert [part.seeds for part in entry.parts] == [(0, 2, 4), (1, 3, 5)]
        assert [part.policy.lr for part in entry.parts] == [0.1, 0.5]
        for part in entry.parts:
            own, rows = Store(tuned).cell(part.key).load_result(), list(part.seeds)
            assert own is not None
            assert own.locality is not None
            assert entry.result.locality is not None
            assert own.functions is not None
            assert entry.result.functions is not None
            for name in ("R", "null", "curves"):
                np.testing.assert_array_equal(getattr(entry.result, name)["rmse"][rows], getattr(own, name)["rmse"])
            np.testing.assert_array_equal(entry.result.functions[rows], own.functions)
            np.testing.assert_array_equal(entry.result.locality.parts[rows], own.locality.parts)


def test_frames_name_the_stored_cell_of_every_seed(results: Results) -> None:
    for name in ("retention", "curves", "overlap", "ledger"):
        rows = getattr(results, name)
        for entry in results.entries:
            for part in entry.parts:
                assert set(rows[rows["cell"] == part.key]["seed"]) == set(part.seeds)
    assert set(results.summary["cell"]) == {" ".join(part.key for part in entry.parts) for entry in results.entries}
    assert set(results.summary[results.summary["metric"] == "final_score"]["n"]) == {6}


def test_a_verdict_says_how_its_values_were_chosen(kancl: Kancl, tuned: Path, results: Results) -> None:
    (comparison,) = compare(results)
    assert (comparison.verdict.blocks, comparison.verdict.difference.n) == (6, 6)
    assert comparison.own_rates == (not comparison.same_policy)
    (said,) = frame([comparison])["tuning"]
    for name in ("kan:intervals=30", "kan:intervals=40"):
        assert f"{name}: tuned, lr=0.1 for 3 seeds, lr=0.5 for 3 seeds" in said
        assert f"{name}: 3 of 6 choices at an end of the range, lr=0.5: a wider --tune-range may hold better" in said
    flat = " ".join(kancl("compare", tuned, "--no-figures").out.split())
    assert all(note in flat for note in comparison.tuning)
    assert flat.count("tuned(0.1, 0.5)") >= 2
    assert "3 of 6 choices at an end" in kancl("compare", tuned, "--no-figures", "--format", "markdown").out
    (row,) = json.loads(kancl("compare", tuned, "--no-figures", "--format", "json").out)["verdicts"]
    assert row["tuning"] == said
    assert kancl("compare", tuned).code == 0, "figures, too"


def test_seeds_whose_tuned_cell_failed_are_lost(tuned: Path, results: Results, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(tuned, out)
    gone = results.entries[0].parts[1]
    (out / "cells" / gone.key / "arrays.npz").unlink()
    (comparison,) = compare(runners.load(out))
    assert comparison.verdict.lost[0] == gone.seeds
    assert comparison.verdict.unpaired == ()
    assert comparison.verdict.p > compare(results)[0].verdict.p or comparison.verdict.p == 1


def test_the_same_command_finds_what_it_stored(kancl: Kancl, tuned: Path) -> None:
    before = (tuned / "tuning.json").read_bytes()
    said = kancl(*RUN, *TUNE, "--out", tuned)
    assert (said.code, said.out.count(": stored"), "as a trial" in said.out) == (0, 4, False)
    assert "tuning takes" not in said.out
    assert (tuned / "tuning.json").read_bytes() == before, "what was chosen stays, though the rule would choose otherwise now"


def test_seeds_that_were_not_chosen_together_stay_apart(kancl: Kancl, tmp_path: Path) -> None:
    """A cell at a fixed rate beside tuned ones, at a rate that tuning chose as well."""
    file = tmp_path / "both.toml"
    file.write_text(
        'scenarios = ["gaussian-peaks:tasks=2,samples=20"]\nsteps = 10\nseeds = 2\noptimizer = "adam"\nevaluations = 2\n'
        '[[block]]\narchitectures = ["mlp:hidden=4"]\ntune = 2\ntune-range = [0.01, 0.1]\ntune-seeds = 1\n'
        '[[block]]\narchitectures = ["mlp:hidden=5"]\nlr = 0.01\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "choose", lambda self, seeds: int(seeds[0]) % 2)
        assert kancl("run", "--file", file, "--out", tmp_path / "out").code == 0
    entries = runners.load(tmp_path / "out").entries
    assert [(entry.cell.seeds, entry.tuning is not None) for entry in entries] == [((0, 1), True), ((0, 1), False)]


def test_what_is_tuned_anew_may_fall_into_fewer_cells(kancl: Kancl, tuned: Path, tmp_path: Path) -> None:
    """As after a change of the data: the same is asked for, so the folder is not another experiment's."""
    out = tmp_path / "out"
    shutil.copytree(tuned, out)
    (out / "tuning.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "choose", lambda self, seeds: 0)
        said = kancl(*RUN, *TUNE, "--out", out)
    assert (said.code, said.out.count(": done in")) == (0, 2), said.err
    assert [entry.labels["policy"] for entry in runners.load(out).entries] == ["adam lr=0.02 steps=60"] * 2
    said = kancl(*RUN, *TUNE, "--out", out)
    assert (said.code, said.out.count(": stored")) == (0, 2)


def as_before(folder: Path) -> None:
    """Rewrite ``tuning.json`` as version 005048d wrote it: one choice, and neither seeds nor retention."""
    path = folder / "tuning.json"
    content = json.loads(path.read_text())
    for place, record in content["entries"].items():
        trials = [{key: value for key, value in trial.items() if key not in ("retained",)} for trial in record["trials"]]
        old = {"cell": record["cell"], "by": record["by"], "seeds": record["seeds"], "metric": record["metric"]}
        content["entries"][place] = {**old, "trials": trials, "chosen": record["choices"][0]["trial"]}
    path.write_text(json.dumps({"format": content["format"], "entries": content["entries"]}))


def test_what_was_tuned_once_has_no_p(kancl: Kancl, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (*RUN, "--tune", "3", "--tune-range", "0.05", "0.2", "--tune-seeds", "3", "--tune-choices", "1", "--out", out)
    assert kancl(*command).code == 0
    now = compare(runners.load(out))
    as_before(out)
    for (comparison,) in (now, compare(runners.load(out))):
        verdict = comparison.verdict
        assert not verdict.outcome.comparable
        assert (verdict.blocks, verdict.difference.n) == (1, 6)
        assert np.isnan(verdict.p)
    assert "6 in 1 tuning" in kancl("compare", out, "--no-figures").out
    said = kancl(*command)
    assert (said.code, said.out.count(": stored"), "as a trial" in said.out) == (0, 2, False), "and its trials are still good"


def test_a_remark_that_was_part_of_the_label_tells_no_cells_apart(tuned: Path, tmp_path: Path) -> None:
    out = shutil.copytree(tuned, tmp_path / "out")
    content = json.loads((out / "tuning.json").read_text())
    for record in content["entries"].values():
        for labels in record["labels"].values():
            labels["strategy"] += " (corrected)"
    (out / "tuning.json").write_text(json.dumps({"format": content["format"], "entries": content["entries"]}))
    assert [len(entry.parts) for entry in runners.load(out).entries] == [2, 2]


@pytest.mark.parametrize("content", ['{"format": 1, "entries": {"a": 3}}', '{"format": 1, "entries": {"a": {"choices": [1]}}}'])
def test_a_record_that_cannot_be_read_is_named(tuned: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(tuned, tmp_path / "out")
    (tmp_path / "out" / "tuning.json").write_text(content)
    with pytest.raises(InputError, match=r"tuning\.json does not hold what kancl run --tune writes"):
        runners.load(tmp_path / "out")


def test_labels_hold_all_values_where_they_differ() -> None:
    texts = ["ewc:strength=1000,heads=2", "ewc:strength=46.4,heads=2", "ewc:strength=46.4,heads=2"]
    assert labels_of_all([{"strategy": text} for text in texts]) == {"strategy": "ewc:strength=tuned(46.4, 1000),heads=2"}
    assert labels_of_all([{"strategy": "a"}, {"strategy": "b=2"}]) == {"strategy": "a or b=2"}


# The error of the whole procedure, on the bank of benchmarks/statistics.

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "statistics"


@pytest.mark.skipif(not BENCHMARKS.exists(), reason="needs the repository's benchmarks")
def test_the_variance_of_the_choice_is_in_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks that are alike: a test that does not see the choice errs in about a third of draws, kancl's in 5 %."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import verdicts

    bank = verdicts.read_bank("domain")
    assert verdicts.share(bank, verdicts.after_tuning(None), draws=120) <= 0.1
    assert verdicts.share(bank, verdicts.after_tuning(1, each=3, unseen=True), draws=120) > 0.2
    assert verdicts.share(bank, verdicts.after_tuning(1), draws=20) == 0.0
    assert verdicts.share(bank.shifted(0.05), verdicts.after_tuning(None), draws=60) > 0.9
    for name in ("verdicts", "bank"):
        sys.modules.pop(name)
