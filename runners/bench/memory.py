"""The peak of memory in one training step, forward and backward, above what was there before it."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from kancl.splines import BACKENDS
from runners.bench import PeerName
from runners.bench.loops import data, kancl_network
from runners.bench.peers import build_peer, with_networks
from runners.bench.plan import DEGREE, Shape
from runners.measure.timing import reason_of, threads_set_to

METHOD = (
    "peak: the allocations and releases that torch's profiler records, added up in their order. What C code takes without"
    " torch is not among them; resident is the growth of the process's high-water mark (Linux), which sees everything but"
    " misses memory that the process had already."
)
Step = Callable[[], None]
FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Peak:
    """What forward and backward took at most, in bytes.

    Args:
        name, case: the contender and its shape.
        peak: above parameters and batch, gradients included.
        gradients: the part of it that no implementation can do without.
        resident: the growth of the process's high-water mark; None where it cannot be read.
        basis: what a float32 for each of the K + 1 functions that are not zero at a point would take, over all layers.
        full: what a tensor (B, I, G+K, O) of the largest layer would take.
    """

    name: str
    case: str
    peak: int
    gradients: int
    resident: int | None
    basis: int
    full: int


def memory_peaks(shape: Shape, peers: Sequence[PeerName]) -> tuple[list[Peak], dict[str, str]]:
    """Measure every backend and every peer that has a network, with one thread; return also who could not, and why."""
    peaks, refused = [], {}
    with threads_set_to(1):
        steps = {f"kancl {name}": partial(_own_step, name, shape) for name in BACKENDS}
        for name, make in (steps | {name: partial(_peer_step, name, shape) for name in with_networks(peers)}).items():
            try:
                peaks.append(_peak(name, shape, *make()))
            except Exception as error:  # whatever a foreign package, or a backend on a shape it does not serve, may raise
                refused[name] = reason_of(error)
    return peaks, refused


def _peak(name: str, shape: Shape, network: nn.Module, step: Step) -> Peak:
    step()  # what is made once, and kept, is no part of a step
    sizes: list[int | None] = []
    measures = (cuda_peak, lambda step: None) if shape.device == "cuda" else (traced_peak, resident_peak)
    for measure in measures:
        network.zero_grad(set_to_none=True)
        sizes.append(measure(step))
    peak, resident = sizes
    assert peak is not None
    return Peak(
        name=name,
        case=shape.label,
        peak=peak,
        gradients=sum(p.grad.numel() * p.grad.element_size() for p in network.parameters() if p.grad is not None),
        resident=resident,
        basis=sum(shape.batch * inputs * (DEGREE + 1) * FLOAT for inputs, _ in shape.layers),
        full=max(shape.batch * inputs * shape.coefficients * outputs * FLOAT for inputs, outputs in shape.layers),
    )


def _own_step(backend: str, shape: Shape) -> tuple[nn.Module, Step]:
    network, (x, y) = kancl_network(shape, 1, backend), data(shape, 1)
    return network, lambda: functional.mse_loss(network(x), y).backward()


def _peer_step(name: PeerName, shape: Shape) -> tuple[nn.Module, Step]:
    network, (x, y) = build_peer(name, shape), data(shape, 1)
    return network, lambda: functional.mse_loss(network(x[0]), y[0]).backward()


def traced_peak(step: Step) -> int | None:
    """Return the peak in bytes of what torch allocates during a step, above what it held before."""
    with _errors_of_c_code_hidden(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        step()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        trace.export_chrome_trace(str(file))
        events = json.loads(file.read_text())["traceEvents"]
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    held = peak = 0
    for _, size in changes:
        held += size
        peak = max(peak, held)
    return peak


def cuda_peak(step: Step) -> int:
    """Return the peak in bytes of what torch allocates on the GPU during a step, above what it held before."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def resident_peak(step: Step) -> int | None:
    """Return by how many bytes the memory of the process grew at most during a step; None where Linux does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is held now
        before = _status("VmRSS")
        step()
        return max(0, _status("VmHWM") - before)
    except OSError:
        return None


def _status(key: str) -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


@contextmanager
def _errors_of_c_code_hidden() -> Iterator[None]:
    """Send standard error to nowhere, below Python: torch's profiler writes there when it starts and stops."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
