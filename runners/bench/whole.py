"""A whole run: all seeds of gaussian-peaks through kancl's runner, beside avalanche's Naive, one seed after another."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle

from torch import Tensor, nn

from kancl.models import Network, take_seed
from runners.bench import PeerName
from runners.bench.peers import naive_run
from runners.bench.plan import Plan
from runners.bench.step import Makers
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.timing import Comparison, Contender, Run, compare
from runners.run import run_cell
from runners.stream.stack import stack
from runners.stream.stream import Stream
from runners.training.networks import build_network

WHOLE = "whole run, naive strategy, Adam: gaussian-peaks"
OWN, NAIVE = "kancl", "avalanche Naive"
ARCHITECTURES = ("kan", "mlp")


class Unstacked(nn.Module):
    """One of kancl's networks as others expect a network: (B, I) to (B, O)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the network on one batch."""
        return self.network(x[None])[0]


def whole_comparisons(plan: Plan, peers: Sequence[PeerName], threads: int) -> Iterator[Comparison]:
    """Time the run for KAN and MLP; figures are those of all seeds and steps.

    kancl's part begins with making the networks and contains its evaluations of all tasks during training; avalanche's begins
    with networks that are made, and contains neither evaluations nor metrics nor logs.
    """
    said = Request(("gaussian-peaks",), ARCHITECTURES, ("naive",), seeds=plan.seeds, optimizer="adam", steps=plan.steps)
    for cell in expand([said]):
        stream = stack(cell.scenario, cell.seeds, data_root=cell.data_root).to(plan.stacked[0].device)
        steps, seeds = cell.policy.steps_per_task(stream.train[0].x.shape[1]), len(cell.seeds)
        makers: Makers = {OWN: partial(_own, cell, stream, steps)}
        if "avalanche" in peers:
            makers[NAIVE] = partial(_extrapolated, plan, cell, stream, steps)
        yield compare(
            makers,
            group=f"{WHOLE}, {len(stream.train)} tasks of {steps} steps",
            case=f"{cell.architecture.name}, {seeds} seeds",
            threads=threads,
            rounds=plan.whole_rounds,
            block=plan.block,
            reference=(NAIVE,),
            unit="s",
            scale=seeds * steps,
        )


def own_run(cell: Cell, stream: Stream) -> Run:
    """Return kancl's run of all seeds, with so many steps per task."""

    def run(steps: int) -> None:
        run_cell(replace(cell, policy=replace(cell.policy, steps=steps)), stream)

    return run


def naive_run_of(cell: Cell, stream: Stream, seeds: int) -> Run:
    """Return avalanche's run of one seed, another one at every call, with so many steps per task."""
    network = build_network(cell, stream)
    turn = cycle((seed, Unstacked(take_seed(network, seed))) for seed in range(seeds))

    def run(steps: int) -> None:
        seed, single = next(turn)
        tasks = [(samples.x[seed], samples.y[seed]) for samples in stream.train]
        naive_run(copy.deepcopy(single), tasks, cell.policy.lr, steps)

    return run


def _own(cell: Cell, stream: Stream, steps: int) -> Contender:
    return Contender(OWN, own_run(cell, stream), len(cell.seeds), steps)


def _extrapolated(plan: Plan, cell: Cell, stream: Stream, steps: int) -> Contender:
    seeds, measured = min(plan.peer_seeds, len(cell.seeds)), min(plan.peer_steps, steps)
    note = (
        f"measured with {seeds} of {len(cell.seeds)} seeds, one a round, and {measured} of {steps} steps per task;"
        " extrapolated in proportion to both"
    )
    return Contender(NAIVE, naive_run_of(cell, stream, seeds), 1, measured, note)
