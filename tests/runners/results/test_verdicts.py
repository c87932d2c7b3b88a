"""Guards the verdicts of kancl compare: which cells are compared, what is printed, and what programs get."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from rich.console import Console

import runners
from kancl.contest import MetricName
from kancl.errors import InputError
from kancl.metrics import forgetting, learning_score, retention
from kancl.statistics import BOOTSTRAP_FROM, Interval, mean_interval, sign_flip_test
from kancl.verdict import Outcome, Rules
from runners.config.policy import Policy
from runners.report.numbers import with_interval
from runners.report.sheet import WIDE
from runners.report.verdict_tables import method, verdict_tables, verdicts_as_markdown
from runners.report.words import answers
from runners.results.entry import Entry
from runners.results.results import Results
from runners.results.verdicts import Comparison, compare, frame

Kancl = Callable[..., Any]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment: KAN under L-BFGS and MLP under Adam on one toy of two tasks; not to be changed."""
    from runners.cli.main import main

    out = tmp_path_factory.mktemp("stored") / "out"
    file = out.parent / "both.toml"
    file.write_text(
        'scenarios = ["gaussian-peaks:tasks=2,samples=20"]\nstrategies = ["naive", "joint"]\nseeds = 8\nevaluations = 2\n'
        '[[block]]\narchitectures = ["kan:intervals=20"]\noptimizer = "lbfgs"\nsteps = 3\n'
        '[[block]]\narchitectures = ["mlp:hidden=8"]\noptimizer = "adam"\nsteps = 20\n'
    )
    assert main(["run", "--file", str(file), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def results(stored: Path) -> Results:
    return runners.load(stored)


def entry(results: Results, architecture: str, policy: str = "adam", kept: float = 0.5, **said: Any) -> Entry:
    """A cell as if it had learned (error 0.01 of null 0.4) and then kept a share, a little different in every seed."""
    strategy, scenario = said.pop("strategy", "naive"), said.pop("scenario", "toy")
    base = next(e for e in results.entries if e.cell.asked["strategy"] == strategy)
    spec = replace(base.cell.architecture, name=architecture.partition(":")[0], options={"label": architecture})
    ours = replace(base.cell, architecture=spec, policy=Policy(optimizer=policy, steps=7), **said)  # type: ignore[arg-type]
    ours = replace(ours, scenario=replace(ours.scenario, name=scenario))
    labels = {"scenario": scenario, "architecture": architecture, "strategy": strategy, "policy": ours.policy.label}
    count = len(ours.seeds)
    R = np.full((count, 3, 2), 0.01)
    R[:, 2, 0] = 0.4 - 0.39 * (kept + 0.01 * np.sin(np.arange(count) + len(architecture)))
    result = replace(
        base.result, seeds=ours.seeds, R={"rmse": R}, null={"rmse": np.full((count, 2), 0.4)},
        curves={"rmse": base.result.curves["rmse"][:count]}, diverged_at=np.full(count, -1), functions=None,
    )  # fmt: skip
    return Entry(ours, result, labels)


def of(results: Results, *entries: Entry) -> Results:
    return replace(results, entries=entries)


def pairs(comparisons: list[Comparison]) -> list[tuple[str, str, bool]]:
    return [
        (f"{c.first.labels['architecture']}/{c.first.cell.policy.optimizer}",
         f"{c.second.labels['architecture']}/{c.second.cell.policy.optimizer}", c.same_policy)
        for c in comparisons
    ]  # fmt: skip


def rendered(comparisons: list[Comparison], width: int, rules: Rules | None = None) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    for part in verdict_tables(comparisons, rules or Rules(), width):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return text


# Which cells are compared.


def test_others_are_compared_with_mlp_where_it_is(results: Results) -> None:
    found = compare(of(results, *(entry(results, name) for name in ("kan", "mlp", "kan-rbf"))))
    assert pairs(found) == [("kan/adam", "mlp/adam", True), ("kan-rbf/adam", "mlp/adam", True)]


def test_every_pair_is_compared_without_mlp(results: Results) -> None:
    found = compare(of(results, *(entry(results, name) for name in ("a", "b", "c"))))
    assert [pair[:2] for pair in pairs(found)] == [("a/adam", "b/adam"), ("a/adam", "c/adam"), ("b/adam", "c/adam")]


def test_variants_of_mlp_are_references_unless_mlp_itself_is_there(results: Results) -> None:
    names = ("kan", "mlp:hidden=5", "mlp:hidden=9")
    cells = [entry(results, name) for name in names]
    assert [pair[:2] for pair in pairs(compare(of(results, *cells)))] == [
        ("kan/adam", "mlp:hidden=5/adam"), ("kan/adam", "mlp:hidden=9/adam"),
    ]  # fmt: skip
    found = compare(of(results, *cells, entry(results, "mlp")))
    assert [pair[:2] for pair in pairs(found)] == [(f"{name}/adam", "mlp/adam") for name in names]


def test_the_reference_can_be_chosen(results: Results) -> None:
    stored = of(results, *(entry(results, name) for name in ("kan", "mlp", "kan:base=silu")))
    assert [pair[:2] for pair in pairs(compare(stored, "kan"))] == [
        ("mlp/adam", "kan/adam"),
        ("kan:base=silu/adam", "kan/adam"),
    ]
    assert len(compare(stored, "kan:base=silu")) == 2
    with pytest.raises(InputError, match=r"no architecture 'lookup'.*there are: kan, mlp, kan:base=silu"):
        compare(stored, "lookup")


def test_equal_policies_are_paired_and_others_are_marked(results: Results) -> None:
    both = [entry(results, name, policy) for name in ("kan", "mlp") for policy in ("adam", "sgd")]
    assert pairs(compare(of(results, *both))) == [("kan/adam", "mlp/adam", True), ("kan/sgd", "mlp/sgd", True)]
    lonely = [entry(results, "kan", "lbfgs"), entry(results, "kan"), entry(results, "mlp")]
    assert pairs(compare(of(results, *lonely))) == [("kan/lbfgs", "mlp/adam", False), ("kan/adam", "mlp/adam", True)]
    precise = entry(results, "mlp", dtype="float64")
    assert pairs(compare(of(results, entry(results, "kan"), precise))) == [("kan/adam", "mlp/adam", False)]
    assert "float32 against" in rendered(compare(of(results, entry(results, "kan"), precise)), WIDE)


def test_a_reference_without_a_counterpart_is_not_forced_on_others(results: Results) -> None:
    cells = [entry(results, "kan"), entry(results, "mlp"), entry(results, "mlp", "sgd")]
    assert pairs(compare(of(results, *cells))) == [("kan/adam", "mlp/adam", True)]


def test_policies_that_differ_in_the_rate_alone_are_paired_and_told_apart_from_others(results: Results) -> None:
    def at(name: str, rate: float, state: str = "reset") -> Entry:
        made = entry(results, name)
        policy = replace(made.cell.policy, lr=rate, state=state)
        return replace(made, cell=replace(made.cell, policy=policy), labels={**made.labels, "policy": policy.label})

    cells = [at("kan", 0.1), at("kan", 0.2, "keep"), at("mlp", 0.3), at("mlp", 0.4, "keep")]
    found = compare(of(results, *cells))
    assert [(c.first.cell.policy.lr, c.second.cell.policy.lr) for c in found] == [(0.1, 0.3), (0.2, 0.4)]
    assert all(c.own_rates and not c.same_policy for c in found)
    text = rendered(found, WIDE)
    assert "each at its own rate" in text
    assert "kan (lr=0.1)" in text
    assert "under different policies" not in text
    assert "adam steps=7, lr=0.1 against lr=0.3" in verdicts_as_markdown(found)
    exact = compare(of(results, *cells, at("mlp", 0.1)))
    assert [(c.first.cell.policy.lr, c.second.cell.policy.lr) for c in exact] == [(0.1, 0.1), (0.2, 0.4)]


def test_blocks_of_seeds_are_paired_with_their_like(results: Results) -> None:
    blocks = [entry(results, name, seeds=seeds) for name in ("kan", "mlp") for seeds in ((0, 1, 2), (3, 4, 5))]
    found = compare(of(results, *blocks))
    assert [(c.first.cell.seeds, c.second.cell.seeds) for c in found] == [((0, 1, 2),) * 2, ((3, 4, 5),) * 2]


def test_scenarios_and_strategies_are_compared_apart(results: Results) -> None:
    kept = {"kan": 0.9, "mlp": 0.1}
    cells = [entry(results, name, kept=kept[name], strategy=strategy) for strategy in ("naive", "joint") for name in kept]
    elsewhere = [entry(results, name, kept=kept[name], scenario="other") for name in kept]
    found = compare(of(results, *cells, *elsewhere))
    assert [(c.first.labels["scenario"], c.first.labels["strategy"]) for c in found] == [("toy", "naive"), ("other", "naive")]
    assert [c.verdict.p_holm for c in found] == [2 * 2 / 2**8] * 2, "one family"


# The numbers.


def test_the_numbers_are_those_of_the_stored_matrices(results: Results) -> None:
    (comparison,) = compare(results)
    assert not comparison.same_policy
    sides = [comparison.first.result, comparison.second.result]
    assert [e.cell.architecture.name for e in (comparison.first, comparison.second)] == ["kan", "mlp"]
    kept = [retention(r.R["rmse"], r.null["rmse"], False) for r in sides]
    lost = [forgetting(r.R["rmse"], False) for r in sides]
    learned = [learning_score(r.R["rmse"]) for r in sides]
    verdict = comparison.verdict
    np.testing.assert_array_equal(verdict.difference, mean_interval(kept[0] - kept[1]))
    np.testing.assert_array_equal(verdict.p, sign_flip_test(kept[0] - kept[1]))
    assert verdict.forgetting_difference == mean_interval(lost[0] - lost[1])
    gap = sides[0].null["rmse"].mean()
    np.testing.assert_allclose(verdict.learning_difference, mean_interval((learned[0] - learned[1]) / gap))


def test_accuracies_are_measured_from_one(results: Results) -> None:
    first, second = entry(results, "kan"), entry(results, "mlp")
    turned = []
    for cell, learned in ((first, 0.9), (second, 0.8)):
        R = np.full_like(cell.result.R["rmse"], learned)
        arrays = {"R": R, "null": np.full((8, 2), 0.5), "curves": cell.result.curves["rmse"]}
        named: dict[str, Any] = {name: {"accuracy": values} for name, values in arrays.items()}
        turned.append(replace(cell, result=replace(cell.result, higher_is_better={"accuracy": True}, **named)))
    (comparison,) = compare(of(results, *turned))
    assert comparison.verdict.learning_difference.mean == pytest.approx(0.1 / 0.5)
    assert comparison.verdict.outcome == Outcome.UNLIKE


def test_diverged_seeds_are_left_out_and_told(results: Results) -> None:
    kan, mlp = entry(results, "kan", kept=0.8), entry(results, "mlp", kept=0.1)
    mlp = replace(mlp, result=replace(mlp.result, diverged_at=np.array([-1, 4, -1, -1, -1, -1, -1, -1])))
    found = compare(of(results, kan, mlp))
    assert (found[0].verdict.outcome, found[0].verdict.diverged, found[0].verdict.difference.n) == (Outcome.MORE, (1,), 7)
    assert "1 seed left out, a side diverged or did not finish: 1" in rendered(found, WIDE)
    assert frame(found)["diverged"].tolist() == [1]


# What is printed.


def some(results: Results) -> list[Comparison]:
    kept = {"kan": 0.9, "kan-rbf": 0.5, "kan:hidden=5,intervals=20,grid=each-task": 0.1, "mlp": 0.5}
    return compare(of(results, *(entry(results, name, kept=value) for name, value in kept.items())))


@pytest.mark.parametrize("width", [80, 100, WIDE, 200])
def test_tables_hold_every_number_uncut(results: Results, width: int) -> None:
    found = some(results)
    assert [c.verdict.outcome for c in found] == [Outcome.MORE, Outcome.SAME, Outcome.LESS]
    text = rendered(found, width)
    flat = " ".join(text.split())
    for comparison in found:
        verdict = comparison.verdict
        for interval in (*verdict.learning, *verdict.retention, *verdict.forgetting, verdict.difference):
            assert with_interval(interval) in text
        assert f"p {verdict.p:.2g}, Holm {verdict.p_holm:.2g}" in text
        assert f"{comparison.first.labels['architecture']} against mlp: {verdict.outcome}: {verdict.reason}" in flat
    assert "Holm over 3 tests at 5 %" in flat
    assert "different policies" not in text


def test_the_explanation_is_shown_where_there_is_one(results: Results) -> None:
    found = some(results)
    assert "explanation" not in verdicts_as_markdown(found)
    told = [replace(c, verdict=replace(c.verdict, explanation="the base branch moved")) for c in found[:1]] + found[1:]
    assert rendered(told, WIDE).count("the base branch moved") == 1
    assert verdicts_as_markdown(told).count("the base branch moved") == 1


def test_the_method_names_every_bound(results: Results) -> None:
    text = method(some(results), Rules(margin=0.07, learned=0.6, alpha=0.01, equivalence=0.25))
    for part in ("7 % of the gap", "under 60 %", "3 tests at 1 %", "±0.25", f"from {BOOTSTRAP_FROM} seeds", "Hedges' g_z"):
        assert part in text


def test_nothing_to_compare_is_said(results: Results) -> None:
    assert "No verdict" in " ".join(rendered(compare(of(results, entry(results, "kan"))), 80).split())
    assert verdicts_as_markdown([]) == ""


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((0.5, 0.41, 0.63, 8), "0.50 [0.41, 0.63]"),
        ((0.0, 0.0, 0.0, 8), "0 in every seed"),
        ((1.0, 1.0, 1.0, 8), "1 in every seed"),
        ((1.0, 0.99999, 1.0, 8), "1.0000 [1.0000, 1.0000]"),
        ((-4.9e-6, -6.2e-6, -3.6e-6, 8), "(-4.9 [-6.2, -3.6])e-06"),
        ((310.0, -12.0, 650.0, 8), "310 [-12, 650]"),
        ((7.4e5, -1.1e5, 1.6e6, 8), "(0.74 [-0.11, 1.60])e+06"),
        ((-0.001, -0.2, 0.19, 8), "0.00 [-0.20, 0.19]"),
        ((0.25, np.nan, np.nan, 1), "0.2500"),
        ((np.nan, np.nan, np.nan, 0), "–"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_supports(interval: tuple[Any, ...], text: str) -> None:
    assert with_interval(Interval(*interval)) == text


# The command.


def test_compare_prints_the_verdict(kancl: Kancl, stored: Path) -> None:
    brief, said = (kancl("compare", stored, "--no-figures", *more) for more in ((), ("--explain",)))
    assert (said.code, said.err) == (0, "")
    assert "Holm over" not in brief.out
    assert set(brief.out.splitlines()) - set(said.out.splitlines()) == {brief.out.splitlines()[-1]}, "nothing else is left out"
    parts = (
        "Verdicts   gaussian-peaks:tasks=2,samples=20 / naive / different policies", "kan:intervals=20", "mlp:hidden=8",
        "under different policies", "lbfgs lr=1 steps=3 against adam", "did not learn", "Holm over",
    )  # fmt: skip
    for part in parts:
        assert part in said.out
    assert "joint / different policies" not in said.out


def test_programs_get_the_same_verdict(kancl: Kancl, stored: Path, results: Results) -> None:
    (comparison,) = compare(results)
    whole = json.loads(kancl("compare", stored, "--no-figures", "--format", "json").out)
    assert set(whole) == {"answers", "cells", "verdicts", "method", "overlap"}
    assert whole["answers"] == answers([comparison])
    assert {row["architecture"] for row in whole["cells"]} == {"kan:intervals=20", "mlp:hidden=8"}
    text = kancl("compare", stored, "--no-figures", "--format", "csv", "--rows", "verdicts").out
    for row in (*whole["verdicts"], *csv.DictReader(io.StringIO(text))):
        assert (row["architecture"], row["against"], row["strategy"]) == ("kan:intervals=20", "mlp:hidden=8", "naive")
        assert row["outcome"] == comparison.verdict.outcome
        assert row["reason"] == comparison.verdict.reason
        assert str(row["same_policy"]) == "False"
        assert row["policy"].startswith("lbfgs")
        assert row["against_policy"].startswith("adam")
        assert int(row["n"]) == comparison.verdict.difference.n
        verdict = comparison.verdict
        shown = {"forgetting_difference": verdict.forgetting_difference, "against_learning": verdict.learning[1]}
        for name, value in shown.items():
            written = [float(row[name + part]) for part in ("", "_low", "_high")]
            np.testing.assert_allclose(written, value[:3], rtol=1e-9)
        assert float(row["against_learned"]) == pytest.approx(comparison.verdict.learned[1])
    table = kancl("compare", stored, "--no-figures", "--format", "markdown").out
    assert table.count("| --- |") >= 2
    assert comparison.verdict.reason in table
    assert method([comparison], Rules()) in table


def test_the_bounds_come_from_the_command_line(kancl: Kancl, stored: Path) -> None:
    said = kancl("compare", stored, "--no-figures", "--explain", "--margin", "0.9", "--equivalence", "0.3", "--against", "kan")
    assert said.code == 0
    flat = " ".join(said.out.split())
    assert "over 90 % of the gap" in flat
    assert "±0.3" in flat
    assert "mlp:hidden=8 against kan:intervals=20" in flat


def test_the_options_are_those_of_verdicts() -> None:
    from runners.cli.compare import Compare

    hints = get_type_hints(Compare, include_extras=False)
    assert set(get_args(MetricName)) == {name for part in get_args(hints["metric"]) for name in get_args(part)}

    assert (Compare(Path()).margin, Compare(Path()).equivalence) == (Rules().margin, Rules().equivalence)


def test_the_metric_is_the_users_choice_and_else_the_settings(kancl: Kancl, stored: Path, results: Results) -> None:
    """The same cells, as if their tasks were classes of one head."""
    assert [c.verdict.metric for c in compare(results)] == ["retention"]
    classes = of(results, *(replace(e, result=replace(e.result, setting="class")) for e in results.entries))
    assert [c.verdict.metric for c in compare(classes)] == ["final"]
    assert [c.verdict.metric for c in compare(classes, metric="retention")] == ["retention"]
    (comparison,) = compare(results, metric="final")
    ends = [side.metrics()["final_score"] for side in (comparison.first, comparison.second)]
    assert comparison.verdict.difference == mean_interval(ends[0] - ends[1])
    said = kancl("compare", stored, "--no-figures", "--metric", "final", "--format", "csv", "--rows", "verdicts").out
    (row,) = csv.DictReader(io.StringIO(said))
    assert (row["metric"], row["outcome"], row["needed"]) == ("final", comparison.verdict.outcome, "6")
    assert float(row["value"]) == pytest.approx(ends[0].mean())
    assert float(row["against_value_high"]) == pytest.approx(mean_interval(ends[1]).high)
    table = kancl("compare", stored, "--no-figures", "--metric", "final").out
    assert "final rmse" in table
    assert with_interval(comparison.verdict.sides[1]) in table


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--margin", "0"), ("margin > 0", "got 0")),
        (("--equivalence", "-1"), ("equivalence margin > 0", "got -1")),
        (("--against", "nobody"), ("'nobody'", "kan:intervals=20, mlp:hidden=8")),
    ],
)
def test_bad_bounds_are_refused(kancl: Kancl, stored: Path, options: tuple[str, ...], parts: tuple[str, ...]) -> None:
    said = kancl("compare", stored, *options)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err
