"""Training steps of the second task under every strategy, beside naive, in stacks."""

from collections.abc import Iterator
from functools import partial

from runners.bench.plan import Plan
from runners.config.cell import Cell
from runners.config.request import Request
from runners.experiment.sweep import expand
from runners.measure.timing import Comparison, Contender, Run, compare
from runners.strategies import Strategy, strategies
from runners.strategies.registry import BUILT_IN
from runners.stream.batches import batches
from runners.stream.samples import union
from runners.stream.stream import Stream, stack
from runners.training.checks import check_policy
from runners.training.learners import make_learner
from runners.training.loop import build_network

STRATEGIES = "training step of the second task per network, by strategy"
NAIVE = "naive"
CASES = (("split-digits:setting=task", "kan"), ("split-digits:setting=task", "mlp"), ("gaussian-peaks", "kan"))
"""Scenarios and architectures, as advised, under Adam."""
FIRST = 3
"""Steps of the first task: enough for what a strategy remembers of it."""


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


def second_task(cell: Cell, stream: Stream, strategy: Strategy) -> Run:
    """Return what takes steps of the second task, after a few of the first.

    Raises:
        InputError: the strategy cannot be carried out on the cell.
    """
    network, tasks = build_network(cell, stream), len(stream.train)
    check_policy(network, stream, cell.policy, strategy, cell.architecture.name)
    state = strategy.start(network, stream)
    for phase in (0, 1):
        if strategy.starts_anew(phase):
            network = build_network(cell, stream, phase)
        samples = union([stream.train[number] for number in strategy.data_of(phase, tasks)])
        if strategy.boundaries or phase == 0:
            network.begin_task(samples.x)
        state = strategy.begin_task(state, network, samples, phase)
        state = strategy.expect(state, cell.policy.steps_per_task(stream.train[1].x.shape[1]) if phase else FIRST)
        learner = make_learner(network, cell.policy, stream.objective, strategy, state)
        source = strategy.batches(state, batches(stream, samples, cell.policy.batch_size, phase), stream, phase)
        if phase == 0:
            learner.take_steps(source, FIRST)
            state = strategy.end_task(state, network, samples, phase)
    return partial(learner.take_steps, source)


def _contender(name: str, cell: Cell, stream: Stream) -> Contender:
    return Contender(name, second_task(cell, stream, strategies.get(name)()), len(cell.seeds))
