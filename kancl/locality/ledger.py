"""The ledger of damage: what the change of an old task's loss came from, by undoing one cause at a time.

Write the loss as L(w, X): w are the parameters and buffers, X what each layer is given. Since the end of the old task both have
changed, from w0 to w1 and from X0 to X1. A part is what undoing one cause alone would undo of the loss:

    part(g) = L(w1, X1) - L(w1 with group g as it would be without its changes, X1),    part(drift) = L(w1, X1) - L(w1, X0).

So the part of a group is what it does directly, at the hidden inputs of today; what a hidden layer does by handing other
numbers to the next one is in the drift. For a network of one layer the parts are plain reversions. Parts plus interaction
are the whole damage L(w1, X1) - L(w0, X0): causes that need each other, or undo each other, show up in the interaction.

What moved the hidden inputs is asked in the same way: drift(g) = L(w1, X1) - L(w1, X as it would be without the changes of g).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from torch import Tensor

from kancl.locality.history import Phase, Segment, same, segments
from kancl.locality.probe import Probe, State, coefficients_of, key_of

GROUPS = {
    "overlap": "overlapping coefficients",
    "idle": "idle coefficients",
    "grid": "moves of the grid",
    "base": "the base branch",
    "scale": "the scales",
    "weight": "the weights",
    "bias": "the biases",
    "drift": "drift of the hidden inputs",
}
"""Causes in words. ``overlap`` and ``idle`` are coefficients that samples of the tasks learned since did and did not touch;
``weight``, ``bias`` and any other name are parameters (or buffers, of layers without a grid) of that name."""

SHOWN = 0.05
"""Share of the damage from which a cause is worth a word."""


@dataclass(frozen=True)
class Ledger:
    """The damage to one old task, per seed.

    Args:
        before, after: the old task's loss at its end, and now.
        parts: the share of each cause in the change, in units of the loss; positive is damage. Causes that the architecture
            does not have are absent.
        drift_parts: what each of the other causes added by moving the hidden inputs; no part of the sum, and empty for
            networks of one layer.
    """

    before: Float[Tensor, "S"]
    after: Float[Tensor, "S"]
    parts: dict[str, Float[Tensor, "S"]]
    drift_parts: dict[str, Float[Tensor, "S"]]

    @property
    def damage(self) -> Float[Tensor, "S"]:
        """The change of the loss: after - before."""
        return self.after - self.before

    @property
    def interaction(self) -> Float[Tensor, "S"]:
        """What no cause alone accounts for: damage minus the sum of the parts."""
        return self.damage - sum(self.parts.values())


@dataclass
class _Reversion:
    """How to undo the changes of one group: other tensors, and splines to add to the outputs of layers."""

    state: State = field(default_factory=dict)
    terms: dict[str, list[tuple[State, State]]] = field(default_factory=dict)


def ledger(
    probe: Probe, phases: Sequence[Phase], x: Float[Tensor, "S N I"], loss: Callable[[Tensor], Float[Tensor, "S"]]
) -> Ledger:
    """Attribute the change of an old task's loss since its end.

    Args:
        probe: the networks as they are now.
        phases: of the old task, and of every task that was learned since.
        x: samples of the old task.
        loss: of outputs (S, N, O) on these samples, per seed.
    """
    then, now = probe.run(x, phases[0].end), probe.run(x)
    before, after = loss(then.outputs), loss(now.outputs)
    unchanged = after - after  # not zeros: a network that diverged has no parts
    pairs = [pair for name in now.inputs for pair in zip(then.inputs[name], now.inputs[name], strict=True)]
    moved, deep = any(not same(*pair) for pair in pairs), len(now.inputs) > 1
    parts, drift_parts = {}, {}
    for group, undo in _reversions(probe, phases).items():
        changes = bool(undo.state or undo.terms)
        undone = loss(probe.run(x, undo.state, now.inputs, undo.terms).outputs) if changes else after
        parts[group] = after - undone if changes else unchanged
        if deep:
            inputs = probe.run(x, undo.state, None, undo.terms).inputs if changes and moved else now.inputs
            drift_parts[group] = after - loss(probe.run(x, None, inputs).outputs) if inputs is not now.inputs else unchanged
    if deep:
        parts["drift"] = after - loss(probe.run(x, None, then.inputs).outputs) if moved else unchanged
    return Ledger(before, after, parts, drift_parts)


def _reversions(probe: Probe, phases: Sequence[Phase]) -> dict[str, _Reversion]:
    """Return how to undo every group that the networks have; nothing to do where nothing changed."""
    found: dict[str, _Reversion] = {}
    old, now = phases[0].end, probe.state()
    taken: set[str] = set()
    for name, layer in probe.layers.items():
        coef = coefficients_of(layer)
        if coef is not None:
            buffers = [key for key, _ in layer.named_buffers() if key_of(name, key) in now]
            taken |= {key_of(name, key) for key in (coef, *buffers)}
            _undo_coefficients(found, name, segments(phases, name, coef, buffers))
    learned = {key for key, parameter in probe.network.named_parameters() if parameter.requires_grad}
    fixed = {key for key, _ in probe.network.named_parameters()} - learned
    for key in now:
        if key not in taken and key not in fixed and now[key].is_floating_point():  # counters are no cause
            group = found.setdefault(key.rpartition(".")[2], _Reversion())
            if not same(old[key], now[key]):
                group.state[key] = old[key]
    return found


def _undo_coefficients(found: dict[str, _Reversion], layer: str, trained: Sequence[Segment]) -> None:
    """Add how to undo the changes of one layer's coefficients and grid.

    Coefficients on the grid of today are replaced. Those on an earlier grid are gone, but a layer is linear in them: what
    their change did to the splines is subtracted from what the layer gives.
    """
    *earlier, last = trained
    for group, coef in (("overlap", last.without_overlap), ("idle", last.without_idle)):
        undo = found.setdefault(group, _Reversion())
        if not same(coef, last.end):
            undo.state[key_of(layer, last.name)] = coef
    for part in earlier:
        now = part.with_coef(part.end)
        for group, coef in (("overlap", part.without_overlap), ("idle", part.without_idle)):
            if not same(coef, part.end):
                found[group].terms.setdefault(layer, []).append((part.with_coef(coef), now))
    if last.grid:
        undo = found.setdefault("grid", _Reversion())
        for one, next_one in pairwise(trained):
            pair = (one.with_coef(one.end), next_one.with_coef(next_one.start))
            undo.terms.setdefault(layer, []).append(pair)


def explain_damage(
    parts: Mapping[str, Float[np.ndarray, "S"]],
    damage: Float[np.ndarray, "S"],
    names: Mapping[str, str] = GROUPS,
    drift_parts: Mapping[str, Float[np.ndarray, "S"]] | None = None,
) -> str:
    """Say in one sentence where the damage came from.

    The shares are part / damage, seed by seed, and of these the median over the seeds that were damaged: the loss of one seed
    that forgot a thousand times more than the others would drown a mean. Where the interaction exceeds the damage, as in
    networks whose layers have all moved far, no share is told: undoing one group alone then gives a network that never was.

    Args:
        parts: by cause, what it added to the loss of the old tasks, per seed; NaN for seeds without a value.
        damage: the whole change per seed.
        names: of the causes, in words.
        drift_parts: what each cause did by moving hidden inputs; the largest ones are told beside the drift.

    >>> explain_damage({"overlap": np.array([0.9, 1.8]), "base": np.array([0.1, 0.2])}, np.array([1.0, 2.0]))
    '90 % of the damage came from overlapping coefficients, 10 % from the base branch'
    """
    known = np.isfinite(damage)
    damaged = known & (damage > 0)
    if not known.any():
        return "nothing is known of damage to old tasks"
    if 2 * damaged.sum() <= known.sum():
        return f"no damage: the loss on old tasks rose in {damaged.sum()} of {known.sum()} seeds"
    shares = {name: float(np.median(values[damaged] / damage[damaged])) for name, values in parts.items()}
    rest = float(np.median(1 - sum(values[damaged] for values in parts.values()) / damage[damaged])) if parts else 1.0
    if abs(rest) > 1:
        why = f"undoing one alone does not bring the loss back ({100 * rest:+.0f} % is interaction)"
        return f"its causes cannot be told apart: {why}"
    told = [(share, names.get(name, name)) for name, share in shares.items() if abs(share) >= SHOWN]
    if not told:
        return "no cause alone accounts for the damage: it is their interaction"
    clauses: list[str] = []
    for share, word in sorted(told, reverse=True):
        whole = "" if clauses else " of the damage"
        moved = _movers(drift_parts or {}, damage, damaged, names) if word == names.get("drift") else ""
        came = f"{100 * share:.0f} %{whole and whole + ' came'} from {word}{moved}"
        clauses.append(came if share > 0 else f"{word} undid {-100 * share:.0f} %{whole}")
    if abs(rest) >= SHOWN:
        clauses.append(f"{100 * rest:+.0f} % is interaction")
    return ", ".join(clauses)


def _movers(
    drift_parts: Mapping[str, Float[np.ndarray, "S"]],
    damage: Float[np.ndarray, "S"],
    damaged: np.ndarray,
    names: Mapping[str, str],
) -> str:
    """Say which causes moved the hidden inputs, those of a fifth of the damage and more."""
    shares = {name: float(np.median(values[damaged] / damage[damaged])) for name, values in drift_parts.items()}
    largest = sorted(shares, key=lambda name: -shares[name])
    told = [f"{100 * shares[name]:.0f} % by {names.get(name, name)}" for name in largest if shares[name] >= 0.2]
    return f" (moved {', '.join(told)} of earlier layers)" if told else ""
