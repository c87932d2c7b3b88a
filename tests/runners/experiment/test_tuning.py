"""Guards --match and --tune: what is chosen, on which seeds, and that it is chosen once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import runners
from kancl.models import Network, Problem, architectures
from kancl.models.tunable import tunable
from runners.choices.plans import plan_of
from runners.choices.trials import Trials, trials_of
from runners.config.request import Request
from runners.experiment.tuning import candidates, with_trial

Kancl = Callable[..., Any]

LINE = """
import torch

from scenarios import Advice, Scenario, Task

def line(seed: int) -> Scenario:
    # One weight and one bias on samples +-1: gradient descent converges at once at a rate of 1/2 and diverges above 1.
    x = torch.tensor([[-1.0], [1.0]])
    tasks = tuple(Task(str(k), (x, (k + 1) * x), (x, (k + 1) * x)) for k in range(2))
    return Scenario(tasks, "mse", test_is_train=True)
"""
RUN = ("run", "line.py:line", "--architectures", "mlp:hidden=[]", "--optimizer", "sgd", "--momentum", "0", "--steps", "60",
       "--seeds", "2", "--evaluations", "2")  # fmt: skip
TUNE = (*RUN, "--tune", "3", "--tune-range", "0.005", "50", "--out", "out")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "line.py").write_text(LINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trials_in(out: str) -> list[dict[str, Any]]:
    return list(json.loads((Path(out) / "tuning.json").read_text())["entries"].values())


def measured(*trials: tuple[float, list[float]], up: bool = True, gap: float = 0.0) -> Trials:
    entries = [{"lr": lr, "per_seed": scores, "higher_is_better": up} for lr, scores in trials]
    return trials_of({"seeds": list(range(len(trials[0][1]))), "gap": gap, "trials": entries})


def chosen(trials: Trials, *seeds: int) -> int | None:
    return trials.choose(np.array(seeds or range(trials.scores.shape[1])))


def test_of_rates_that_the_seeds_cannot_tell_apart_the_smallest_is_taken() -> None:
    better, far = (0.1, [0.90, 0.94, 0.98]), (0.001, [0.80, 0.81, 0.82])
    assert chosen(measured(far, (0.01, [0.92, 0.93, 0.94]), better)) == 1  # 0.94 - 0.93 is less than 0.04 / sqrt(3)
    assert chosen(measured(far, (0.01, [0.90, 0.91, 0.92]), better)) == 2
    assert chosen(measured((0.001, [5.0, 5.0]), (0.01, [1.1, 1.1]), (0.1, [0.9, 1.1]), up=False)) == 1
    assert chosen(measured((0.1, [0.5]), (0.2, [0.6]))) == 1, "one seed has no standard error"
    assert chosen(measured((0.1, [0.595]), (0.2, [0.6]), gap=0.6)) == 0, "within 1 % of the gap from null to perfect"
    assert chosen(measured((0.1, [0.593]), (0.2, [0.6]), gap=0.6)) == 1
    assert chosen(measured((0.1, [0.605]), (0.2, [0.6]), up=False, gap=0.6)) == 0
    mixed = measured((0.1, [0.5, 0.9]), (0.2, [0.6, 0.6]))
    assert [chosen(mixed, 0), chosen(mixed, 1)] == [1, 0], "each by the seeds that it is given"


def test_a_trial_with_a_diverged_seed_wins_only_where_every_trial_lost_as_many() -> None:
    lost = float("nan")
    assert chosen(measured((0.1, [0.5, 0.5]), (0.2, [0.9, lost]))) == 0
    assert chosen(measured((0.1, [lost, 0.5]), (0.2, [0.9, lost]))) == 1
    assert chosen(measured((0.1, [lost, lost]))) is None
    assert chosen(measured((0.1, [0.5, 0.5]), (0.2, [0.9, lost])), 0) == 1, "what its own seeds did not lose"


def test_a_plateau_that_retains_unequally_is_told() -> None:
    def told(*kept: float) -> str | None:
        entries = [
            {"lr": lr, "per_seed": [score] * 2, "retained": [own, None], "higher_is_better": True}
            for lr, score, own in zip((0.01, 0.1, 1.0), (0.8, 0.9, 0.901), kept, strict=True)
        ]
        return trials_of({"seeds": [0, 1], "gap": 0.5, "trials": entries}).plateau()

    assert told(0.1, 0.9, 0.4) == (
        "2 trials with lr=0.1 to 1 are equal within 1 % of the gap or a standard error, and retain 0.4 to 0.9"
    )
    assert told(0.1, 0.9, 0.88) is None
    assert told(0.1, float("nan"), 0.88) is None


def test_every_reported_seed_has_its_own_choice_on_seeds_of_its_own(tools: Any) -> None:
    cell, reported = tools.make_cell("gaussian-peaks", "mlp"), (0, 1, 2, 5)

    def choices(own: tuple[int, ...], **said: Any) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        plan = plan_of(Request(tune=4, **said), replace(cell, seeds=own), reported)
        return [(choice.reported, choice.seeds) for choice in plan.choices]

    each = [((0,), (6, 7)), ((1,), (8, 9)), ((2,), (10, 11)), ((5,), (12, 13))]
    assert choices(reported) == each
    assert choices((2, 5)) == each[2:], "a block of the seeds takes its own part, so no two blocks share a choice"
    assert choices(reported, tune_choices=2, tune_seeds=1) == [((0, 1), (6,)), ((2, 5), (7,))]
    assert choices(reported, tune_seeds="20-22") == [(reported, (20, 21, 22))]
    assert choices(reported, tune_seeds="20-23") == [((0, 1), (20, 21)), ((2, 5), (22, 23))]
    assert choices(reported, tune_seeds="20-22", tune_choices=3) == [((0, 1), (20,)), ((2,), (21,)), ((5,), (22,))]
    said = str(plan_of(Request(tune=4), replace(cell, seeds=reported), reported))
    assert "4 trials with 8 seeds each, 32 networks beside the 4 that are reported (4 choices, on 2 seeds each)" in said


def test_tuning_takes_the_best_rate_and_never_a_diverged_one(kancl: Kancl, desk: Path) -> None:
    said = kancl(*TUNE)
    assert (said.code, said.err) == (0, "")
    (record,) = trials_in("out")
    assert [trial["lr"] for trial in record["trials"]] == [0.005, 0.5, 50.0]
    assert [trial["score"] is None for trial in record["trials"]] == [False, False, True]
    assert [choice["trial"] for choice in record["choices"]] == [1, 1]
    (entry,) = runners.load("out").entries
    assert entry.cell.policy.lr == 0.5
    assert set(record["seeds"]).isdisjoint(entry.cell.seeds)
    assert record["seeds"] == [2, 3, 4, 5]
    flat = " ".join(said.out.split())
    assert (
        "lr=0.5, of 3 trials (1 with diverged seeds or failed) the smallest rate whose learning rmse cannot be told from"
        in flat
    )
    assert "tuning takes 3 trials with 4 seeds each, 12 networks beside the 2 that are reported (2 choices, on 2 seeds" in flat


def test_tuned_cells_are_not_tuned_again_and_a_stopped_tuning_goes_on(
    kancl: Kancl, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runners.experiment.executors import job

    seen: list[float] = []
    work = job.work

    def interrupted(cell: Any, store: Any, *arguments: Any) -> Any:
        if store is None:  # a trial
            seen.append(cell.policy.lr)
            if len(seen) == 3:
                raise KeyboardInterrupt
        return work(cell, store, *arguments)

    monkeypatch.setattr(job, "work", interrupted)
    assert kancl(*TUNE).code == 130
    assert not (desk / "out" / "experiment.json").exists()
    assert kancl(*TUNE).code == 0
    assert seen == [0.005, 0.5, 50.0, 50.0]
    first = (desk / "out" / "tuning.json").read_bytes()
    said = kancl(*TUNE)
    assert (said.code, len(seen)) == (0, 4)
    assert ": stored" in said.out
    assert (desk / "out" / "tuning.json").read_bytes() == first
    assert kancl(*TUNE[:-1], "again").code == 0
    assert (desk / "again" / "tuning.json").read_bytes() == first


def test_another_tuning_stands_beside_the_first(kancl: Kancl, desk: Path) -> None:
    assert kancl(*TUNE).code == 0
    (before,) = trials_in("out")
    assert kancl(*TUNE, "--tune-by", "final").code == 0
    first, second = trials_in("out")
    assert (first, second["by"]) == (before, "final")


def test_tuning_by_the_final_score_can_choose_otherwise(kancl: Kancl, desk: Path) -> None:
    """One network cannot hold both lines: a small rate, which learns neither well, is the better compromise at the end."""
    assert kancl(*TUNE, "--tune-by", "final", "--tune-range", "0.0008", "0.5", "--tune", "2").code == 0
    (record,) = trials_in("out")
    assert record["metric"] == "final rmse"
    scores = [np.mean(trial["per_seed"]) for trial in record["trials"]]
    assert {choice["trial"] for choice in record["choices"]} == {int(np.argmin(scores))}


def test_where_every_trial_diverges_nothing_is_run(kancl: Kancl, desk: Path) -> None:
    said = kancl(*TUNE, "--tune-range", "50", "90")
    assert said.code == 2
    assert "none of the 3 trials" in said.err
    assert not (desk / "out" / "experiment.json").exists()


def test_other_options_are_tuned_by_a_fixed_latin_hypercube(tools: Any, enrol: Any) -> None:
    @tunable(noise=(0.01, 1.0), activation=["relu", "tanh"])
    def noisy(problem: Problem, *, noise: float = 0.1, activation: str = "relu", hidden: tuple[int, ...] = (2,)) -> Network:
        return architectures.get("mlp")(problem, hidden=hidden, activation=activation)

    enrol(architectures, "noisy", noisy)
    cell = tools.make_cell("gaussian-peaks", "noisy")
    plan = plan_of(Request(tune=4), cell, cell.seeds)
    trials = candidates(cell, plan)
    assert trials == candidates(cell, plan)
    assert [trial["lr"] for trial in trials] == [1e-4, 1e-3, 1e-2, 1e-1]
    assert sorted(trial["options"]["noise"] for trial in trials) == [0.01, 0.0464, 0.215, 1.0]
    assert sorted(trial["options"]["activation"] for trial in trials) == ["relu", "relu", "tanh", "tanh"]
    said = tools.make_cell("gaussian-peaks", "noisy:noise=0.5")
    assert {tuple(trial["options"]) for trial in candidates(said, plan)} == {("activation",)}


PEAKS = ("run", "gaussian-peaks:tasks=1,samples=10", "--seeds", "1", "--steps", "2", "--optimizer", "adam", "--out", "out")


@pytest.mark.parametrize("by", ["parameters", "flops", "active"])
def test_matched_costs_stand_in_the_results(kancl: Kancl, desk: Path, by: str) -> None:
    said = kancl(*PEAKS, "--architectures", "kan:hidden=6", "mlp", "--match", by, "--to", "kan")
    assert (said.code, said.err) == (0, "")
    kan, mlp = (entry for entry in runners.load("out").entries)
    one, other = getattr(kan.result, by), getattr(mlp.result, by)
    assert abs(other / one - 1) < 0.2
    assert mlp.cell.architecture.options["hidden"] != [13, 12]
    assert mlp.cell.asked["architecture"].startswith("mlp:hidden=")
    assert f"kan:hidden=6 has {one:,.4g}" in said.out
    for title in ("parameters", "active", "FLOPs", "FLOPs (step)", "µs/step"):
        assert title in said.out


def test_a_match_by_time_is_measured_once(kancl: Kancl, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of our own: 30 µs, and 1 µs more for each unit of an MLP; the kan takes 50."""
    from runners.experiment import matching

    def fake(cells: Any, *more: Any) -> list[float]:
        wide = [sum(cell.architecture.options["hidden"]) if cell.architecture.name == "mlp" else 20 for cell in cells]
        return [1e-6 * (30 + width) for width in wide]

    monkeypatch.setattr(matching, "step_seconds", fake)
    run = (*PEAKS, "--architectures", "kan", "mlp:hidden=3", "--match", "time", "--to", "kan")
    assert kancl(*run).code == 0
    assert [e.cell.architecture.options["hidden"] for e in runners.load("out").entries] == [[], [20]]
    monkeypatch.setattr(matching, "step_seconds", lambda *given: pytest.fail("measured again"))
    said = kancl(*run)
    assert (said.code, said.out.count(": stored")) == (0, 2)


BAD = {
    "match without to": (("--match", "flops"), "--match needs --to"),
    "to without match": (("--to", "kan"), "--to needs --match"),
    "an unknown reference": (("--match", "flops", "--to", "kann"), "unknown architecture 'kann'"),
    "several references": (
        ("--architectures", "kan:intervals=9", "kan:intervals=8", "mlp", "--match", "flops", "--to", "kan"), "could be any of"),
    "no width": (("--architectures", "kan", "mlp:hidden=[]", "--match", "flops", "--to", "kan"), "cannot be widened"),
    "a cost that does not grow": (("--match", "flops", "--to", "mlp"), "kan cannot be matched"),
    "an unknown cost": (("--match", "weights", "--to", "kan"), "weights"),
    "no trial": (("--tune", "0"), "at least 1 trial"),
    "a rate and a tuning": (("--tune", "2", "--lr", "0.1"), "leave one of them out"),
    "reported seeds": (("--tune", "2", "--tune-seeds", "0-3"), "reported seeds (0)"),
    "too many choices": (("--tune", "2", "--tune-choices", "9"), "--tune-choices must be from 1 (one for all) to 1"),
    "choices without seeds": (("--seeds", "2", "--tune", "2", "--tune-choices", "2", "--tune-seeds", "8,"), "too few for 2"),
    "choices, but no tuning": (("--tune-choices", "1"), "--tune 8"),
    "a range the wrong way": (("--tune", "2", "--tune-range", "1", "0.1"), "smallest <= largest"),
    "how to tune, but not to": (("--tune-by", "final"), "--tune 8"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_requests_are_refused_and_leave_nothing(kancl: Kancl, desk: Path, fault: str) -> None:
    arguments, named = BAD[fault]
    said = kancl(*PEAKS, *arguments)
    assert (said.code, said.out) == (2, "")
    assert named in " ".join(said.err.replace("│", " ").split())
    assert not (desk / "out").exists()


def test_results_of_older_versions_can_still_be_read(tools: Any) -> None:
    from runners.measure.result import Result
    from runners.report.cost_table import cost_sheet
    from runners.results.entry import Entry

    cell = tools.make_cell("gaussian-peaks:tasks=1", "mlp", steps=1)
    result = tools.train(cell).result
    new = ("active", "flops", "step_flops", "step_seconds")
    old = Result.from_arrays({name: value for name, value in result.to_arrays().items() if name not in new})
    assert (old.active, old.flops, old.step_flops) == (None, None, None)
    assert cost_sheet([Entry(cell, old, cell.labels)]).texts()[0][2:] == [f"{result.parameters:,}", "–", "–", "–", "–"]
    assert np.array_equal(old.R["rmse"], result.R["rmse"])
    assert torch.tensor(old.step_seconds).isnan()


def test_a_strategys_strength_is_tuned_by_the_final_score_alone(tools: Any) -> None:
    """By the score right after learning no strength at all would win."""
    cell = tools.make_cell("gaussian-peaks", "mlp", "ewc")
    trials = candidates(cell, plan_of(Request(tune=4, tune_by="final"), cell, cell.seeds))
    assert sorted(trial["strategy"]["strength"] for trial in trials) == [1.0, 46.4, 2150.0, 100000.0]
    tuned = with_trial(cell, trials[0])
    assert tuned.strategy.options["strength"] == trials[0]["strategy"]["strength"]
    assert tuned.asked["strategy"] == f"ewc:strength={trials[0]['strategy']['strength']}"
    assert tuned.policy.lr == 1e-4
    for said, by in (("ewc", "learning"), ("ewc:strength=3", "final"), ("naive", "final")):
        cell = tools.make_cell("gaussian-peaks", "mlp", said)
        plan = plan_of(Request(tune=4, tune_by=by), cell, cell.seeds)  # type: ignore[arg-type]
        assert all("strategy" not in trial for trial in candidates(cell, plan))
        assert with_trial(cell, candidates(cell, plan)[0]).strategy == cell.strategy


def test_cells_of_one_strategy_at_other_tuned_strengths_are_compared(kancl: Kancl, desk: Path) -> None:
    """And where the strengths were said, each with its like alone."""
    run = ("run", "gaussian-peaks:tasks=2,samples=20", "--seeds", "3", "--steps", "20", "--optimizer", "adam")
    strategies = ("--strategies", "l2-init:strength=0.1", "l2-init:strength=0.2")
    assert kancl(*run, "--architectures", "kan", "mlp", *strategies, "--out", "said").code == 0
    rows = json.loads(kancl("compare", "said", "--no-figures", "--format", "json").out)["verdicts"]
    assert [(row["strategy"], row["against_strategy"]) for row in rows] == [(label, label) for label in strategies[1:]]
    tune = ("--tune", "3", "--tune-by", "final", "--tune-seeds", "1", "--architectures", "kan", "mlp:hidden=3", "--strategies")
    assert kancl(*run, *tune, "l2-init", "--out", "tuned").code == 0
    (row,) = json.loads(kancl("compare", "tuned", "--no-figures", "--format", "json").out)["verdicts"]
    assert {row["strategy"].split("=")[0], row["against_strategy"].split("=")[0]} == {"l2-init:strength"}


def test_a_trial_that_was_made_is_not_made_again(kancl: Kancl, desk: Path) -> None:
    """At a given rate a strategy without tunable options has one trial, however many were asked for."""
    run = ("run", "gaussian-peaks:tasks=2,samples=20", "--seeds", "1", "--steps", "5", "--optimizer", "adam", "--out", "out")
    tune = ("--tune", "3", "--tune-by", "final", "--tune-range", "0.01", "0.01", "--tune-seeds", "1")
    said = kancl(*run, *tune, "--architectures", "mlp", "--strategies", "naive", "l2-init")
    assert (said.code, said.err) == (0, "")
    assert said.out.count("done, as a trial") == 3
    assert "naive: nothing to choose" in " ".join(said.out.split())
    entries = json.loads((desk / "out" / "tuning.json").read_text())["entries"]
    trials = [entry["trials"] for entry in entries.values()]
    assert [len(own) for own in trials] == [0, 3]


def test_a_match_by_time_of_steps_that_fail_is_refused(kancl: Kancl, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runners.experiment import matching

    monkeypatch.setattr(matching, "step_seconds", lambda cells, *more: [float("nan")] * len(cells))
    said = kancl("run", "gaussian-peaks", "--match", "time", "--to", "kan", "--seeds", 2, "--steps", 3, "--optimizer", "adam")
    assert said.code == 2
    assert "--match time: steps of one of the architectures fail" in said.err
