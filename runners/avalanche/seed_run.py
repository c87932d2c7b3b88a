"""One seed of a cell, trained by one of avalanche's strategies.

:class:`SeedRun` is also a plugin of that strategy: avalanche calls its hooks, and it tells the network of tasks, sets
rates, adds the architecture's penalty, clips, and measures at the steps at which the native runner does.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from torch import nn

from kancl.errors import Foreign, InputError
from kancl.models import Network
from runners.avalanche.carried import given_back, taken
from runners.avalanche.data import masks_of, minibatch, scenario_of
from runners.avalanche.keeper import Keeper, place_of, restore
from runners.avalanche.model import Criterion, as_module
from runners.avalanche.shadow import Shadow, trained
from runners.avalanche.steered import Silent, Steered
from runners.avalanche.strategy import AvalancheStrategy, Minibatch
from runners.config.cell import Cell
from runners.measure.evaluate import Evaluator, evaluation_steps, thinned
from runners.measure.record import Keep, MisfitError, Record, Within, kept_nowhere
from runners.strategies.strategy import PART
from runners.stream.batches import batches
from runners.stream.samples import union
from runners.stream.stream import Stream
from runners.training.logbook import SLICES
from runners.training.optimizers import set_rate, torch_optimizer
from runners.training.schedule import learning_rates
from runners.training.updates import LazyUpdates, TakesSteps, clip_by_seed
from scenarios import to_avalanche

TRAINING = Foreign(PART, "avalanche's training", spare=True)


class SeedRun:
    """Trains one seed.

    Args:
        cell: the configuration.
        stream: of this seed alone.
        network: a stack of one, with the seed's initial weights.
        adapter: the strategy and its options.
        watched: whether to train a shadow beside it.
        tell: called with the number of steps taken.
        keeper: saves the seed, and stops it.
        keep: called with the network before the first task and after each.
    """

    def __init__(
        self,
        cell: Cell,
        stream: Stream,
        network: Network,
        adapter: AvalancheStrategy,
        watched: bool,
        tell: Callable[[int, int], None],
        keeper: Keeper,
        keep: Keep = kept_nowhere,
    ) -> None:
        self.cell, self.policy, self.stream, self.adapter, self.tell = cell, cell.policy, stream, adapter, tell
        self.seed, self.tasks, self.masks = stream.seeds[0], len(stream.train), masks_of(stream)
        self.step_counts = [self.policy.steps_per_task(samples.x.shape[1]) for samples in stream.train]
        self.record, self.evaluator = Record(), Evaluator(stream)
        self.dense = Evaluator(thinned(stream, cell.curve_samples))
        self.module = as_module(network, self.masks)
        self.criterion = Criterion(not stream.train[0].y.is_floating_point(), self.masks is not None)
        self.durations: list[float] = []
        self.shadow: Shadow | None = None
        self.watched = watched and adapter.boundaries and not adapter.may_equal_naive and self.tasks > 1
        self.updates: TakesSteps
        self.phase, self.done, self.mark = 0, 0, 0.0
        self.keeper, self.keep = keeper, keep
        self.within: Within | None = None
        self.begun: dict[str, Any] = {}
        """What the strategy carried as the task began."""
        self.put: Callable[[], None] | None = None
        """Puts everything to where it was, at the first step after a task was begun anew."""
        self.rates: Iterator[float] | None = None
        self.rate: float | None = None

    @property
    def equals_naive(self) -> bool:
        """Whether the weights were those of the shadow from the second task to the end."""
        return self.watched and self.shadow is not None

    def train(self, within: Within | None = None) -> Network:
        """Train on all tasks and return the network; ``record`` holds what was measured.

        Args:
            within: where to go on, if an earlier run came there.

        Raises:
            MisfitError: it is of another cell.
            Stopped: somebody asked for it.
        """
        if within is None:
            self.record.measure(self.evaluator, self._network(self.module), 0, 0, end=True)
            self.keep(0, self._network(self.module).state_dict())
        experiences = list(to_avalanche(scenario_of(self.stream)).train_stream)
        strategy = self._make_strategy()
        first = 0 if within is None else self._go_on(strategy, within)
        for phase in range(first, self.tasks) if self.adapter.boundaries else (first,):
            self.phases = range(phase, phase + 1 if self.adapter.boundaries else self.tasks)
            count = self.stream.train[phase].x.shape[1]
            strategy.train_mb_size = count if self.policy.batch_size == "full" else min(self.policy.batch_size, count)
            self._begin_phase(phase)
            self.begun = self._begin(strategy)
            with TRAINING:
                strategy.train(experiences[phase] if self.adapter.boundaries else experiences, eval_streams=[])
            if self.done < self.step_counts[self.phase]:
                raise InputError(
                    f"the strategy gave {self.done} batches for task {self.phase + 1}, and the policy takes "
                    f"{self.step_counts[self.phase]} steps: what its method batches returns must not end"
                )
            if self.phase + 1 < self.tasks:
                self.keeper.pause(partial(self._place, strategy))
        return self._network(strategy.model)

    def _go_on(self, strategy: Any, within: Within) -> int:
        """Put everything to where it was between two steps, and return the task that is trained next."""
        if not 0 <= within.phase < self.tasks or not 0 <= within.step < self.step_counts[within.phase]:
            raise MisfitError(f"is of step {within.step} of task {within.phase + 1}")
        self._restore(strategy, within)
        self.record, self.durations = within.record, within.state["durations"].flatten().tolist()
        self.within = within
        if "shadow" in within.state:
            self.shadow = Shadow(strategy.model, self.policy, self.criterion)
            self.shadow.go_on(within.state["shadow"])
        else:  # where it was watched no more, it was apart from its shadow
            self.watched = self.watched and (within.phase, within.step) <= (1, 0)
        return within.phase

    def _restore(self, strategy: Any, within: Within) -> None:
        restore(within, self._network(strategy.model), strategy.optimizer)

    def _begin(self, strategy: Any) -> dict[str, Any]:
        """Return what the strategy carries as a task begins, and see to it that one that goes on carries the same."""
        names, within = self.adapter.carried, self.within
        if names is None:
            return {}
        if within is None or within.phase != self.phase:
            return taken(strategy, names)
        given_back(strategy, names, within.state["begun"])()
        if self.done or not self.adapter.boundaries:
            carried = given_back(strategy, names, within.state["now"])
            self.put = partial(self._put, strategy, within, carried)
        begun: dict[str, Any] = within.state["begun"]
        return begun

    def _put(self, strategy: Any, within: Within, carried: Callable[[], None]) -> None:
        """Put everything to where it was at a step; what the beginning of the task did is over."""
        self._restore(strategy, within)
        if self.shadow is not None and self.done:
            self.shadow.go_on(within.state["shadow"], self.done)
        carried()
        self.adapter.go_on(strategy, self, self.done)

    def _place(self, strategy: Any) -> Within | None:
        """Return where the seed is; None where avalanche's object holds what nobody knows of."""
        names = self.adapter.carried
        if names is None:
            return None
        now, phase, step = taken(strategy, names), self.phase, self.done
        state = {"begun": self.begun, "now": now}
        if step == self.step_counts[phase]:
            state, phase, step = {"begun": now}, phase + 1, 0
        if self.shadow is not None:
            state["shadow"] = self.shadow.state()
        return place_of(phase, step, self._network(strategy.model), strategy.optimizer, self.record, self.durations, state)

    def _make_strategy(self) -> Any:
        template = self.adapter.find_template()
        steered = type(f"Steered{template.__name__}", (Steered, template), {"run": self})
        optimizer = torch_optimizer(trained(self.module), self.policy)
        self.updates = LazyUpdates(optimizer, optimizer) if self.policy.lazy else optimizer
        strategy = steered(
            model=self.module, optimizer=optimizer, criterion=self.criterion, plugins=[self], evaluator=Silent,
            train_mb_size=1, train_epochs=1, device=self.stream.device, **self.adapter.arguments(),
        )  # fmt: skip
        # Its evaluation would go over the data at ends of tasks; ours is the native runner's.
        strategy.plugins = [p for p in strategy.plugins if type(p).__name__ not in ("Silent", "PeriodicEval")]
        self.adapter.prepare(strategy, self)
        return strategy

    def native_batches(self, tasks: range, phase: int) -> Iterator[Minibatch]:
        """Yield the batches that the native runner trains on, without end."""
        samples = union([self.stream.train[number] for number in tasks])
        for batch in batches(self.stream, samples, self.policy.batch_size, phase):
            yield minibatch(batch, self.masks)

    def batches_of_call(self, strategy: Any) -> Iterator[Minibatch]:
        """Yield the batches of the phases that avalanche is called for, as many as there are steps."""
        for phase in self.phases:
            taken = self.within.step if self.within is not None and self.within.phase == phase else 0
            yield from islice(self._batches(strategy, phase), taken, self.step_counts[phase])

    def _batches(self, strategy: Any, phase: int) -> Iterator[Minibatch]:
        for batch in self.adapter.batches(strategy, self, phase):
            yield list(batch)  # some strategies of avalanche's change the list

    def renew_optimizer(self, strategy: Any) -> None:
        """Give the strategy a fresh optimiser at the beginning of a task, unless the policy keeps the one it has."""
        parameters = trained(strategy.model)
        held = {id(p) for group in strategy.optimizer.param_groups for p in group["params"]}
        keeps = self.policy.state == "keep" and not self.adapter.restarts
        if keeps and held == {id(parameter) for _, parameter in parameters}:
            return
        strategy.optimizer = torch_optimizer(parameters, self.policy)
        self.updates = LazyUpdates(strategy.optimizer, strategy.optimizer) if self.policy.lazy else strategy.optimizer

    def _begin_phase(self, phase: int) -> None:
        self.phase = phase
        self.done = self.within.step if self.within is not None and self.within.phase == phase else 0
        steps = self.step_counts[phase]
        self.places = set(evaluation_steps(steps, self.cell.evaluations))
        self.rates = learning_rates(self.policy, self.step_counts, phase, self.adapter.boundaries, self.done)

    def before_training_exp(self, strategy: Any, **more: Any) -> None:
        """Tell the network of the task, as the native runner does, and let the shadow begin or go on."""
        samples = union([self.stream.train[number] for number in self.adapter.data_of(self.phase, self.tasks)])
        self._network(strategy.model).begin_task(samples.x)
        self.adapter.begin_task(strategy, self, self.phase)
        if self.watched and self.phase > 0:
            state = None
            if self.phase == 1 and self.shadow is None:
                self.shadow = Shadow(strategy.model, self.policy, self.criterion)
                state = strategy.optimizer.state_dict() if self.policy.state == "keep" else None
            if self.shadow is not None:
                if self.phase > 1:  # at first it is a copy of a network that has been told
                    self._network(self.shadow.module).begin_task(self.stream.train[self.phase].x)
                self.shadow.begin_task(self.native_batches(range(self.phase, self.phase + 1), self.phase), state)
        self.mark = time.perf_counter()

    def before_training_iteration(self, strategy: Any, **more: Any) -> None:
        """Save between two steps, or go on there; set the rate of the step."""
        if self.put is not None:
            self.put()
            self.put = None
        elif self.done or self.phase > self.phases[0]:  # every plugin has heard of the last step now
            began = time.perf_counter()
            self.keeper.pause(partial(self._place, strategy))
            self.mark += time.perf_counter() - began
        if self.rates is not None:
            self.rate = next(self.rates)
            set_rate(strategy.optimizer, self.rate)

    def before_backward(self, strategy: Any, **more: Any) -> None:
        """Add what the architecture adds to the loss."""
        extra = self._network(strategy.model).penalty()
        if extra is not None:
            strategy.loss = strategy.loss + extra

    def before_update(self, strategy: Any, **more: Any) -> None:
        """Clip the gradient, after the strategy has changed it."""
        if self.policy.clip is not None:
            clip_by_seed((p.grad for p in strategy.model.parameters() if p.grad is not None), self.policy.clip)

    def after_training_iteration(self, strategy: Any, **more: Any) -> None:
        """Measure where the native runner does, and compare with the shadow."""
        if self.phase > 0 or self.tasks == 1:  # as the native runner's: when a task is past; some strategies wait for two
            self.durations.append(time.perf_counter() - self.mark)
        self.done += 1
        self.record.steps += 1
        steps = self.step_counts[self.phase]
        if self.shadow is not None:
            self.shadow.step(self.rate)
            if self.shadow.is_apart(strategy.model):
                self.shadow = None
        if self.done in self.places:
            network, end = self._network(strategy.model), self.done == steps
            self.record.measure(self.evaluator if end else self.dense, network, self.phase + 1, self.done, end)
            if end:
                self.keep(self.phase + 1, network.state_dict())
        if self.done % max(1, steps // SLICES) == 0 or self.done == steps:
            self.tell(self.phase, self.record.steps)
        if self.done == steps and self.phase < self.phases[-1]:
            self._begin_phase(self.phase + 1)
        self.mark = time.perf_counter()

    @staticmethod
    def _network(module: nn.Module) -> Network:
        network: Any = module.network
        assert isinstance(network, Network)
        return network
