"""``--tune``: the same number of trials for every scenario, architecture and strategy, on seeds that are not reported."""

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from kancl import options
from kancl.errors import InputError
from kancl.models import architectures
from kancl.models.tunable import Range, tunables_of
from kancl.options import Spec, parse_spec
from kancl.registry import Registry
from kancl.seeding import generator
from runners.choices.file import Choices
from runners.choices.plans import Plan, place_of_plan
from runners.choices.trials import trials_of
from runners.choices.tuned import PARTS, likeness, notes_on, said_choices
from runners.config.cell import Cell
from runners.experiment.listener import Listener
from runners.experiment.trying import Bench, Try, run_trials
from runners.run import RUNNERS
from runners.store.contents import DATA
from runners.stream.cache import StreamCache


def candidates(cell: Cell, plan: Plan) -> list[dict[str, Any]]:
    """Return the trials: learning rates evenly spaced on a log scale, and with each a value of every other tunable option.

    The others are spaced in the same way and then shuffled, each in a fixed order of its own: a Latin hypercube, so that N
    trials try N values of everything.
    """
    trials: list[dict[str, Any]] = [{"lr": rate, "options": {}} for rate in _spaced(plan.rates, plan.trials)]
    _vary(trials, "options", cell.asked["architecture"], cell.architecture, architectures)
    if plan.by == "final":  # by what was just learned, a strategy against forgetting could only lose
        _vary(trials, "strategy", cell.asked["strategy"], cell.strategy, RUNNERS[cell.runner].strategies)
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
    strategy = _with_options(cell.strategy, trial.get("strategy", {}), RUNNERS[cell.runner].strategies)
    asked = {
        **cell.asked,
        "architecture": _said_with(cell.asked["architecture"], trial["options"]),
        "strategy": _said_with(cell.asked["strategy"], trial.get("strategy", {})),
    }
    policy = replace(cell.policy, lr=trial["lr"])
    return replace(cell, policy=policy, architecture=architecture, strategy=strategy, asked=asked, question="")


def _with_options(spec: Spec, given: dict[str, Any], registry: Registry, reserved: tuple[str, ...] = ()) -> Spec:
    return options.complete(registry, Spec(spec.name, {**spec.options, **given}), reserved)


def _said_with(asked: str, given: dict[str, Any]) -> str:
    said = parse_spec(asked)
    return Spec(said.name, {**said.options, **given}).label


@dataclass(frozen=True)
class Tuned:
    """A tuned cell: as it will be run, a cell for each trial that was chosen, and the record of its trials."""

    cells: tuple[Cell, ...]
    record: dict[str, Any]

    def __str__(self) -> str:
        if len(self.record["trials"]) == 0:
            return f"tuned {self.record['cell']}: nothing to choose, all trials would be the same"
        lost = sum(trial["score"] is None for trial in self.record["trials"])
        return "; ".join(
            [
                f"tuned {self.record['cell']}: {said_choices(self.record)}, of {len(self.record['trials'])} trials"
                + (f" ({lost} with diverged seeds or failed)" if lost else "")
                + f" the smallest rate whose {self.record['metric']} cannot be told from the best",
                *notes_on(self.record),
            ]
        )


def tune_cell(cell: Cell, plan: Plan, kept: Choices, listener: Listener, bench: Bench | None = None) -> Tuned:
    """Return the cell with the best of its trials, seed by seed; trials that are remembered are not run again.

    A choice takes the best mean over its seeds of the main score, right after learning or at the end; of the trials that its
    seeds cannot tell from the best it takes the one with the smallest learning rate
    (:meth:`runners.choices.trials.Trials.equal`). All choices share the trials: the seeds of all of them train side by side.

    Args:
        cell: as it would be without tuning.
        plan: which seeds are tried, for whom they choose, and how many trials there are.
        kept: the choices of this and of earlier commands.
        listener: hears of the trials.
        bench: where trials are run.

    Raises:
        InputError: no trial ended with finite scores for the seeds of a choice.
    """
    place, wanted = place_of_plan(cell, plan), candidates(cell, plan)
    kept.take_over(place_of_plan(replace(cell, content={}), plan), place)
    bench = Bench() if bench is None else bench
    streams = bench.streams
    asked = " / ".join(cell.labels[part] for part in PARTS)
    record: dict[str, Any] = {"cell": asked, "by": plan.by, "seeds": list(plan.seeds), "trials": [], "like": likeness(cell)}
    if cell.question:
        record["question"] = cell.question
    if all(trial == wanted[0] for trial in wanted):
        return _finished(cell, plan, wanted, record, [0] * len(plan.choices), place, kept, streams)
    record["data"] = " ".join(streams.of(replace(cell, seeds=seeds)).digest for seeds in streams.parts(cell, plan.seeds))
    before = kept.get(place)
    if before and not _can_be(before, plan, wanted):
        kept.distrust(place, f"trials of {asked} that are none")
        before = None
    if before and before.get("data", record["data"]) == record["data"]:  # else the trials' seeds have other data now
        record |= {key: value for key, value in before.items() if key not in ("like", "question")}
    begun = len(record["trials"])
    tried: list[Try] = []
    for number, trial in enumerate(wanted[begun:], begun + 1):
        if not any(trial.items() <= other.items() for other in (*record["trials"], *(one.trial for one in tried))):
            tried.append(Try(number, trial, with_trial(cell, trial)))
    with closing(run_trials(tried, plan, listener, bench)) as ended:
        for trial in wanted[begun:]:
            known = next((other for other in record["trials"] if trial.items() <= other.items()), None)
            if known is None:
                facts, known = next(ended)
                record = {**record, **facts}
            record = {**record, "trials": [*record["trials"], known]}
            kept.put(place, record)
            kept.save()
    return _finished(cell, plan, wanted, record, _chosen(record, plan, f"{asked} ended", kept), place, kept, streams)


def _can_be(record: dict[str, Any], plan: Plan, wanted: list[dict[str, Any]]) -> bool:
    """Tell whether remembered trials are those wanted, or the first of them: somebody may have written them by hand."""
    try:
        trials = record["trials"]
        found = [choice["trial"] for choice in record["choices"]] if "choices" in record else [record.get("chosen")]
        if "choices" in record or "chosen" in record:
            whole = len(trials) == len(wanted) and len(found) == (len(plan.choices) if "choices" in record else 1)
            if not whole or not all(type(k) is int and 0 <= k < len(wanted) for k in found):
                return False
        if record["seeds"] != list(plan.seeds) or len(trials) > len(wanted):
            return False
        trials_of(record)
        known = "metric" in record or all(trial["score"] is None for trial in trials)
        return known and all(ours.items() <= trial.items() for ours, trial in zip(wanted, trials, strict=False))
    except (ValueError, TypeError, LookupError, AttributeError):
        return False


def _chosen(record: dict[str, Any], plan: Plan, asked: str, kept: Choices) -> list[int]:
    """Return the trial of each choice: what was chosen before, by whatever rule, stays."""
    if "choices" in record:
        return [choice["trial"] for choice in record["choices"]]
    if "chosen" in record:  # by an older version, once for all
        return [record["chosen"]] * len(plan.choices)
    trials, columns = trials_of(record), {seed: column for column, seed in enumerate(record["seeds"])}
    chosen = []
    for choice in plan.choices:
        trial = trials.choose(np.array([columns[seed] for seed in choice.seeds]))
        if trial is None:
            raise InputError(
                f"--tune: none of the {plan.trials} trials of {asked} with finite scores on seeds "
                f"{', '.join(map(str, choice.seeds))} (learning rates {plan.rates[0]:g} to {plan.rates[1]:g}); choose another "
                f"--tune-range. The trials stand in {kept.path}"
            )
        chosen.append(trial)
    return chosen


def _finished(
    cell: Cell, plan: Plan, wanted: list[dict[str, Any]], record: dict[str, Any], chosen: list[int], place: str, kept: Choices,
    streams: StreamCache,
) -> Tuned:  # fmt: skip
    """Remember which trial was chosen for whom, and return a cell for each."""
    cells = []
    for trial in dict.fromkeys(chosen):
        reported = {seed for choice, k in zip(plan.choices, chosen, strict=True) if k == trial for seed in choice.reported}
        cells.append(of_seeds(with_trial(cell, wanted[trial]), tuple(s for s in cell.seeds if s in reported), streams))
    choices = [
        {"trial": trial, "reported": list(choice.reported), "seeds": list(choice.seeds)}
        for choice, trial in zip(plan.choices, chosen, strict=True)
    ]
    labels = {str(trial): with_trial(cell, wanted[trial]).labels for trial in dict.fromkeys(chosen)}
    whole = {**record, "choices": choices, "labels": labels}
    if kept.get(place) != whole:
        kept.put(place, whole)
        kept.save()
    return Tuned(tuple(cells), whole)


def of_seeds(cell: Cell, seeds: tuple[int, ...], streams: StreamCache) -> Cell:
    """Return a cell with some of its seeds, and the digest of their data.

    Args:
        cell: whose scenario these seeds have.
        seeds: in the order of the seed axis.
        streams: where their data are, or will be.
    """
    if seeds == cell.seeds:
        return cell
    some = replace(cell, seeds=seeds)
    return replace(some, content={**cell.content, DATA: streams.of(some).digest})
