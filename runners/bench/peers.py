"""Other packages that train such networks: used where they can be imported, and never required."""

import hashlib
import importlib
import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from runners.bench import PeerName
from runners.bench.loops import data, plain_loop
from runners.bench.plan import DEGREE, Shape
from runners.measure.timing import Run
from scenarios.avalanche.loading import import_avalanche


@dataclass(frozen=True)
class Peer:
    """Another way to train such a network.

    Args:
        distribution: the name under which its version is known to Python.
        source: how to get it.
        load: imports it, and raises what the import raises.
        build: makes one network, (B, I) to (B, O); None for packages that bring a loop and no network.
    """

    distribution: str
    source: str
    load: Callable[[], Any]
    build: Callable[[Shape], nn.Module] | None = None


def _pykan(shape: Shape) -> nn.Module:
    # Its fast mode: no symbolic branch, no statistics of activations, and no checkpoints written behind one's back.
    kan = importlib.import_module("kan")
    fast = {"symbolic_enabled": False, "save_act": False, "auto_save": False}
    network = kan.KAN(width=list(shape.widths), grid=shape.intervals, k=DEGREE, device=shape.device, **fast)
    return network.speed() if hasattr(network, "speed") else network


def _efficient_kan(shape: Shape) -> nn.Module:
    package = importlib.import_module("efficient_kan")
    return package.KAN(list(shape.widths), grid_size=shape.intervals, spline_order=DEGREE)


def _fast_kan(shape: Shape) -> nn.Module:
    # As many basis functions per edge. Its network class puts a layer norm before every layer, which a single input forbids.
    layer = importlib.import_module("fastkan").FastKANLayer
    grid = {"grid_min": -1.0, "grid_max": 1.0, "num_grids": shape.coefficients}
    return nn.Sequential(*(layer(i, o, use_layernorm=i > 1, **grid) for i, o in shape.layers))


def _mlp(shape: Shape) -> nn.Module:
    widths = (shape.widths[0], shape.mlp_width, shape.widths[-1])
    first, second = (nn.Linear(i, o) for i, o in pairwise(widths))
    return nn.Sequential(first, nn.ReLU(), second)


PEERS: dict[PeerName, Peer] = {
    "pykan": Peer("pykan", "pip install pykan", lambda: importlib.import_module("kan"), _pykan),
    "efficient-kan": Peer(
        "efficient-kan",
        "pip install git+https://github.com/Blealtan/efficient-kan",
        lambda: importlib.import_module("efficient_kan"),
        _efficient_kan,
    ),
    "fast-kan": Peer(
        "fastkan",
        "pip install git+https://github.com/ZiyaoLi/fast-kan",
        lambda: importlib.import_module("fastkan"),
        _fast_kan,
    ),
    "mlp": Peer("torch", "part of torch", lambda: torch, _mlp),
    "avalanche": Peer("avalanche-lib", "pip install avalanche-lib", import_avalanche),
}


def find_peers(names: Sequence[PeerName]) -> tuple[dict[PeerName, str], dict[PeerName, str]]:
    """Return the versions of the peers that can be imported, and for the others how to get them and what went wrong."""
    found: dict[PeerName, str] = {}
    missing: dict[PeerName, str] = {}
    for name in names:
        try:
            module = PEERS[name].load()
        except Exception as error:  # a package that is there and broken is as good as none
            reason = "" if isinstance(error, ModuleNotFoundError) else f" (here it fails: {type(error).__name__}: {error})"
            missing[name] = PEERS[name].source + reason
        else:
            found[name] = _version(PEERS[name].distribution, module)
    return found, missing


def _version(distribution: str, module: Any) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        # A copied folder has no version: its sources tell which one it was.
        folder = Path(module.__file__).parent
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))))
        return f"no version, sources sha256 {digest.hexdigest()[:12]}"


def with_networks(names: Sequence[PeerName]) -> list[PeerName]:
    """Return those that bring a network, rather than a loop."""
    return [name for name in names if PEERS[name].build is not None]


def build_peer(name: PeerName, shape: Shape) -> nn.Module:
    """Return one network of a peer, (B, I) to (B, O)."""
    build = PEERS[name].build
    assert build is not None, f"{name} has no network of its own"
    with torch.random.fork_rng(devices=[]):  # pykan seeds torch's generator for the whole process
        torch.manual_seed(0)
        return build(shape).to(shape.device)


def peer_loop(name: PeerName, shape: Shape) -> Run:
    """Return the plain loop over one network of a peer."""
    x, y = data(shape, 1)
    return plain_loop(build_peer(name, shape), x[0], y[0])


def naive_run(network: nn.Module, tasks: Sequence[tuple[Tensor, Tensor]], rate: float, steps: int) -> None:
    """Train one network, (B, I) to (B, O), on one task after the other with avalanche's Naive: full batches, fused Adam.

    The quickest usual setup: no metrics, no loggers, no evaluation, no processes for loading.
    """
    import_avalanche()
    scenario = importlib.import_module("avalanche.benchmarks.scenarios.dataset_scenario")
    dataset = importlib.import_module("avalanche.benchmarks.utils.data").AvalancheDataset
    naive = importlib.import_module("avalanche.training.supervised").Naive
    plugin = importlib.import_module("avalanche.training.plugins").EvaluationPlugin
    sets = [dataset([torch.utils.data.TensorDataset(x, y)]) for x, y in tasks]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", message="No loggers specified")
        learner = naive(
            model=network, optimizer=Adam(network.parameters(), lr=rate, fused=True), criterion=nn.MSELoss(),
            train_mb_size=len(tasks[0][0]), train_epochs=steps, evaluator=plugin(), device=tasks[0][0].device,
        )  # fmt: skip
        for experience in scenario.benchmark_from_datasets(train=sets).train_stream:
            learner.train(experience, num_workers=0)
