"""Guards the check of shapes: it is at work in these tests, and what it lets through was checked before."""

import dataclasses
from importlib.util import find_spec

import jaxtyping
import pytest
import shapes  # conftest.py put it where it can be found
import torch
from jaxtyping import Float
from torch import Tensor

from kancl.models import Problem, architectures
from kancl.splines.dense import basis_matrix
from runners.stream.batches import Batch


def test_it_is_at_work() -> None:
    assert all(map(find_spec, shapes.PACKAGES))
    assert all(hasattr(what, "__wrapped__") for what in (basis_matrix, Batch.__init__, Problem.__init__))
    network = architectures.get("mlp")(Problem(3, 1, (0,), torch.zeros(1, 3), torch.ones(1, 3)), hidden=(4,))
    network(torch.zeros(1, 5, 3))
    with pytest.raises(jaxtyping.TypeCheckError):
        network(torch.zeros(5, 3))


def test_each_combination_is_checked_once() -> None:
    calls = []

    @shapes.checked
    def product(x: Float[Tensor, "B I"], y: Float[Tensor, "I O"], wrong: bool = False) -> Float[Tensor, "B O"]:
        calls.append(x.shape)
        return x if wrong else x @ y

    for _ in range(3):
        assert product(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
        assert product(torch.ones(2, 5), y=torch.ones(5, 4)).shape == (2, 4)
    assert len(calls) == 6
    for x in (torch.ones(2, 5), torch.ones(2, 3, dtype=torch.int64), torch.ones(3)):
        with pytest.raises(jaxtyping.TypeCheckError):
            product(x, torch.ones(3, 4))
    assert len(calls) == 6
    assert product(torch.ones(2, 3), torch.ones(3, 4), False).shape == (2, 4)
    for _ in range(2):  # arguments that are known, a value that is not
        with pytest.raises(jaxtyping.TypeCheckError):
            product(torch.ones(2, 3), torch.ones(3, 4), True)
    assert product(torch.ones(2, 3), torch.ones(3, 4), False).shape == (2, 4)


def test_what_holds_tensors_is_always_checked() -> None:
    @shapes.checked
    def first(many: list[Float[Tensor, "B"]]) -> Float[Tensor, "B"]:
        return many[0]

    first([torch.ones(2)])
    with pytest.raises(jaxtyping.TypeCheckError):
        first([torch.ones(2, 2)])


def test_dataclasses_are_checked_and_what_promises_no_shape_is_left_alone() -> None:
    @shapes.checked
    @dataclasses.dataclass
    class Pair:
        x: Float[Tensor, "B I"]
        y: Float[Tensor, "B"]

    Pair(torch.ones(2, 3), torch.ones(2))
    with pytest.raises(jaxtyping.TypeCheckError):
        Pair(torch.ones(2, 3), torch.ones(3))

    def plain(x: int) -> int:
        return x

    assert shapes.checked(plain) is plain
