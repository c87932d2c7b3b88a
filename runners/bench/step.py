"""One training step: forward, mean squared error, backward and fused Adam, for kancl and everyone else in the same loop."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from kancl.splines import BACKENDS
from runners.bench import PeerName
from runners.bench.loops import data, kancl_loop, kancl_network, plain_loop, runner_loop, shuffling_loop
from runners.bench.peers import peer_loop, with_networks
from runners.bench.plan import Plan, Shape
from runners.measure.timing import Comparison, Contender, compare

SINGLE = "training step of one network"
STACKED = "training step per network, stacks beside networks one by one"
FULL_BATCH = "kancl's runner beside a bare loop on the same stack, full batches"
SHUFFLED = "kancl's runner beside a bare loop on the same stack, shuffled batches"
RUNNER = "kancl runner"
REFERENCE = ("efficient-kan", "pykan", "fast-kan", "mlp")
EPOCH = 4
"""Batches per epoch where batches are drawn: few, so that drawing them shows."""

Makers = dict[str, Callable[[], Contender]]


def step_comparisons(plan: Plan, peers: Sequence[PeerName], threads: int) -> Iterator[Comparison]:
    """Time the training step of every shape, alone and in stacks, and what kancl's runner adds to it."""
    timed = partial(compare, threads=threads, rounds=plan.rounds, block=plan.block, reference=REFERENCE)
    for shape in plan.shapes:
        yield timed(single_makers(shape, peers), group=SINGLE, case=shape.label)
    for shape in plan.stacked:
        yield timed(stacked_makers(shape, peers, plan.stack), group=f"{STACKED}: S {plan.stack}", case=shape.label)
    for kind, name in (("auto", "kan"), ("mlp", "mlp")):
        for shape in plan.stacked[:2]:
            for seeds in plan.runner_stacks:
                for group, makers in runner_makers(shape, kind, seeds).items():
                    case = f"{shape.label}, S {seeds}"
                    yield timed(makers, group=f"{group}: {name}", case=case, reference=("bare loop",))


def single_makers(shape: Shape, peers: Sequence[PeerName]) -> Makers:
    """Return the contenders for S = 1."""
    makers = kancl_makers(shape, 1)
    makers[RUNNER] = lambda: Contender(RUNNER, runner_of(shape, "auto", 1))
    return makers | peer_makers(shape, peers)


def stacked_makers(shape: Shape, peers: Sequence[PeerName], seeds: int) -> Makers:
    """Return stacks of kancl's networks, the stack of MLPs with as many parameters, and the peers, one network each."""
    makers = kancl_makers(shape, seeds)
    makers[RUNNER] = lambda: Contender(RUNNER, runner_of(shape, "auto", seeds), seeds)
    makers["mlp stack"] = lambda: mlp_stack(shape, seeds)
    return makers | peer_makers(shape, peers)


def kancl_makers(shape: Shape, seeds: int, auto: bool = True) -> Makers:
    """Return kancl's KAN in the plain loop: the backend that it chooses itself, and every single one."""

    def make(backend: str) -> Contender:
        return Contender(f"kancl {backend}", kancl_loop(shape, seeds, backend), seeds)

    return {f"kancl {name}": partial(make, name) for name in (*(["auto"] if auto else []), *BACKENDS)}


def mlp_stack(shape: Shape, seeds: int) -> Contender:
    """Return kancl's stack of MLPs in the plain loop."""
    return Contender("mlp stack", kancl_loop(shape, seeds, "mlp"), seeds, note=f"{shape.mlp_width} hidden units")


def peer_makers(shape: Shape, peers: Sequence[PeerName]) -> Makers:
    """Return the peers that have networks, one network each, as they are used."""

    def make(name: PeerName) -> Contender:
        return Contender(name, peer_loop(name, shape), note=f"{shape.mlp_width} hidden units" if name == "mlp" else "")

    return {name: partial(make, name) for name in with_networks(peers)}


def runner_of(shape: Shape, kind: str, seeds: int, batches: int = 1) -> Callable[[int], None]:
    """Return kancl's own loop; more than one batch means that the samples are shuffled every epoch."""
    return runner_loop(kancl_network(shape, seeds, kind), *data(shape, seeds, batches), shape.batch)


def runner_makers(shape: Shape, kind: str, seeds: int) -> dict[str, Makers]:
    """Return kancl's runner and the bare loop on equal stacks: with one full batch, and with batches drawn every epoch."""

    def bare(batches: int) -> Contender:
        network, (x, y) = kancl_network(shape, seeds, kind), data(shape, seeds, batches)
        loop = plain_loop(network, x, y) if batches == 1 else shuffling_loop(network, x, y, shape.batch)
        return Contender("bare loop", loop, seeds)

    def own(batches: int) -> Contender:
        return Contender(RUNNER, runner_of(shape, kind, seeds, batches), seeds)

    kinds = {FULL_BATCH: 1, SHUFFLED: EPOCH}
    return {group: {RUNNER: partial(own, count), "bare loop": partial(bare, count)} for group, count in kinds.items()}
