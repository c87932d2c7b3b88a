"""Guards check_architecture: every registered architecture passes, and each fault an author can make is named."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kancl.errors import InputError
from kancl.models import Network, Problem, architectures, check_architecture

INPUTS, OUTPUTS, SAMPLES = 2, 4, 5
STACKS = [(7,), (3, 0, 5)]
over_stacks = pytest.mark.parametrize("seeds", STACKS, ids=["one seed", "three seeds"])


class Custom(Network):
    """A linear network with parts of the test's choice."""

    def __init__(
        self, weight: Tensor, forward: Callable[[Tensor], Any] | None = None, train: bool = True, **parts: Tensor
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=train)
        self.answer = forward
        for name, part in parts.items():
            if name.startswith("buffer"):
                self.register_buffer(name, part)
            elif name.startswith("temporary"):
                self.register_buffer(name, part, persistent=False)
            else:
                self.register_parameter(name, nn.Parameter(part))

    def forward(self, x: Tensor) -> Any:
        return x @ self.weight if self.answer is None else self.answer(x)


def problem(seeds: tuple[int, ...]) -> Problem:
    ends = torch.ones(len(seeds), INPUTS)
    return Problem(INPUTS, OUTPUTS, seeds, -ends, ends)


def drawn(seeds: tuple[int, ...]) -> Tensor:
    """Weights as they should be drawn."""
    return torch.stack([torch.randn(INPUTS, OUTPUTS, generator=g) for g in problem(seeds).generators()])


def check(build: Callable[[tuple[int, ...]], object], seeds: tuple[int, ...]) -> Network:
    return check_architecture(build, seeds, torch.zeros(len(seeds), SAMPLES, INPUTS), OUTPUTS, "mine:width=3")


@over_stacks
@pytest.mark.parametrize("name", architectures.names())
def test_every_registered_architecture_passes(name: str, seeds: tuple[int, ...]) -> None:
    builder = architectures.get(name)
    network = check(lambda own: builder(problem(own)), seeds)
    expected = builder(problem(seeds)).state_dict()
    assert network.state_dict().keys() == expected.keys()
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[key])


@over_stacks
def test_what_is_right_passes(seeds: tuple[int, ...]) -> None:
    network = check(lambda own: Custom(drawn(own), buffer=torch.zeros(len(own)), temporary=torch.ones(len(own), 2)), seeds)
    assert torch.equal(network.weight, drawn(seeds))


@over_stacks
@pytest.mark.parametrize("returned", [None, nn.Linear(2, 1), "mlp", Network])
def test_what_is_no_network_is_refused(returned: object, seeds: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"mine:width=3 must return a kancl.models.Network, got {type(returned).__name__}"):
        check(lambda own: returned, seeds)


def last_generator(seeds: tuple[int, ...]) -> torch.Generator:
    return problem(seeds).generators()[-1]


SEED_AXIS = r"every parameter and buffer needs the seed axis first"
SEED_ALONE = r"of seed \d+ is not determined by that seed alone"
FAULTS: dict[str, tuple[Callable[[tuple[int, ...]], Network], str]] = {
    "nothing to train": (lambda own: Custom(drawn(own), train=False), "has no parameters to train"),
    "a parameter without the seed axis": (lambda own: Custom(drawn(own), extra=torch.ones(8)), rf"extra .*{SEED_AXIS}"),
    "a parameter that is one number": (lambda own: Custom(drawn(own), extra=torch.tensor(1.0)), rf"extra .*{SEED_AXIS}"),
    "a parameter with the seeds last": (lambda own: Custom(drawn(own), extra=torch.ones(8, len(own))), rf"extra .*{SEED_AXIS}"),
    "a parameter for one seed": (lambda own: Custom(drawn(own), extra=torch.ones(1, 8)), rf"extra .*{SEED_AXIS}"),
    "a buffer without the seed axis": (lambda own: Custom(drawn(own), buffer=torch.ones(8)), rf"buffer .*{SEED_AXIS}"),
    "a buffer that is one number": (lambda own: Custom(drawn(own), buffer=torch.tensor(3)), rf"buffer .*{SEED_AXIS}"),
    "a buffer that is not saved, without the seed axis": (
        lambda own: Custom(drawn(own), temporary=torch.ones(8)),
        rf"temporary .*{SEED_AXIS}",
    ),
    "a buffer as long by chance as two seeds": (
        lambda own: Custom(drawn(own), buffer=torch.tensor([-1.0, 1.0])),
        rf"buffer .*{SEED_AXIS}",
    ),
    "a buffer as long by chance as three seeds": (
        lambda own: Custom(drawn(own), buffer=torch.tensor([-1.0, 0.0, 1.0])),
        rf"buffer .*{SEED_AXIS}",
    ),
    "weights from the global generator": (
        lambda own: Custom(torch.randn(len(own), INPUTS, OUTPUTS)),
        rf"weight {SEED_ALONE}.*problem\.generators",
    ),
    "a buffer from the global generator": (
        lambda own: Custom(drawn(own), buffer=torch.randn(len(own))),
        rf"buffer {SEED_ALONE}",
    ),
    "weights from the first seed's generator": (
        lambda own: Custom(torch.randn(len(own), INPUTS, OUTPUTS, generator=problem(own).generators()[0])),
        rf"weight {SEED_ALONE}",
    ),
    "the last seed's weights for all": (
        lambda own: Custom(torch.randn(INPUTS, OUTPUTS, generator=last_generator(own)).expand(len(own), -1, -1).clone()),
        rf"weight {SEED_ALONE}",
    ),
    "weights normalised over the stack": (lambda own: Custom(drawn(own) / drawn(own).std()), rf"weight {SEED_ALONE}"),
    "weights less those of the seed before": (
        lambda own: Custom(drawn(own) - drawn(own).roll(1, 0) * (len(own) > 1)),
        rf"weight {SEED_ALONE}",
    ),
    "a first seed that knows how many follow": (
        lambda own: Custom(drawn(own) + len(own) * (torch.arange(len(own)) == 0)[:, None, None] * (len(own) > 1)),
        rf"weight {SEED_ALONE}",
    ),
    "a forward pass that raises": (
        lambda own: Custom(drawn(own), lambda x: 1 / 0),
        r"failed on inputs of shape \(\d, 5, 2\): ZeroDivisionError: division by zero",
    ),
    "a forward pass for other inputs": (
        lambda own: Custom(torch.zeros(len(own), INPUTS + 1, OUTPUTS)),
        r"failed on inputs of shape \(\d, 5, 2\): RuntimeError",
    ),
    "a forward pass that gives nothing": (lambda own: Custom(drawn(own), lambda x: None), "mine:width=3"),
    "too few outputs": (
        lambda own: Custom(drawn(own)[..., :1].clone()),
        r"outputs of shape \(\d, 5, 1\), expected \(\d, 5, 4\)",
    ),
    "outputs without the samples": (
        lambda own: Custom(drawn(own), lambda x: (x @ drawn(own)).mean(1)),
        r"outputs of shape \(\d, 4\), expected \(\d, 5, 4\)",
    ),
    "outputs without the seeds": (
        lambda own: Custom(drawn(own), lambda x: (x @ drawn(own))[0]),
        r"outputs of shape \(5, 4\), expected \(\d, 5, 4\)",
    ),
}


@over_stacks
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str, seeds: tuple[int, ...]) -> None:
    build, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        check(build, seeds)
    assert "mine:width=3" in str(caught.value)
