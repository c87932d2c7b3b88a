"""How often verdicts are false, and how often they see a true difference: seeds drawn from a bank of trained networks.

``python benchmarks/statistics/verdicts.py`` draws seeds from ``bank.npz`` (see ``bank.py``), chooses rates on them and judges
others with the functions that ``kancl run --tune`` and ``kancl compare`` use, a thousand times for each line of its tables, and
writes these into ``docs/verdicts.md``. The numbers hang on the bank and on numpy's generator alone, not on the machine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bank import BANK, NETWORKS, SETTINGS

from kancl.options import Spec
from kancl.statistics import mean_interval, sign_flip_test
from kancl.verdict import Contest, Learner, Outcome, judge
from runners.choices.plans import Plan, plan_of
from runners.choices.trials import trials_of
from runners.choices.tuned import tuning_of
from runners.config.cell import Cell
from runners.config.policy import Policy
from runners.config.request import Request
from runners.report.documents import write_between_marks
from runners.report.sheet import Column, Sheet, as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
DRAWS, REPORTED, SHIFT = 1000, 12, 0.05
NAMES = ("first", "second")


@dataclass(frozen=True)
class Bank:
    """What every seed of two sides scored at every rate: [side, rate, seed], and the gap from null to perfect."""

    learning: np.ndarray
    learned: np.ndarray
    retention: np.ndarray
    rates: np.ndarray
    gap: float

    def shifted(self, by: float) -> "Bank":
        """Return the bank with a first side that retains more by a known difference, whatever its rate."""
        return replace(self, retention=self.retention + by * np.array([1.0, 0.0])[:, None, None])


def read_bank(setting: str, same: bool = False, path: Path = BANK) -> Bank:
    """Read the bank of two alike networks; or of one network against itself with other seeds, an exact null."""
    with np.load(path) as stored:
        place = SETTINGS.index(setting)
        values, gap, rates = stored["values"][place].astype(float), float(stored["gap"][place].mean()), stored["rates"]
    if same:
        half = values.shape[2] // 2
        values = np.stack([values[0, :, :half], values[0, :, half : 2 * half]])
    return Bank(values[..., 0], values[..., 1], values[..., 2], rates, gap)


def plan(choices: int | None, reported: int = REPORTED, each: int | None = None, trials: int = 8) -> Plan:
    """Return the plan that ``kancl run --tune`` makes for seeds 0 to ``reported - 1``."""
    seeds = tuple(range(reported))
    spec = Spec("any", {})
    cell = Cell(spec, spec, spec, Policy(optimizer="adam", steps=1), seeds)
    return plan_of(Request(tune=trials, tune_choices=choices, tune_seeds=each), cell, seeds)


def tuned(bank: Bank, side: int, rows: np.ndarray, plan: Plan) -> Learner:
    """Return a side as kancl reads it after tuning: ``rows`` are the bank's seeds that stand for 0, 1, 2, ..."""
    record: dict[str, Any] = {
        "gap": bank.gap,
        "seeds": list(plan.seeds),
        "trials": [
            {"lr": float(rate), "options": {}, "higher_is_better": True,
             "per_seed": [float(v) if np.isfinite(v) else None for v in bank.learning[side, k, rows[list(plan.seeds)]]]}
            for k, rate in enumerate(bank.rates)
        ],
    }  # fmt: skip
    trials, column = trials_of(record), {seed: k for k, seed in enumerate(plan.seeds)}
    chosen = [trials.choose(np.array([column[seed] for seed in choice.seeds])) for choice in plan.choices]
    record["choices"] = [
        {"trial": trial, "reported": list(choice.reported), "seeds": list(choice.seeds)}
        for choice, trial in zip(plan.choices, chosen, strict=True)
    ]
    rate_of = {seed: trial for choice, trial in zip(plan.choices, chosen, strict=True) for seed in choice.reported}
    found = tuning_of(record)
    assert found is not None
    seeds = tuple(sorted(rate_of))
    return learner(bank, side, rows, [rate_of[seed] for seed in seeds], tuple(found.choice_of(seed) for seed in seeds))


def learner(bank: Bank, side: int, rows: np.ndarray, rates: list[Any], choices: tuple[int, ...] | None = None) -> Learner:
    """Return a side whose reported seed k was trained at rate ``rates[k]``."""
    place = (side, np.array(rates), rows[: len(rates)])
    retention = bank.retention[place]
    return Learner(
        name=NAMES[side],
        seeds=tuple(range(len(rates))),
        learning=bank.learning[place],
        learned=bank.learned[place],
        retention=retention,
        forgetting=-retention,
        final=retention,
        choices=choices,
    )


Draw = Callable[[Bank, np.ndarray], tuple[Learner, Learner]]


def at_rate(number: int, reported: int = REPORTED) -> Draw:
    """Both sides at one fixed rate."""
    return lambda bank, rows: (
        learner(bank, 0, rows, [number] * reported),
        learner(bank, 1, rows, [number] * reported),
    )


def after_tuning(choices: int | None, reported: int = REPORTED, each: int | None = None, unseen: bool = False) -> Draw:
    """Both sides tuned; ``unseen`` forgets that anything was chosen, as a test over seeds alone does."""
    made = plan(choices, reported, each)

    def draw(bank: Bank, rows: np.ndarray) -> tuple[Learner, Learner]:
        sides = (tuned(bank, 0, rows, made), tuned(bank, 1, rows, made))
        first, second = (replace(side, choices=None) if unseen else side for side in sides)
        return first, second

    return draw


def share(bank: Bank, draw: Draw, said: tuple[Outcome, ...] = (Outcome.MORE, Outcome.LESS), draws: int = DRAWS) -> float:
    """Return the share of draws in which the verdict is one of ``said``."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(draws):
        rows = rng.permutation(bank.learning.shape[2])
        (verdict,) = judge([Contest(*draw(bank, rows), bank.gap)])
        hits += verdict.outcome in said
    return hits / draws


def lose(side: int, count: int, worst: bool, draw: Draw) -> Draw:
    """Let a side lose seeds as if they had diverged: those that retain least, which no test over the others can see, or any."""

    def drawn(bank: Bank, rows: np.ndarray) -> tuple[Learner, Learner]:
        sides = list(draw(bank, rows))
        own = sides[side]
        gone = np.argsort(own.retention)[:count] if worst else np.arange(count)
        hole = np.zeros(len(own.seeds), bool)
        hole[gone] = True
        blank = {
            name: np.where(hole, np.nan, getattr(own, name)) for name in ("learning", "learned", "retention", "forgetting")
        }
        sides[side] = replace(own, **blank)
        return sides[0], sides[1]

    return drawn


def survivors_alone(bank: Bank, draw: Draw, draws: int = DRAWS) -> float:
    """Return the share of draws in which the seeds that are left would give a verdict by themselves."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(draws):
        first, second = draw(bank, rng.permutation(bank.learning.shape[2]))
        left = first.retention - second.retention
        left = left[np.isfinite(left)]
        interval = mean_interval(left)
        hits += sign_flip_test(left) <= 0.05 and not interval.low <= 0 <= interval.high
    return hits / draws


def percent(value: float) -> str:
    """Write a share."""
    return f"{100 * value:.1f} %"


def table(head: str, columns: Iterable[str], rows: Mapping[str, list[str]]) -> str:
    """Return a Markdown table, a row for each name."""
    return as_markdown(Sheet("", (Column(head), *map(Column, columns)), tuple((name, *row) for name, row in rows.items())))


def lines(draws: int = DRAWS) -> Iterator[str]:
    """Yield the tables."""
    pairs = {
        "domain, alike": read_bank("domain"), "task, alike": read_bank("task"),
        "domain, itself": read_bank("domain", same=True), "task, itself": read_bank("task", same=True),
    }  # fmt: skip
    shifted = {f"{setting}, +{SHIFT:g}": read_bank(setting).shifted(SHIFT) for setting in SETTINGS}
    shifted |= {f"{setting}, +{2 * SHIFT:g}": read_bank(setting).shifted(2 * SHIFT) for setting in SETTINGS}
    first = pairs["domain, alike"]
    yield (
        f"Bank: `{'` and `'.join(NETWORKS)}` on split-digits, {first.learning.shape[2]} seeds at each of "
        f"{len(first.rates)} rates; {draws:,} draws a number."
    )
    yield ""
    yield "True difference of retention over the whole bank, first minus second, with its standard error:"
    yield ""
    rates, rows = [f"{rate:g}" for rate in first.rates], {}
    for setting in SETTINGS:
        bank = pairs[f"{setting}, alike"]
        d = bank.retention[0] - bank.retention[1]
        rows[setting] = [f"{np.nanmean(own):+.4f} ± {np.nanstd(own) / np.isfinite(own).sum() ** 0.5:.4f}" for own in d]
    yield table("rate", rates, rows)
    yield f'"More" or "less" at one fixed rate, {REPORTED} seeds, no choice:'
    yield ""
    rows = {}
    for name, bank in pairs.items():
        rows[name] = [percent(share(bank, at_rate(k), draws=draws)) for k in range(len(bank.rates))]
    yield table("rate", rates, rows)
    yield '"More" or "less" after tuning (false where the two are alike or the same, true where a difference was put in):'
    yield ""
    banks = pairs | shifted
    procedures = {
        "one choice for all on 3 seeds, unseen by the test": after_tuning(1, each=3, unseen=True),
        "the same, as kancl judges it (`--tune-choices 1`)": after_tuning(1, each=3),
        f"6 choices for {REPORTED} seeds (`--tune-choices 6`)": after_tuning(6),
        f"a choice for each of {REPORTED} seeds, on 1 seed": after_tuning(None, each=1),
        f"a choice for each of {REPORTED} seeds, on 2 (default)": after_tuning(None),
        f"a choice for each of {REPORTED} seeds, on 3": after_tuning(None, each=3),
        "a choice for each of 16 seeds": after_tuning(None, 16),
        f"for comparison: fixed rate {first.rates[4]:g}, {REPORTED} seeds": at_rate(4),
    }
    rows = {name: [percent(share(b, draw, draws=draws)) for b in banks.values()] for name, draw in procedures.items()}
    yield table("procedure", banks, rows)
    yield (
        f"Of {REPORTED} seeds at rate {first.rates[4]:g} the first side loses some; in brackets what those that are left "
        "would say by themselves:"
    )
    yield ""
    banks = {name: bank for name, bank in banks.items() if "itself" in name or f"+{2 * SHIFT:g}" in name}
    rows = {}
    for count in (1, 2, 4):
        for worst in (True, False):
            draw = lose(0, count, worst, at_rate(4))
            which = "those that retain least" if worst else "any"
            rows[f"{count}, {which}"] = [
                f"{percent(share(b, draw, draws=draws))} ({percent(survivors_alone(b, draw, draws))})" for b in banks.values()
            ]
    yield table("lost", banks, rows)


MARKS = "<!-- benchmarks/statistics: begin -->", "<!-- benchmarks/statistics: end -->"


def main() -> None:
    """Write the tables between the two marks of the page."""
    write_between_marks(PAGE, "\n".join(lines()), MARKS)


if __name__ == "__main__":
    main()
