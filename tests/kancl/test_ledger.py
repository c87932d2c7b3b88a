"""Guards the ledger of damage: it adds up, it agrees with reversion by hand, and it blames the one cause that there is."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.locality import Ledger, Phase, Probe, coefficients_of, explain_damage, ledger, same, touched
from kancl.models import Network, Problem, architectures

SEEDS = (0, 1)


def build(name: str, inputs: int = 1, **options: Any) -> Network:
    ends = (torch.full((len(SEEDS), inputs), end, dtype=torch.float64) for end in (-1.0, 1.0))
    return architectures.get(name)(Problem(inputs, 1, SEEDS, *ends, dtype=torch.float64), **options)


def points(low: float, high: float, count: int = 30) -> Tensor:
    return torch.linspace(low, high, count, dtype=torch.float64).view(1, -1, 1).expand(len(SEEDS), -1, -1).contiguous()


LEFT, RIGHT = points(-1.0, -0.2), points(0.2, 1.0)


def target(x: Tensor) -> Tensor:
    return torch.sin(3 * x) + 0.5


def squared_error(x: Tensor, wanted: Callable[[Tensor], Tensor] = target) -> Callable[[Tensor], Tensor]:
    return lambda outputs: (outputs - wanted(x)).square().mean((1, 2))


class Life:
    """A network and what it has been through."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.phases: list[Phase] = []

    def task(self, x: Tensor, change: Callable[[Network], None], begin: bool = False) -> "Life":
        """Live through one task: the network is told of it if ``begin``, then changed."""
        before = self.phases[-1].end if self.phases else {}
        if begin:
            self.network.begin_task(x)
        probe = Probe(self.network)
        moved = {name: tensor for name, tensor in probe.state().items() if before and not same(tensor, before[name])}
        reached = self.reached(probe, x)
        change(self.network)
        after = Probe(self.network)
        reached = {name: mask | reached[name] for name, mask in self.reached(after, x).items()}
        self.phases.append(Phase(after.state(), moved, reached))
        return self

    @staticmethod
    def reached(probe: Probe, x: Tensor) -> dict[str, Tensor]:
        seen = probe.run(x).inputs
        return {name: touched(probe.layers[name], calls) for name, calls in seen.items() if coefficients_of(probe.layers[name])}

    def ledger(self, x: Tensor = LEFT, **more: Any) -> Ledger:
        """The damage to the first task."""
        return ledger(Probe(self.network), self.phases, x, more.get("loss") or squared_error(x))


def training(
    x: Tensor, optimizer: Callable[[Any], torch.optim.Optimizer] | None = None, wanted: Callable[[Tensor], Tensor] = target,
    steps: int = 60, only: str = "",
) -> Callable[[Network], None]:  # fmt: skip
    def train(network: Network) -> None:
        chosen = [p for name, p in network.named_parameters() if name.startswith(only)]
        steps_with = optimizer(chosen) if optimizer else torch.optim.Adam(chosen, lr=0.02)
        for _ in range(steps):
            network.zero_grad()
            squared_error(x, wanted)(network(x)).sum().backward()
            steps_with.step()

    return train


def nothing(network: Network) -> None:
    """Do not change."""


def setting(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Network], None]:
    def act(network: Network) -> None:
        with torch.no_grad():
            tensor = dict([*network.named_parameters(), *network.named_buffers()])[name]
            tensor.copy_(change(tensor))

    return act


def minus(x: Tensor) -> Tensor:
    return -target(x)


def assert_only_cause(book: Ledger, cause: str, groups: set[str]) -> None:
    """All of the damage is this cause's; the others had no part, exactly, and interaction is rounding."""
    assert set(book.parts) == groups
    assert (book.damage > 1e-3).all()
    torch.testing.assert_close(book.parts[cause], book.damage, rtol=1e-9, atol=1e-12)
    assert all((part == 0).all() for name, part in book.parts.items() if name != cause)
    assert (book.interaction.abs() < 1e-9).all()


SPLINES = {"overlap", "idle", "grid"}


def test_decay_alone_is_blamed_on_idle_coefficients() -> None:
    life = Life(build("kan", hidden=(), base="none", intervals=20)).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.5)))
    assert_only_cause(life.ledger(), "idle", SPLINES)


def test_sharing_alone_is_blamed_on_overlapping_coefficients() -> None:
    life = Life(build("kan", hidden=(), base="none", intervals=20)).task(LEFT, training(LEFT))
    life.task(LEFT, training(LEFT, wanted=minus))
    assert_only_cause(life.ledger(), "overlap", SPLINES)


def test_the_base_branch_alone_is_blamed() -> None:
    life = Life(build("kan", hidden=(), base="silu", intervals=20)).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, wanted=minus, only="layers.0.base"))
    assert_only_cause(life.ledger(), "base", SPLINES | {"base"})


@pytest.mark.parametrize("name", ["scale", "bias"])
def test_scales_and_bias_alone_are_blamed(name: str) -> None:
    life = Life(build("kan", hidden=(), base="none", scales="trainable", bias=True)).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, wanted=minus, only=f"layers.0.{name}"))
    assert_only_cause(life.ledger(), name, SPLINES | {"scale", "bias"})


def test_a_refitted_grid_alone_is_blamed() -> None:
    """The coefficients change too, but as a part of the move."""
    life = Life(build("kan", hidden=(), base="none", grid="each-task")).task(LEFT, training(LEFT), begin=True)
    life.task(RIGHT, nothing, begin=True)
    assert_only_cause(life.ledger(), "grid", SPLINES)


def test_a_grid_whose_buffers_change_alone_is_blamed() -> None:
    life = Life(build("kan", hidden=(), base="none")).task(LEFT, training(LEFT))
    life.task(RIGHT, setting("layers.0.low", lambda low: low - 0.3))
    assert_only_cause(life.ledger(), "grid", SPLINES)


@pytest.mark.parametrize("name", ["kan", "mlp"])
def test_a_first_layer_that_alone_moves_is_blamed_on_drift(name: str) -> None:
    life = Life(build(name, hidden=(4,))).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, wanted=minus, only="layers.0."))
    own = {"weight", "bias"} if name == "mlp" else SPLINES | {"base"}
    book = life.ledger()
    assert_only_cause(book, "drift", own | {"drift"})
    assert set(book.drift_parts) == own


def test_what_moved_the_hidden_inputs_is_told() -> None:
    life = Life(build("kan", hidden=(4,))).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, wanted=minus, only="layers.0.base"))
    book = life.ledger()
    torch.testing.assert_close(book.drift_parts["base"], book.damage, rtol=1e-9, atol=1e-12)
    assert all((part == 0).all() for name, part in book.drift_parts.items() if name != "base")


def test_a_last_layer_that_alone_moves_causes_no_drift() -> None:
    life = Life(build("mlp", hidden=(4,))).task(LEFT, training(LEFT))
    life.task(RIGHT, training(RIGHT, wanted=minus, only="layers.1.bias"))
    assert_only_cause(life.ledger(), "bias", {"weight", "bias", "drift"})


def without(network: Network, changes: dict[str, Tensor]) -> Tensor:
    """The loss on the left of a copy with some tensors replaced."""
    other = copy.deepcopy(network)
    other.load_state_dict({**network.state_dict(), **changes})
    with torch.no_grad():
        return squared_error(LEFT)(other(LEFT))


def test_the_parts_are_those_of_reversion_by_hand() -> None:
    options: dict[str, Any] = {"hidden": (), "base": "silu", "scales": "trainable", "bias": True, "intervals": 12}
    life = Life(build("kan", **options)).task(LEFT, training(LEFT))
    middle = points(-0.5, 0.6)
    decaying = training(middle, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3), wanted=minus)
    life.task(middle, decaying).task(RIGHT, training(RIGHT, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3)))
    book, state = life.ledger(), life.network.state_dict()
    ends = [phase.end for phase in life.phases]
    coef = [end["layers.0.coef"] for end in ends]
    # Coefficient by coefficient: a change belongs to overlap if some sample lies strictly within the function's support.
    knots = -1 + (np.arange(12 + 7) - 3) * 2 / 12
    shared = torch.zeros_like(coef[0])
    for x, before, after in ((middle, coef[0], coef[1]), (RIGHT, coef[1], coef[2])):
        for c in range(15):
            if ((x[0] > knots[c]) & (x[0] < knots[c + 4])).any():
                shared[:, :, c] += after[:, :, c] - before[:, :, c]
    now = without(life.network, {})
    expected = {
        "overlap": {"layers.0.coef": coef[2] - shared},
        "idle": {"layers.0.coef": coef[0] + shared},
        **{name: {f"layers.0.{name}": ends[0][f"layers.0.{name}"]} for name in ("base", "scale", "bias")},
        "grid": {},
    }
    assert book.parts.keys() == expected.keys()
    for group, changes in expected.items():
        torch.testing.assert_close(book.parts[group], now - without(life.network, changes), rtol=1e-9, atol=1e-12)
        assert group == "grid" or (book.parts[group] != 0).all(), group
    torch.testing.assert_close(book.damage, now - without(life.network, ends[0]))
    assert all(torch.equal(state[name], tensor) for name, tensor in life.network.state_dict().items())


@pytest.mark.parametrize("begin", [True, False])
@pytest.mark.parametrize("hidden", [(), (3,)])
def test_parts_and_interaction_are_the_damage(begin: bool, hidden: tuple[int, ...]) -> None:
    """Grids that move at every task, coefficients that are touched and that decay, and every other kind of parameter."""
    options: dict[str, Any] = {"base": "silu", "scales": "trainable", "bias": True, "grid": "each-task"}
    life = Life(build("kan", hidden=hidden, **options)).task(LEFT, training(LEFT), begin=True)
    for x in (points(-0.5, 0.6), RIGHT):
        life.task(x, training(x, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3), wanted=minus), begin=begin)
    book = life.ledger()
    torch.testing.assert_close(sum(book.parts.values()) + book.interaction, book.damage)
    with torch.no_grad():
        torch.testing.assert_close(book.after, squared_error(LEFT)(life.network(LEFT)))
    torch.testing.assert_close(book.before, without(life.network, life.phases[0].end))
    assert (book.parts["grid"] != 0).all() == begin


def test_causes_that_only_add_up_do_not_interact() -> None:
    """Of a linear loss, what a layer without base or scales suffers is the sum of its causes, over any number of grids."""
    life = Life(build("kan", hidden=(), base="none", bias=True, grid="each-task")).task(LEFT, training(LEFT), begin=True)
    for x, begin in ((points(-0.5, 0.6), True), (points(0.1, 0.6), False), (RIGHT, True), (points(-0.9, 0.1), True)):
        life.task(x, training(x, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3), wanted=minus), begin=begin)
    book = life.ledger(loss=lambda outputs: outputs.mean((1, 2)))
    for name in ("overlap", "idle", "grid", "bias"):
        assert (book.parts[name].abs() > 1e-6).all(), name
    torch.testing.assert_close(book.interaction, torch.zeros_like(book.damage), rtol=0, atol=1e-9)


def test_intervals_that_are_halved_do_no_damage_but_what_is_learned_on_them_does() -> None:
    """Steps (degree 0) on halved intervals, every coefficient twice: the same function."""

    def halve(x: Tensor) -> None:
        layer = life.network.layers[0]
        layer.coef = torch.nn.Parameter(layer.coef.detach().repeat_interleave(2, dim=2))
        layer.intervals, layer._grid = 2 * layer.intervals, None

    life = Life(build("kan", hidden=(), base="none", degree=0, intervals=8)).task(LEFT, training(LEFT))
    life.network.begin_task = halve  # type: ignore[method-assign]
    life.task(points(-0.6, 0.3), training(points(-0.6, 0.3), wanted=minus), begin=True)
    del life.network.begin_task
    life.task(RIGHT, training(RIGHT, lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3)))
    assert life.network.layers[0].coef.shape[2] == 16
    book = life.ledger()
    torch.testing.assert_close(book.before, squared_error(LEFT)(Probe(life.network).run(LEFT, life.phases[0].end).outputs))
    assert (book.parts["grid"].abs() < 1e-12).all()
    assert (book.parts["overlap"] > 1e-3).all()
    assert (book.parts["idle"] != 0).all()


class Table(Network):
    """A lookup table over both inputs, as the network's own parameter."""

    used_parameter = "rows"

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(torch.zeros(len(SEEDS), 16, 1, dtype=torch.float64))

    def usage(self, x: Tensor) -> Tensor:
        cell = ((x + 1) * 2).long().clamp(0, 3)
        return torch.nn.functional.one_hot(4 * cell[..., 0] + cell[..., 1], 16).to(x.dtype)[:, :, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.usage(x)[:, :, 0] @ self.rows


@pytest.mark.parametrize(("decay", "cause"), [(0.0, "overlap"), (0.5, "idle")])
def test_a_table_shared_by_all_inputs_has_overlapping_and_idle_rows(decay: float, cause: str) -> None:
    place = torch.linspace(-1, 1, 40, dtype=torch.float64).expand(len(SEEDS), -1)
    diagonal = torch.stack([place, place], -1)
    elsewhere = diagonal if cause == "overlap" else torch.stack([place, -place], -1)

    def fit(x: Tensor, wanted: float, **more: Any) -> Callable[[Network], None]:
        return training(x, lambda p: torch.optim.AdamW(p, lr=0.05, **more), lambda x: torch.full_like(x[..., :1], wanted))

    life = Life(Table()).task(diagonal, fit(diagonal, 1.0, weight_decay=0.0))
    life.task(elsewhere, fit(elsewhere, -1.0, weight_decay=decay))
    book = ledger(Probe(life.network), life.phases, diagonal, squared_error(diagonal, lambda x: torch.ones_like(x[..., :1])))
    assert set(book.parts) == {"overlap", "idle"}
    assert_only_cause(book, cause, {"overlap", "idle"})


def test_a_seed_that_diverged_has_no_parts_and_spoils_no_other() -> None:
    life = Life(build("kan", hidden=(), base="silu")).task(LEFT, training(LEFT))
    sound = copy.deepcopy(life)
    change = training(RIGHT, wanted=minus)
    sound.task(RIGHT, change)

    def spoil(network: Network) -> None:
        change(network)
        with torch.no_grad():
            network.layers[0].coef[1] = torch.nan

    life.task(RIGHT, spoil)
    book, expected = life.ledger(), sound.ledger()
    for name, part in book.parts.items():
        assert part[1].isnan()
        torch.testing.assert_close(part[0], expected.parts[name][0])


def test_frozen_parameters_are_no_cause() -> None:
    network = build("mlp", hidden=(4,))
    for layer in network.layers:
        layer.bias.requires_grad_(False)
    assert set(Life(network).task(LEFT, nothing).task(RIGHT, nothing).ledger().parts) == {"weight", "drift"}


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers)


def test_the_ledger_says_what_moved_the_hidden_inputs() -> None:
    drift_parts = {"overlap": values(0.9, 0.8), "base": values(0.05, 0.1)}
    said = explain_damage({"drift": values(1.0, 1.0)}, values(1.0, 1.0), drift_parts=drift_parts)
    assert said == (
        "100 % of the damage came from drift of the hidden inputs (moved 85 % by overlapping coefficients of earlier layers)"
    )


@pytest.mark.parametrize(
    ("parts", "damage", "sentence"),
    [
        (
            {"overlap": values(0.91, 9.1), "base": values(0.07, 0.7), "idle": values(0.0, 0.0)}, values(1.0, 10.0),
            "91 % of the damage came from overlapping coefficients, 7 % from the base branch",
        ),
        (
            {"weight": values(0.4), "bias": values(0.0)}, values(1.0),
            "40 % of the damage came from the weights, +60 % is interaction",
        ),
        (
            {"drift": values(-0.52), "overlap": values(0.51)}, values(1.0),
            "its causes cannot be told apart: undoing one alone does not bring the loss back (+101 % is interaction)",
        ),
        (
            {"bias": values(-0.3), "weight": values(0.8)}, values(1.0),
            "80 % of the damage came from the weights, the biases undid 30 %, +50 % is interaction",
        ),
        ({"widths": values(1.0)}, values(1.0), "100 % of the damage came from widths"),
        ({"weight": values(0.01)}, values(1.0), "no cause alone accounts for the damage: it is their interaction"),
        ({"weight": values(-1.0, 0.0)}, values(-1.0, 0.0), "no damage: the loss on old tasks rose in 0 of 2 seeds"),
        ({"weight": values(np.nan)}, values(np.nan), "nothing is known of damage to old tasks"),
        # The seed that diverged and the one that gained are left out.
        (
            {"weight": values(np.nan, -5.0, 1.0, 2.0)}, values(np.nan, -1.0, 1.0, 2.0),
            "100 % of the damage came from the weights",
        ),
    ],
)  # fmt: skip
def test_the_ledger_in_words(parts: dict[str, np.ndarray], damage: np.ndarray, sentence: str) -> None:
    assert explain_damage(parts, damage) == sentence
