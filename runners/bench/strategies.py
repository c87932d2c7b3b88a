"""Training steps of the second task under every strategy, beside naive, in stacks."""

from collections.abc import Iterator
from functools import partial

from runners.bench.plan import Plan
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.measure.timing import Comparison, Contender, compare
from runners.strategies import Strategy, strategies
from runners.strategies.registry import BUILT_IN
from runners.stream.stack import stack
from runners.stream.stream import Stream
from runners.training.checks import check_policy
from runners.training.networks import build_network
from runners.training.step_time import second_phase

STRATEGIES = "training step of the second task per network, by strategy"
NAIVE = "naive"
CASES = (("split-digits:setting=task", "kan"), ("split-digits:setting=task", "mlp"), ("gaussian-peaks", "kan"))
"""Scenarios and architectures, as advised, under Adam."""


def strategy_comparisons(plan: Plan, threads: int) -> Iterator[Comparison]:
    """Time a step with each strategy's default options, when one task is past: with penalties, memories and masks in use.

    What a strategy does when a task begins and ends is no part of it. One that refuses a case is left out with its reason.
    """
    for scenario, architecture in CASES:
        said = Request((scenario,), (architecture,), (NAIVE,), seeds=plan.seeds, optimizer="adam")
        (cell,) = expand([said])
        stream = stack(cell.scenario, cell.seeds).to(plan.stacked[0].device)
        names = (NAIVE, *(name for name in BUILT_IN if name != NAIVE))
        yield compare(
            {name: partial(_contender, name, cell, stream) for name in names},
            group=f"{STRATEGIES}: S {plan.seeds}",
            case=f"{cell.scenario.name}, {architecture}, batch {cell.policy.batch_size}",
            threads=threads,
            rounds=plan.rounds,
            block=plan.block,
            reference=(NAIVE,),
            shares=True,
        )


def _contender(name: str, cell: Cell, stream: Stream) -> Contender:
    strategy: Strategy = strategies.get(name)()
    check_policy(build_network(cell, stream), stream, cell.policy, strategy, cell.architecture.name)
    return Contender(name, second_phase(cell, stream, strategy), len(cell.seeds))
