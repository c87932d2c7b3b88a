"""``--tune``: the same number of trials for every scenario, architecture and strategy, on seeds that are not reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from kancl import options
from kancl.errors import InputError, is_interrupt
from kancl.metrics import METRICS
from kancl.models import architectures
from kancl.models.tunable import Range, tunables_of
from kancl.options import Spec, parse_spec
from kancl.registry import Registry
from kancl.seeding import generator
from runners.avalanche.strategies import registry_of
from runners.blame import told
from runners.config import Cell, Request, parse_seeds
from runners.listener import Listener
from runners.memory import Memory
from runners.result import Result
from runners.stacks import Stacks
from runners.stream import Stream
from runners.train import run_cell

RANGES = {"adam": (1e-4, 1e-1), "adamw": (1e-4, 1e-1), "sgd": (1e-3, 1.0), "lbfgs": (1e-2, 1.0)}
"""Learning rates tried, by optimiser."""
SEEDS = 3
BY = {"learning": "learning_score", "final": "final_score"}
EVALUATIONS = 2
MOST_TRIALS = 1000
"""Each is a run."""


@dataclass(frozen=True)
class Plan:
    """How a cell is tuned: so many trials, by a score, on seeds, over a range of learning rates."""

    trials: int
    by: str
    seeds: tuple[int, ...]
    rates: tuple[float, float]


def check_tune(request: Request, reported: Sequence[int]) -> None:
    """Refuse what cannot be tuned, before anything is done.

    Args:
        request: what was asked for.
        reported: the seeds of the whole experiment.
    """
    if request.tune is None:
        for name in ("tune_by", "tune_seeds", "tune_range"):
            if getattr(request, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} says how to tune; give the number of trials too, e.g. --tune 8")
        return
    if not 1 <= request.tune <= MOST_TRIALS:
        raise InputError(f"--tune must be at least 1 trial and at most {MOST_TRIALS:,}, got {request.tune}")
    if request.lr is not None:
        raise InputError(f"--tune chooses the learning rate and --lr {request.lr:g} gives it; leave one of them out")
    low, high = request.tune_range or (1.0, 1.0)
    if not 0 < low <= high < np.inf:
        raise InputError(f"--tune-range needs 0 < smallest <= largest learning rate, got {low:g} and {high:g}")
    shared = set(_tune_seeds(request, reported)) & set(reported)
    if shared:
        raise InputError(
            f"--tune-seeds {request.tune_seeds} has reported seeds ({', '.join(map(str, sorted(shared)))}); what is chosen on "
            "a seed must not be reported on it"
        )


def plan_of(request: Request, cell: Cell, reported: Sequence[int]) -> Plan:
    """Return how a cell of a request that asks for tuning is tuned."""
    assert request.tune is not None
    rates = request.tune_range or RANGES[cell.policy.optimizer]
    return Plan(request.tune, request.tune_by or "learning", _tune_seeds(request, reported), rates)


def _tune_seeds(request: Request, reported: Sequence[int]) -> tuple[int, ...]:
    said = str(SEEDS if request.tune_seeds is None else request.tune_seeds)
    seeds = parse_seeds(said)
    return tuple(max(reported) + 1 + seed for seed in seeds) if said.strip().isdigit() else seeds


def place_of_plan(cell: Cell, plan: Plan) -> str:
    """Return the name under which a cell's trials are remembered."""
    return (
        f"{cell.key}/{plan.trials} by {plan.by} on {','.join(map(str, plan.seeds))} from {plan.rates[0]:g} to {plan.rates[1]:g}"
    )


def candidates(cell: Cell, plan: Plan) -> list[dict[str, Any]]:
    """Return the trials: learning rates evenly spaced on a log scale, and with each a value of every other tunable option.

    The others are spaced in the same way and then shuffled, each in a fixed order of its own: a Latin hypercube, so that N
    trials try N values of everything.
    """
    trials: list[dict[str, Any]] = [{"lr": rate, "options": {}} for rate in _spaced(plan.rates, plan.trials)]
    _vary(trials, "options", cell.asked["architecture"], cell.architecture, architectures)
    if plan.by == "final":  # by what was just learned, a strategy against forgetting could only lose
        _vary(trials, "strategy", cell.asked["strategy"], cell.strategy, registry_of(cell.runner))
    return trials


def _vary(trials: list[dict[str, Any]], part: str, asked: str, spec: Spec, registry: Registry) -> None:
    """Give every trial a value of every tunable option of a builder that was not said."""
    said, known = parse_spec(asked).options, spec.options
    for option, values in tunables_of(registry.get(spec.name)).items():
        if option in said:
            continue
        if option not in known:
            raise InputError(f"{spec.name} names {option!r} as tunable and has no such option")
        whole = isinstance(known[option], int) and not isinstance(known[option], bool)
        order = torch.randperm(len(trials), generator=generator(0, "tune", option)).tolist()
        for trial, value in zip(trials, [_spaced(values, len(trials))[k] for k in order], strict=True):
            trial.setdefault(part, {})[option] = round(value) if whole and isinstance(values, tuple) else value


def _spaced(values: Range, count: int) -> list[Any]:
    if isinstance(values, list):
        return [values[k * len(values) // count] for k in range(count)]
    low, high = values
    points = np.geomspace(low, high, count) if count > 1 else [np.sqrt(low * high)]
    return [float(f"{point:.3g}") for point in points]  # short, so that labels can show them


def with_trial(cell: Cell, trial: dict[str, Any]) -> Cell:
    """Return a cell with the values of a trial."""
    architecture = _with_options(cell.architecture, trial["options"], architectures, ("problem",))
    strategy = _with_options(cell.strategy, trial.get("strategy", {}), registry_of(cell.runner))
    asked = {
        **cell.asked,
        "architecture": _said_with(cell.asked["architecture"], trial["options"]),
        "strategy": _said_with(cell.asked["strategy"], trial.get("strategy", {})),
    }
    return replace(cell, policy=replace(cell.policy, lr=trial["lr"]), architecture=architecture, strategy=strategy, asked=asked)


def _with_options(spec: Spec, given: dict[str, Any], registry: Registry, reserved: tuple[str, ...] = ()) -> Spec:
    return options.complete(registry, Spec(spec.name, {**spec.options, **given}), reserved)


def _said_with(asked: str, given: dict[str, Any]) -> str:
    said = parse_spec(asked)
    return Spec(said.name, {**said.options, **given}).label


@dataclass(frozen=True)
class Tuned:
    """A tuned cell: as it will be run, and what its trials gave."""

    cell: Cell
    record: dict[str, Any]

    def __str__(self) -> str:
        best, asked = self.record["trials"][self.record["chosen"]], self.record["cell"]
        ends = {trial["lr"] for trial in (self.record["trials"][0], self.record["trials"][-1])}
        edge = "; at an end of the range: a wider --tune-range may hold better" if len(ends) > 1 and best["lr"] in ends else ""
        lost = sum(trial["score"] is None for trial in self.record["trials"])
        values = [f"lr={best['lr']:g}"]
        values += [f"{key}={value}" for key, value in (best["options"] | best.get("strategy", {})).items()]
        return (
            f"tuned {asked}: {' '.join(values)}, {self.record['metric']} {best['score']:.4g}, best within a standard error of "
            f"{len(self.record['trials'])} trials on seeds {', '.join(map(str, self.record['seeds']))}"
            + (f" ({lost} diverged or failed)" if lost else "")
            + edge
        )


def tune_cell(
    cell: Cell, plan: Plan, memory: Memory, listener: Listener, device: str = "cpu", stacks: Stacks | None = None
) -> Tuned:
    """Return the cell with the best of its trials; trials that are remembered are not run again.

    The best trial has the best mean over the plan's seeds of the main score, right after learning or at the end; a trial in
    which any seed diverged, or that failed, cannot win. Of the trials within one standard error of the best (of its mean over
    the seeds), the one with the smallest learning rate is taken: what a few seeds cannot tell apart should not decide between
    rates that forget to different degrees (the one-standard-error rule; Breiman et al. 1984, section 3.4.3).

    Raises:
        InputError: no trial ended with finite scores.
    """
    place = place_of_plan(cell, plan)
    memory.take_over(place_of_plan(replace(cell, content={}), plan), place)
    asked = " / ".join(cell.labels[part] for part in ("scenario", "architecture", "strategy"))
    stream = (Stacks() if stacks is None else stacks).of(replace(cell, seeds=plan.seeds))
    record: dict[str, Any] = {"cell": asked, "by": plan.by, "seeds": list(plan.seeds), "trials": [], "data": stream.digest}
    known_record = memory.get(place)
    if known_record and known_record.get("data", stream.digest) == stream.digest:  # else the trials' seeds have other data now
        record |= known_record
    wanted, stream = candidates(cell, plan), stream.to(device)
    for number, trial in enumerate(wanted[len(record["trials"]) :], len(record["trials"]) + 1):
        tried = replace(with_trial(cell, trial), seeds=plan.seeds, evaluations=EVALUATIONS)
        known = next((other for other in record["trials"] if trial.items() <= other.items()), None)
        if known is not None:  # where a rate is given and nothing else varies
            record = {**record, "trials": [*record["trials"], known]}
            continue
        listener.begin_cell(tried, number, plan.trials)
        outcome = _try(tried, plan.by, listener, stream)
        listener.end_cell(tried, outcome.pop("said"))
        record = {
            **record,
            "metric": outcome.pop("metric", record.get("metric")),
            "trials": [*record["trials"], trial | outcome],
        }
        memory.put(place, record)
        memory.save()
    chosen = _chosen(record["trials"])
    if chosen is None:
        raise InputError(
            f"--tune: none of the {plan.trials} trials of {asked} ended with finite scores (learning rates {plan.rates[0]:g} "
            f"to {plan.rates[1]:g}); choose another --tune-range. The trials stand in {memory.path}"
        )
    memory.put(place, record := {**record, "chosen": chosen})
    memory.save()
    return Tuned(with_trial(cell, wanted[chosen]), record)


def _try(cell: Cell, by: str, listener: Listener, stream: Stream) -> dict[str, Any]:
    try:
        result = run_cell(cell, stream, tell=listener.progress)
    except BaseException as error:  # of a plug-in, whatever it is
        if is_interrupt(error):
            raise
        message = told(error, cell)
        return {"score": None, "per_seed": None, "error": message, "said": message}
    metric, values = _scores(result, by)
    title = f"{METRICS[metric].title.format(score=result.score)}"
    lost = int((result.diverged_at >= 0).sum()) or int((~np.isfinite(values)).sum())
    per_seed = [float(value) if np.isfinite(value) else None for value in values]
    facts = {"metric": title, "per_seed": per_seed, "higher_is_better": result.higher_is_better[result.score]}
    if lost:
        return {**facts, "score": None, "said": f"{lost} of {len(values)} seeds diverged"}
    return {**facts, "score": float(values.mean()), "said": f"done, as a trial: {title} {values.mean():.4g}"}


def _scores(result: Result, by: str) -> tuple[str, np.ndarray]:
    """Return the metric and its values; where the strategy gives the one asked for no sense, the other one."""
    metric = BY[by] if BY[by] in result.metrics else next(m for m in BY.values() if m != BY[by])
    return metric, result.metric(metric)


def _chosen(trials: list[dict[str, Any]]) -> int | None:
    """Return the trial with the smallest rate among those within one standard error of the best mean; None if all failed."""
    scores = {k: t["score"] if t["higher_is_better"] else -t["score"] for k, t in enumerate(trials) if t["score"] is not None}
    if not scores:
        return None
    best = max(scores, key=lambda k: (scores[k], -k))
    values = np.array(trials[best]["per_seed"], dtype=float)
    margin = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    near = [k for k, score in scores.items() if score >= scores[best] - margin]
    return min(near, key=lambda k: (trials[k]["lr"], k))
