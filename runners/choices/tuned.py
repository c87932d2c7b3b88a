"""Tuned cells as they are read: which stored cells one tuning made, and what their choices have to tell.

Seeds whose choices fell on different trials stand in different cells. ``tuning.json`` says which belong together; they are
read as one, and each of its seeds knows the choice that it rests on.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.choices.file import Choices
from runners.choices.trials import trials_of
from runners.config.cell import Cell

TUNING = "tuning.json"
PARTS = ("scenario", "architecture", "strategy")


@dataclass(frozen=True)
class Tuning:
    """How the values of some cells were chosen.

    Args:
        choice: for each reported seed the number of its choice; seeds with one number were given one choice. Choices made on
            the same seeds have one number in every tuning of an experiment.
        values: for each reported seed what was chosen for it, in words.
        said: how many seeds were given which values, in words.
        notes: what a reader of a verdict has to know: choices at an end of the range, and a plateau that retains unequally.
        once: the number and the values of the one choice for all seeds that older versions made; None otherwise.
    """

    choice: Mapping[int, int]
    values: Mapping[int, str]
    said: str
    notes: tuple[str, ...]
    once: tuple[int, str] | None = None

    def choice_of(self, seed: int) -> int:
        """Return the number of a seed's choice."""
        return self.choice[seed] if self.once is None else self.once[0]

    def values_of(self, seed: int) -> str:
        """Return what was chosen for a seed, in words."""
        return self.values[seed] if self.once is None else self.once[1]


def likeness(cell: Cell) -> dict[str, Any]:
    """Return what the cells of one tuning have in common beside what was asked for; plain values, as JSON gives them back."""
    policy = {key: value for key, value in asdict(cell.policy).items() if key != "lr"}
    like = {"policy": policy, "dtype": cell.dtype, "locality": cell.locality, "runner": cell.runner}
    plain: dict[str, Any] = json.loads(json.dumps(like))
    return plain


def said_choices(record: Mapping[str, Any]) -> str:
    """Return which values were chosen, and for how many seeds where they differ."""
    chosen = Counter[int]()
    for choice in record["choices"]:
        chosen[choice["trial"]] += len(choice["reported"])
    words = {trial: _words(record["trials"][trial]) for trial in chosen}
    if len(chosen) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{words[trial]} for {count} seed{'' if count == 1 else 's'}" for trial, count in chosen.most_common())


def notes_on(record: Mapping[str, Any]) -> list[str]:
    """Return what has to be told beside numbers that rest on these choices."""
    notes, rates = [], [trial["lr"] for trial in record["trials"]]
    at_end = Counter(rates[choice["trial"]] for choice in record["choices"])
    for end in dict.fromkeys((min(rates), max(rates))):
        if at_end[end] and min(rates) < max(rates):
            count = f"{at_end[end]} of {len(record['choices'])} choices" if len(record["choices"]) > 1 else "the choice"
            notes.append(f"{count} at an end of the range, lr={end:g}: a wider --tune-range may hold better")
    if plateau := trials_of(record).plateau():
        notes.append(plateau)
    return notes


def _words(trial: Mapping[str, Any]) -> str:
    others = {**trial.get("options", {}), **trial.get("strategy", {})}
    return " ".join([f"lr={trial['lr']:g}", *(f"{key}={value}" for key, value in others.items())])


def tunings_of(folder: Path, cells: Sequence[Cell]) -> list[tuple[Tuning | None, list[int]]]:
    """Return which cells are read as one: the places of each group in the order of its first, with its tuning if it has one.

    Raises:
        InputError: ``tuning.json`` is there and cannot be read. Without it numbers that were tuned would pass for others.
    """
    kept, reason = Choices(folder / TUNING), "damaged"
    try:
        records = [_upright(record) for record in kept.entries.values()]
        latest = list(enumerate(records))[::-1]  # of data that changed since, the record of now
        found = [next((k for k, record in latest if _holds(record, cell)), None) for cell in cells]
        made = _made_together(records, [k for k in found if k is not None])
        tunings = {k: tuning_of(_as_one([records[other] for other in same])) for k, same in made.items()}
    except (ValueError, TypeError, KeyError, LookupError, AttributeError) as error:
        kept.lost, reason = True, f"{type(error).__name__}: {error}"
    if kept.lost:
        raise InputError(
            f"{kept.path} does not hold what kancl run --tune writes ({reason}), so it is not known how the results were "
            "tuned; repeat the kancl run, which chooses again, or restore the file"
        )
    groups: dict[object, tuple[Tuning | None, list[int]]] = {}
    for place, k in enumerate(found):
        own = None if k is None else tunings[k]
        together = () if k is None else made[k]
        groups.setdefault(("cell", place) if own is None else ("tuning", together), (own, []))[1].append(place)
    return list(groups.values())


def _made_together(records: Sequence[Mapping[str, Any]], used: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return, for each record that is used, those of the same question: more seeds were tuned for later."""
    made: dict[int, tuple[int, ...]] = {}
    for k in dict.fromkeys(used):
        question = records[k].get("question")
        same = sorted({other for other in used if other == k or (question and records[other].get("question") == question)})
        seeds = [seed for other in same for choice in records[other]["choices"] for seed in choice["reported"]]
        made[k] = tuple(same) if len(set(seeds)) == len(seeds) else (k,)
    return made


def _as_one(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the record that records of one question would be if all seeds had been tuned for at once."""
    if len(records) == 1:
        return records[0]
    choices = [choice for record in records for choice in record["choices"]]
    tried = zip(*(record["trials"] for record in records), strict=True)
    trials = [{**same[0], **{name: _chained(same, name) for name in ("per_seed", "retained")}} for same in tried]
    return {**records[0], "choices": choices, "trials": trials, "seeds": [s for record in records for s in record["seeds"]]}


def _chained(trials: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [value for trial in trials for value in trial.get(name, ())]


def labels_of_all(labels: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the labels of cells that one tuning made, with all values where they differ.

    >>> labels_of_all([{"policy": "adam lr=0.01 steps=5"}, {"policy": "adam lr=0.003 steps=5"}])
    {'policy': 'adam lr=tuned(0.003, 0.01) steps=5'}
    """
    return {part: _joined([label[part] for label in labels]) for part in labels[0]}


def _joined(texts: Sequence[str]) -> str:
    """Return texts as one: where a value after an equals sign differs, all of them."""
    split = [re.split(r"(?<==)([^\s,=]+)", text) for text in texts]
    if len({len(pieces) for pieces in split}) > 1:
        return " or ".join(dict.fromkeys(texts))
    whole = []
    for pieces in zip(*split, strict=True):
        found = sorted(dict.fromkeys(pieces), key=_size)
        whole.append(found[0] if len(found) == 1 else f"tuned({', '.join(found)})")
    return "".join(whole)


def _size(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def _upright(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it is written today; before, one choice was made for all seeds."""
    if "choices" in record or "chosen" not in record:
        return dict(record)
    return {**record, "choices": [{"trial": record["chosen"], "reported": [], "seeds": record["seeds"]}]}


def _holds(record: Mapping[str, Any], cell: Cell) -> bool:
    """Tell whether a cell was made by a tuning: it was asked for in the same way, and has what was chosen for its seeds."""
    like = likeness(cell)
    if any(like.get(key) != value for key, value in record.get("like", {}).items() if key != "policy"):
        return False
    policy = record.get("like", {}).get("policy", {})
    if any(like["policy"].get(key, value) != value for key, value in policy.items()):
        return False
    for trial in {choice["trial"]: None for choice in record.get("choices", ())}:
        values = record["trials"][trial] if record["trials"] else {}
        if values.get("lr") != cell.policy.lr:
            continue
        if "labels" not in record:
            return _asked_then(record, values) == [_normal(cell.labels[part]) for part in PARTS]
        reported = [seed for choice in record["choices"] if choice["trial"] == trial for seed in choice["reported"]]
        labels = {part: _today(label) for part, label in record["labels"][str(trial)].items()}
        if labels == dict(cell.labels) and set(cell.seeds) == set(reported):
            return True
    return False


def _asked_then(record: Mapping[str, Any], trial: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what older records, which did not keep it, must have called the cell that they chose."""
    said = [_normal(_today(label)) for label in record["cell"].split(" / ")]
    for place, part in ((1, "options"), (2, "strategy")):
        name, known = said[place]
        said[place] = (name, {**known, **trial.get(part, {})})
    return said


def _today(label: str) -> str:
    """Return a label as it is written today; before, what is now a remark on the result was part of it."""
    return label.removesuffix(" (corrected)")


def _normal(label: str) -> tuple[str, dict[str, Any]]:
    try:
        spec = parse_spec(label)
    except InputError:
        return label, {}
    return spec.name, dict(spec.options)


def tuning_of(record: Mapping[str, Any]) -> Tuning | None:
    """Return the tuning of a record; None if there was nothing to choose, all trials being the same."""
    varied = {_words(trial) for trial in record["trials"]}
    if len(varied) < 2:
        return None
    choice: dict[int, int] = {}
    values: dict[int, str] = {}
    once = None
    for own in record["choices"]:
        if not own["reported"]:
            once = (min(own["seeds"]), _words(record["trials"][own["trial"]]))
        choice |= dict.fromkeys(own["reported"], min(own["seeds"]))
        values |= dict.fromkeys(own["reported"], _words(record["trials"][own["trial"]]))
    return Tuning(choice, values, said_choices(record), tuple(notes_on(record)), once)
