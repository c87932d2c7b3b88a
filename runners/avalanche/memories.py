"""Avalanche's strategies with a memory that is trained on: replay, GDumb, DER, ER-ACE and MIR."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.utils.data import DataLoader

from kancl.errors import InputError
from kancl.models import Network
from kancl.seeding import generator
from runners.avalanche.data import endless, read_dataset
from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.strategy import AvalancheStrategy, Minibatch, TrainsSeed, check_numbers, find_plugin
from runners.config.policy import Policy
from runners.stream.stream import Stream

BY_CLASS = "its memory is balanced over classes"
GROUPS = ("buffer_groups", "seen_classes")
"""What a memory that is balanced over classes consists of."""


def _of(owner: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{owner}.{name}" for name in names)


@avalanche_strategies.register("replay")
@dataclass(frozen=True)
class Replay(AvalancheStrategy):
    """Avalanche's Replay: batches of the new task are joined by batches of a memory of the old ones.

    The memory is shared equally by the old tasks; a step sees a batch of each, and the loss is the mean over both. Batches
    come from tensors, the new task's in the native runner's order.

    Args:
        mem_size: samples in memory, at least 1.
        batch_size_mem: samples of the memory at a step; the policy's batch size if none.
    """

    template: ClassVar[str] = "Replay"
    carried: ClassVar[tuple[str, ...] | None] = _of("ReplayPlugin.storage_policy", "buffer_groups", "_num_exps")
    mem_size: int = 200
    batch_size_mem: int | None = None

    def __post_init__(self) -> None:
        check_numbers(1, mem_size=self.mem_size)
        check_numbers(1, batch_size_mem=1 if self.batch_size_mem is None else self.batch_size_mem)

    def arguments(self) -> dict[str, Any]:
        """The batch size is the loader's, and that is the runner's."""
        return {"mem_size": self.mem_size}

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Keep avalanche's plugin from making a loader."""
        find_plugin(strategy, "ReplayPlugin").before_training_exp = lambda strategy, **more: None

    def batches(self, strategy: Any, run: TrainsSeed, phase: int) -> Iterator[Minibatch]:
        """Join the new task's batches and the memory's."""
        new, memory = super().batches(strategy, run, phase), find_plugin(strategy, "ReplayPlugin").storage_policy.buffer
        if len(memory) == 0:
            return new
        size = self.batch_size_mem or strategy.train_mb_size
        old = endless(read_dataset(memory), size, generator(run.seed, "avalanche-replay", phase))
        return ([torch.cat(parts) for parts in zip(one, other, strict=True)] for one, other in zip(new, old, strict=False))


@avalanche_strategies.register("gdumb")
@dataclass(frozen=True)
class GDumb(AvalancheStrategy):
    """Avalanche's GDumb: every task begins with the initial weights and trains on the memory alone.

    Prabhu et al. 2020 (ECCV). The memory is shared equally by the classes seen, those of the new task included.

    Args:
        mem_size: samples in memory, at least 1.
    """

    template: ClassVar[str] = "GDumb"
    carried: ClassVar[tuple[str, ...] | None] = ("GDumbPlugin.init_model", *_of("GDumbPlugin.storage_policy", *GROUPS))
    restarts: ClassVar[bool] = True
    classes_only: ClassVar[str | None] = BY_CLASS
    mem_size: int = 200

    def __post_init__(self) -> None:
        check_numbers(1, mem_size=self.mem_size)

    def batches(self, strategy: Any, run: TrainsSeed, phase: int) -> Iterator[Minibatch]:
        """Return batches of the memory, which avalanche has put in the place of the task's data."""
        held = read_dataset(strategy.adapted_dataset)
        size = len(held[0]) if run.policy.batch_size == "full" else run.policy.batch_size
        return endless(held, size, generator(run.seed, "avalanche-gdumb", phase))


def _check_memory(size: int, batch: int) -> None:
    if batch > size:
        raise InputError(
            f"batch_size_mem={batch} samples are never in a memory of mem_size={size}: avalanche would then leave the memory "
            "out without a word, and train like naive"
        )


@avalanche_strategies.register("der")
@dataclass(frozen=True)
class DER(AvalancheStrategy):
    """Avalanche's DER and DER++: the memory's outputs are kept where they were at the end of their task.

    cross-entropy + alpha (mean squared distance of outputs) + beta (cross-entropy on the memory). Buzzega et al. 2020 (arXiv
    2004.07211), equation 6; avalanche takes one batch of the memory for both terms where the authors take two, and
    stores outputs at the end of a task instead of at the step in which the sample was seen.

    Args:
        mem_size: samples in memory, at least 1.
        batch_size_mem: samples of the memory at a step.
        alpha: weight of the distance, >= 0.
        beta: weight of the memory's cross-entropy, >= 0; with 0 it is DER without ++.
    """

    template: ClassVar[str] = "DER"
    carried: ClassVar[tuple[str, ...] | None] = _of("storage_policy", *GROUPS)
    classes_only: ClassVar[str | None] = BY_CLASS
    no_heads: ClassVar[str | None] = "it evaluates the network without task labels"
    mem_size: int = 200
    batch_size_mem: int = 10
    alpha: float = 0.1
    beta: float = 0.5

    def __post_init__(self) -> None:
        check_numbers(1, mem_size=self.mem_size, batch_size_mem=self.batch_size_mem)
        check_numbers(0, alpha=self.alpha, beta=self.beta)
        _check_memory(self.mem_size, self.batch_size_mem)

    def begin_task(self, strategy: Any, run: TrainsSeed, phase: int) -> None:
        """Draw from the memory as tensors."""
        _hold_memory(strategy, run, phase)

    def go_on(self, strategy: Any, run: TrainsSeed, steps: int) -> None:
        """Draw what was drawn."""
        for _ in range(steps if strategy.replay_loader is not None else 0):
            next(strategy.replay_loader)


@avalanche_strategies.register("er-ace")
@dataclass(frozen=True)
class ERACE(AvalancheStrategy):
    """Avalanche's ER-ACE: the new task's loss looks at the classes of its own batch alone, the memory's at all.

    Caccia et al. 2022 (arXiv 2104.05025), equation 5, with the mean of both losses. The memory holds the new task's samples
    from its beginning. A class whose probability underflows makes avalanche's loss NaN.

    Args:
        mem_size: samples in memory, at least 1.
        batch_size_mem: samples of the memory at a step.
    """

    template: ClassVar[str] = "ER_ACE"
    carried: ClassVar[tuple[str, ...] | None] = _of("storage_policy", *GROUPS)
    classes_only: ClassVar[str | None] = BY_CLASS
    mem_size: int = 200
    batch_size_mem: int = 10

    def __post_init__(self) -> None:
        check_numbers(1, mem_size=self.mem_size, batch_size_mem=self.batch_size_mem)
        _check_memory(self.mem_size, self.batch_size_mem)

    def begin_task(self, strategy: Any, run: TrainsSeed, phase: int) -> None:
        """Draw from the memory as tensors."""
        _hold_memory(strategy, run, phase)

    def go_on(self, strategy: Any, run: TrainsSeed, steps: int) -> None:
        """Draw what was drawn."""
        for _ in range(steps if strategy.replay_loader is not None else 0):
            next(strategy.replay_loader)


def _hold_memory(strategy: Any, run: TrainsSeed, phase: int) -> None:
    """Put an equal loader that reads from tensors in the place of avalanche's, which reads sample by sample."""
    if strategy.replay_loader is not None:
        held = read_dataset(strategy.storage_policy.buffer)
        draw = generator(run.seed, "avalanche-memory", phase)
        strategy.replay_loader = endless(held, strategy.batch_size_mem, draw, whole=True)


@avalanche_strategies.register("mir")
@dataclass(frozen=True)
class MIR(AvalancheStrategy):
    """Avalanche's MIR: the remembered samples whose loss the step would raise most are trained on along.

    Aljundi et al. 2019 (arXiv 1908.04742). Classes of the last batch before a task's end are left out of the memory: where all
    tasks share their classes it stays empty, and training equals naive (the result then says so).

    Args:
        mem_size: samples in memory, at least 1.
        subsample: samples of the memory looked at in a step.
        batch_size_mem: those of them that are trained on.
    """

    template: ClassVar[str] = "MIR"
    carried: ClassVar[tuple[str, ...] | None] = (
        *_of("MIRPlugin.storage_policy", *GROUPS), *_of("MIRPlugin", "recent", "random", "drawn"),
    )  # fmt: skip
    classes_only: ClassVar[str | None] = BY_CLASS
    mem_size: int = 200
    subsample: int = 200
    batch_size_mem: int = 10

    def __post_init__(self) -> None:
        check_numbers(1, mem_size=self.mem_size, subsample=self.subsample, batch_size_mem=self.batch_size_mem)
        _check_memory(self.mem_size, self.batch_size_mem)

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse a choice of more samples than are looked at."""
        super().check(network, stream, policy)
        if self.subsample < self.batch_size_mem:
            raise InputError(f"subsample={self.subsample} must be at least batch_size_mem={self.batch_size_mem}")

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Remember what avalanche's loader is made of, and how far it is."""
        plugin = find_plugin(strategy, "MIRPlugin")
        plugin.recent, plugin.random, plugin.drawn = [], None, 0
        end_task = plugin.after_training_exp

        def after_training_exp(strategy: Any, **more: Any) -> None:
            end_task(strategy, **more)
            plugin.recent = strategy.mb_y.unique().tolist()
            plugin.random, plugin.drawn = None, 0

        plugin.after_training_exp = after_training_exp

    def begin_task(self, strategy: Any, run: TrainsSeed, phase: int) -> None:
        """Make avalanche's loader anew, as one that knows how far it is."""
        plugin = find_plugin(strategy, "MIRPlugin")
        groups = plugin.storage_policy.buffer_groups
        kept = [memory.buffer for key, memory in groups.items() if int(key) not in plugin.recent]
        held = importlib.import_module("avalanche.benchmarks.utils").concat_datasets(kept)
        large = len(held) > self.batch_size_mem
        plugin.replay_loader = Passes(plugin, DataLoader(held, self.subsample, shuffle=True)) if large else None

    def go_on(self, strategy: Any, run: TrainsSeed, steps: int) -> None:
        """Draw the pass again that was begun."""
        plugin = find_plugin(strategy, "MIRPlugin")
        if plugin.replay_loader is not None:
            plugin.replay_loader.go_on()


class Passes:
    """Batches of a loader without end, as avalanche draws them; the orders are drawn from the global generator.

    Args:
        plugin: notes the generator's state at the beginning of the pass, and how many of its batches were drawn.
        loader: gives the batches of a pass.
    """

    def __init__(self, plugin: Any, loader: "DataLoader[Any]") -> None:
        self.plugin, self.loader = plugin, loader
        self.batches: Iterator[Any] = iter(())

    def __next__(self) -> Any:
        batch = next(self.batches, None)
        if batch is None:
            self.plugin.random, self.plugin.drawn = torch.get_rng_state(), 0
            self.batches = iter(self.loader)
            batch = next(self.batches)
        self.plugin.drawn += 1
        return batch

    def go_on(self) -> None:
        """Draw the batches again that were drawn of the pass, and leave the global generator as it is."""
        if self.plugin.random is None:
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.plugin.random)
            self.batches = iter(self.loader)
            for _ in range(self.plugin.drawn):
                next(self.batches)
