"""Plug-ins that fail: every kind of exception, in every place where foreign code is called, at several calls."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from commands import Ended, here, numbers

from kancl.errors import InputError

PLUGIN = '''
"""Fails where and when it is told to."""
import torch
from kancl.models.mlp import mlp
from runners.strategies.naive import Naive
from scenarios import Scenario, Task

class Silent(Exception):
    def __str__(self): raise ValueError("no text")
    __repr__ = __str__

KINDS = {
    "RuntimeError": lambda: RuntimeError("boom"), "MemoryError": lambda: MemoryError("boom"),
    "StopIteration": lambda: StopIteration("boom"), "RecursionError": lambda: RecursionError("boom"),
    "SystemExit": lambda: SystemExit(3), "GeneratorExit": lambda: GeneratorExit("boom"),
    "OSError": lambda: OSError(28, "boom"), "markup": lambda: ValueError("[/b] boom [enforce fail at x.cpp:1] $x$"),
    "surrogates": lambda: ValueError("boom \\ud800 \\x1b[31m\\n\\x00"), "no text": lambda: Silent(),
}
calls = {}

def fail(kind, place, after):
    calls[place] = calls.get(place, 0) + 1
    if calls[place] > after:
        raise KINDS[kind]()

class Late(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kind, after):
        ctx.said = kind, after
        return x.clone()
    @staticmethod
    def backward(ctx, gradient):
        fail(ctx.said[0], "backward", ctx.said[1])
        return gradient, None, None

def network(problem, kind: str = "RuntimeError", where: str = "forward", after: int = 50):
    if where == "build":
        fail(kind, where, after)
    net = mlp(problem, hidden=(4,))
    plain = net.forward
    def forward(x):
        if where == "forward":
            fail(kind, where, after)
        return Late.apply(plain(x), kind, after) if where == "backward" else plain(x)
    net.forward = forward
    return net

def strategy(kind: str = "RuntimeError", where: str = "penalty", after: int = 0):
    def hook(self, *given):
        fail(kind, where, after)
        return getattr(Naive, where)(self, *given)
    return type("Failing", (Naive,), {where: hook})()
'''
KINDS = (
    "RuntimeError", "MemoryError", "StopIteration", "RecursionError", "SystemExit", "GeneratorExit", "OSError", "markup",
    "surrogates", "no text",
)  # fmt: skip
IN_NETWORKS = [("build", 3), *((where, after) for where in ("forward", "backward") for after in (0, 1, 7, 30, 90, 200))]
IN_STRATEGIES = [
    *((hook, after) for hook in ("start", "begin_task", "expect", "batches", "end_task") for after in (0, 1, 2)),
    *((hook, after) for hook in ("penalty", "correct", "after_step") for after in (0, 1, 40, 90)),
    *((hook, 0) for hook in ("check", "data_of", "starts_anew", "parameters_for")),
]


@dataclass(frozen=True)
class Tally:
    """What became of so many failing plug-ins beside an innocent cell.

    Args:
        tried: how many.
        harmless: it was not called often enough to fail, and both cells have their results.
        named: a line says the plug-in, the command ended with 1 (or 2, before anything ran), and no traceback was shown.
        lost: the innocent cell is missing or has other numbers.
        believed: the failing cell left a result.
    """

    tried: int = 0
    harmless: int = 0
    named: int = 0
    lost: int = 0
    believed: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def fail_everywhere(kinds: Sequence[str] = KINDS) -> dict[str, Tally]:
    """Run every failing plug-in beside an innocent cell, and count what became of both, by the part that failed.

    Args:
        kinds: of exceptions.
    """
    counts = {"networks": Tally(), "strategies": Tally()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        innocent = _run(folder, 0, ("mlp:hidden=4",), ("naive",))[1]
        cases = [("networks", where, after) for where, after in IN_NETWORKS]
        cases += [("strategies", where, after) for where, after in IN_STRATEGIES]
        number = 0
        for part, where, after in cases:
            for kind in kinds:
                number += 1
                options = f'kind="{kind}",where={where},after={after}'
                counts[part] += _try(folder, number, part, options, innocent)
    return counts


def _try(folder: Path, number: int, part: str, options: str, innocent: dict[str, dict[str, bytes]]) -> Tally:
    plugin = folder / f"failing{number}.py"  # a name of its own, so that its calls are counted from 0
    plugin.write_text(PLUGIN)
    if part == "networks":
        ended, came = _run(folder, number, ("mlp:hidden=4", f"{plugin}:network:{options}"), ("naive",))
    else:
        ended, came = _run(folder, number, ("mlp:hidden=4",), ("naive", f"{plugin}:strategy:{options}"))
    refused = ended.code == 2 and not came  # met by the checks before anything ran
    kept = refused or all(came.get(key) == arrays for key, arrays in innocent.items())
    believed = len(came) > 1
    named = ended.escaped is None and "Traceback" not in ended.said and plugin.stem in ended.said and ended.code in (1, 2)
    if believed and ended.code == 0:  # it was not called often enough to fail
        return Tally(1, harmless=1)
    if not named or not kept or believed:
        print(f"  {options}: exit {ended.code}, {ended.escaped!r:.80}, {len(came)} cells: {ended.said[-300:]!r}")
    return Tally(1, 0, int(named), int(not kept), int(believed))


def _run(
    folder: Path, number: int, architectures: tuple[str, ...], strategies: tuple[str, ...]
) -> tuple[Ended, dict[str, dict[str, bytes]]]:
    out = folder / f"out{number}"
    ended = here(
        ("run", "gaussian-peaks:tasks=2,samples=20", "--architectures", *architectures, "--strategies", *strategies,
         "--optimizer", "adam", "--steps", 60, "--seeds", 2, "--evaluations", 3, "--out", out)
    )  # fmt: skip
    try:
        return ended, numbers(out)
    except InputError:  # nothing was stored
        return ended, {}
