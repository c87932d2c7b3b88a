"""Guards that expanding requests tries every network once, and everything that depends on the policy each time."""

from collections.abc import Callable, Iterator

import pytest
import torch

from kancl.errors import InputError
from kancl.models import architectures
from kancl.models.architecture import Network, Problem
from kancl.models.mlp import mlp
from runners.config.request import Request
from runners.experiment.expand import expand

REQUEST = Request(("gaussian-peaks",), ("counted",), optimizer="adam", steps=2, seeds=2)


def test_a_network_is_tried_once_whatever_its_policies(enrol: Callable[..., None]) -> None:
    built = []

    def counted(problem: Problem, width: int = 3) -> Network:
        built.append(width)
        return mlp(problem, hidden=(width,))

    enrol(architectures, "counted", counted)
    expand([REQUEST])
    once = len(built)
    built.clear()
    policies = [REQUEST, *(Request(lr=lr).over(REQUEST) for lr in (0.1, 0.2, 0.3))]
    assert len(expand(policies)) == 4
    assert len(built) == once + 3, "one more stack for each policy, on which policies and strategies are checked"
    built.clear()
    others = [Request(architectures=("counted:width=4",)), Request(seeds=3), Request(dtype="float64")]
    expand([REQUEST, *(other.over(REQUEST) for other in others), Request(("gaussian-peaks:tasks=2",)).over(REQUEST)])
    assert len(built) >= 5 * once, "another network, other seeds, another format or other data are another matter"


def test_what_depends_on_the_policy_is_seen_each_time(enrol: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(architectures, "counted", lambda problem: mlp(problem, hidden=(3,)))
    with pytest.raises(InputError, match="would touch nothing"):
        expand([REQUEST, Request(weight_decay=0.1, decay_on=("coefficients",)).over(REQUEST)])

    def same(seeds: tuple[int, ...], count: int, phase: int) -> Iterator[torch.Tensor]:
        return iter([torch.arange(count).expand(len(seeds), -1)] * 99)

    monkeypatch.setattr("runners.training.checks.epoch_orders", same)
    with pytest.raises(InputError, match="in the same order"):
        expand([REQUEST, Request(batch_size=5).over(REQUEST)])


def test_what_breaks_breaks_under_every_policy(enrol: Callable[..., None]) -> None:
    def broken(problem: Problem) -> Network:
        raise RuntimeError("no network today")

    enrol(architectures, "broken", broken)
    both = Request(architectures=("broken", "mlp")).over(REQUEST)
    cells = expand([both, Request(lr=0.1).over(both)])
    assert [cell.asked["architecture"] for cell in cells] == ["broken", "mlp"] * 2
    with pytest.raises(InputError, match="no network today"):
        expand([Request(lr=lr, architectures=("broken",)).over(both) for lr in (0.1, 0.2)])
