"""Guards the check of shapes: it is at work in these tests."""

import jaxtyping
import pytest
import torch

from kancl.models import Problem, architectures
from runners.stream.batches import Batch


def test_it_is_at_work() -> None:
    network = architectures.get("mlp")(Problem(3, 1, (0,), torch.zeros(1, 3), torch.ones(1, 3)), hidden=(4,))
    network(torch.zeros(1, 5, 3))
    with pytest.raises(jaxtyping.TypeCheckError):
        network(torch.zeros(5, 3))
    with pytest.raises(jaxtyping.TypeCheckError):
        Batch(torch.zeros(2, 3), torch.zeros(2, 3, 1), None)
