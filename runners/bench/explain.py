"""Which spline backend ``auto`` takes for a shape, why, and which ones could serve it here; nothing is timed."""

import re
from dataclasses import dataclass

import torch

from kancl.errors import InputError
from kancl.splines import BACKENDS, UniformGrid, explain, unavailable
from runners.bench.kernel import layer_call
from runners.bench.plan import DEGREE, Shape
from runners.measure.timing import reason_of

LETTERS = {
    "S": "networks in the stack",
    "B": "samples per batch",
    "I": "inputs",
    "O": "outputs",
    "G": "grid intervals",
    "K": "degree",
}
COUNTABLE = 2**63 - 1
"""torch counts a tensor's numbers in 64 bits."""
DEFAULTS = {"S": 1, "K": DEGREE}


@dataclass(frozen=True)
class LayerShape:
    """A spline layer: S networks, B samples, I inputs, O outputs, G intervals, degree K."""

    S: int
    B: int
    I: int  # noqa: E741
    O: int  # noqa: E741
    G: int
    K: int


def parse_shape(text: str) -> LayerShape:
    """Read a shape.

    >>> parse_shape("B=256, I=64, O=32, G=20")
    LayerShape(S=1, B=256, I=64, O=32, G=20, K=3)
    """
    sizes, said = dict(DEFAULTS), set[str]()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([A-Za-z])\s*=\s*(\d{1,9})\s*", part)
        if match is None or match[1] not in LETTERS:
            raise InputError(f"--explain: expected sizes as in S=1,B=256,I=64,O=32,G=20,K=3, got {part.strip()!r}")
        if match[1] in said:
            raise InputError(f"--explain: expected every size once, got {match[1]} twice in {text!r}")
        said.add(match[1])
        sizes[match[1]] = int(match[2])
    missing = [f"{letter} ({LETTERS[letter]})" for letter in LETTERS if letter not in sizes]
    if missing:
        raise InputError(f"--explain needs {', '.join(missing)}, as in B=256,I=64,O=32,G=20; S is 1 and K is 3 unless given")
    empty = [letter for letter in "SIO" if sizes[letter] < 1]
    if empty:
        raise InputError(f"--explain: {', '.join(empty)} must be at least 1, got {text!r}")
    shape = LayerShape(**sizes)
    if shape.S * max(shape.B * shape.I, shape.B * shape.O, shape.I * (shape.G + shape.K) * shape.O) > COUNTABLE:
        raise InputError(f"--explain: a layer with {text} has more numbers than a tensor can hold; give smaller sizes")
    return shape


def explanation(shape: LayerShape, device: str = "cpu") -> list[str]:
    """Return the lines to print: the choice and its reason, then every backend and whether it serves such a layer here."""
    grid = UniformGrid.over(-1.0, 1.0, shape.G, shape.K)
    # Expanded from one number, so that asking about a large layer takes no memory.
    x = torch.zeros(1, device=device).expand(shape.S, shape.B, shape.I)
    coef = torch.zeros(1, device=device, requires_grad=True).expand(shape.S, shape.I, grid.coefficients, shape.O)
    choice = explain(x, coef, grid)
    sizes = ", ".join(f"{letter} {getattr(shape, letter)}" for letter in LETTERS)
    lines = [f"{sizes}: auto takes {choice.backend}: {choice.reason}"]
    return lines + [f"  {name:8} {_state(name, shape, device)}" for name in BACKENDS]


def _state(backend: str, shape: LayerShape, device: str) -> str:
    """Ask the backend, then try it on a small layer of the same kind, gradients included."""
    grid = UniformGrid.over(-1.0, 1.0, shape.G, shape.K)
    reason = unavailable(backend, torch.zeros(1, device=device), grid)
    if reason is None:
        small = Shape((min(shape.I, 4), min(shape.O, 64)), min(shape.G, 1000), min(shape.B, 4), device)
        try:
            call, leaves = layer_call(small, backend, seeds=min(shape.S, 2), degree=shape.K)
            torch.autograd.grad(call().sum(), leaves)
        except Exception as error:  # what a backend raises is what is wanted
            reason = reason_of(error)
    return "available" if reason is None else f"cannot be used here: {reason}"
