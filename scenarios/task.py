"""What a scenario is: an ordered sequence of tasks with its loss, its scores and its incremental setting."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.precedence import laid_over
from scenarios.arrays import as_tensor

Loss = Literal["mse", "cross-entropy"]
Operator = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
"""Takes a network u and inputs x (S, B, I); returns what is trained to meet the training targets, (S, B, R)."""
Setting = Literal["domain", "class", "task"]
MOST_IDLE = 100
"""Output units that may be no sample's label where ``outputs`` is not declared; more, and labels are taken for ids."""
MOST_OUTPUTS = 1 << 20
"""Far beyond the classes of every published data set; a network of more would not fit into memory."""
NAMED = 5
"""Things that one line names one by one."""


@dataclass(frozen=True, eq=False)
class Task:
    """The unit that is learned and then forgotten.

    Args:
        name: unique in its scenario.
        train: the training samples, inputs (N, I) and targets: (N, O) numbers for regression, (N,) class numbers for
            classification. Whatever numpy reads as real numbers is accepted (:mod:`scenarios.arrays`); whole numbers become
            int64, and tensors are taken out of their graph and to the CPU.
        test: the test samples, of the same form.
        active: the output units in use while this task is trained and tested (a head of its own); None for all. Targets are
            counted over all output units, not within the head.

    Raises:
        InputError: no pairs of inputs and targets, or what cannot be read as numbers. Shapes and values are checked with the
            whole scenario (:func:`scenarios.check_scenario`).

    >>> Task("a", train=([[0.0], [1.0]], [[0.0], [2.0]]), test=([[0.5]], [[1.0]])).train[0].shape
    torch.Size([2, 1])
    """

    name: str
    train: tuple[Any, Any]
    test: tuple[Any, Any]
    active: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            pair = getattr(self, part)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise InputError(f"task {self.name!r}: {part} must be a pair (inputs, targets), got {type(pair).__name__}")
            x, y = pair
            object.__setattr__(self, part, (_tensor(x, self.name, f"{part} inputs"), _tensor(y, self.name, f"{part} targets")))
        if self.active is not None:
            try:
                object.__setattr__(self, "active", tuple(map(index, self.active)))
            except TypeError as error:
                raise InputError(f"task {self.name!r}: active must list output units by number, got {self.active!r}") from error


@dataclass(frozen=True)
class Advice:
    """What suits a scenario where the user says nothing; all of it is stored with the results and can be overridden.

    Args:
        architectures: options by architecture name, e.g. ``{"kan": {"hidden": (16,)}}``.
        optimizers: the optimiser by architecture name; Adam for the others.
        policies: numbers by optimiser name, e.g. ``{"adam": {"lr": 1e-3, "epochs": 10}}``.
        own_policies: by architecture name, numbers by optimiser name that replace those of ``policies`` one by one, e.g.
            ``{"kan": {"adam": {"lr": 1e-2}}}``.

    >>> advice = Advice(policies={"adam": {"lr": 1e-3, "steps": 100}}, own_policies={"kan": {"adam": {"lr": 1e-2}}})
    >>> advice.policies_of("kan"), advice.policies_of("mlp")
    ({'adam': {'lr': 0.01, 'steps': 100}}, {'adam': {'lr': 0.001, 'steps': 100}})
    """

    architectures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimizers: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    own_policies: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def policies_of(self, architecture: str) -> dict[str, dict[str, Any]]:
        """Return the numbers by optimiser name for one architecture.

        Args:
            architecture: its name; one without numbers of its own gets those of ``policies``.
        """
        found = {optimizer: dict(numbers) for optimizer, numbers in self.policies.items()}
        for optimizer, own in self.own_policies.get(architecture, {}).items():
            found[optimizer] = laid_over(found.get(optimizer, {}), own)
        return found


@dataclass(frozen=True, eq=False)
class Scenario:
    """An ordered sequence of tasks.

    Args:
        tasks: in the order in which they are learned.
        loss: ``mse`` for regression (scored by RMSE) or ``cross-entropy`` for classification (scored by accuracy).
        outputs: output units of the network; taken from the tasks if not given: of a classification one for every number up
            to the largest label, which is refused where more than 100 of them would be idle (:func:`scenarios.remap`).
        setting: what changes from task to task: the inputs (domain), the set of classes (class), or the head (task). Tasks
            name their ``active`` outputs in the last setting and only there: knowing them at test time gives the task away.
        domain: the range (low, high) of every input, for grids; taken from the inputs of all tasks and of pretraining if
            not given.
        test_is_train: says that the test samples are the training samples on purpose.
        target: the noiseless function (N, 1) -> (N, O) of a one-dimensional regression, for figures; where it depends on the
            seed no figure of it is drawn.
        advice: what suits this scenario.
        pretrain: tasks that are learned together before the sequence begins and are never scored.
        blur: how far neighbouring tasks run into each other, 0 (one after another) to 1 (the mixture never stands still).
        operator: what is trained instead of the outputs themselves, for example a differential operator of them
            (:mod:`scenarios.tools.differential`): called with the network u, (S, B, I) -> (S, B, O), and inputs x (S, B, I), it
            returns values (S, B, R), differentiable in u's parameters, value s of u's seed s alone. The training targets
            (N, R) are then its values, the test targets (N, O) the network's as ever. It needs the loss ``mse`` and outputs
            that all tasks share, is the same for every seed, and keeps no tensors of its own on one device. None trains the
            outputs.
        overlap: shares of mass that the tasks' input distributions have in common where they are known, each (T, T): ``joint``
            and ``marginal``, the mean over inputs.
        image_shape: how the inputs of a sample make a picture, (height, width) or (height, width, channels); for figures.
        files: the SHA-256 of every data file that was read, by name; other data are another experiment.

    Raises:
        InputError: ``outputs`` is to be taken from labels that are ids.

    >>> halves = [Task(name, ([[x]], [[x]]), ([[x + 0.1]], [[x + 0.1]])) for name, x in (("left", -0.5), ("right", 0.5))]
    >>> scenario = Scenario(halves, "mse")
    >>> scenario.inputs, scenario.outputs, [float(end) for end in scenario.input_range()]
    (1, 1, [-0.5, 0.6])
    """

    tasks: tuple[Task, ...]
    loss: Loss
    outputs: int | None = None
    setting: Setting = "domain"
    domain: tuple[tuple[float, float], ...] | None = None
    test_is_train: bool = False
    target: Callable[[Tensor], Tensor] | None = None
    advice: Advice = Advice()
    pretrain: tuple[Task, ...] = ()
    blur: float = 0.0
    operator: Operator | None = None
    overlap: Mapping[str, Tensor] = field(default_factory=dict)
    image_shape: tuple[int, ...] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "pretrain", tuple(self.pretrain))
        domain: Any = self.domain
        if isinstance(domain, Tensor | np.ndarray):
            object.__setattr__(self, "domain", domain.tolist())
        if self.outputs is None and self.tasks and all(isinstance(task, Task) for task in self.all_tasks):
            object.__setattr__(self, "outputs", self._outputs_of_tasks())

    @property
    def all_tasks(self) -> tuple[Task, ...]:
        """Every task whose samples are seen: those of the sequence, then those of pretraining."""
        return (*self.tasks, *self.pretrain)

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.tasks[0].train[0].shape[1]

    def input_range(self) -> tuple[Tensor, Tensor]:
        """Return the low and the high end of every input, (I,) each; a constant input gets a range around its value."""
        if self.domain is not None:
            low, high = torch.tensor(self.domain, dtype=torch.float64).unbind(1)
        else:
            inputs = [x for task in self.all_tasks for x, _ in (task.train, task.test)]
            low = torch.stack([x.amin(0).double() for x in inputs]).amin(0)
            high = torch.stack([x.amax(0).double() for x in inputs]).amax(0)
        flat = low == high
        room = torch.where(low.abs() < 2.0**52, 0.5, low.abs() * 2.0**-20)  # beyond that a half is lost in rounding
        return torch.where(flat, low - room, low), torch.where(flat, high + room, high)

    def _outputs_of_tasks(self) -> int:
        parts = ("train", "test") if self.operator is None else ("test",)  # the training targets are then the operator's
        targets = [getattr(task, part)[1] for task in self.all_tasks for part in parts]
        if self.loss == "cross-entropy":
            return _units_for([y for y in targets if not y.is_floating_point()])
        return max(y.shape[-1] if y.ndim == 2 else 1 for y in targets)


def _units_for(labels: Sequence[Tensor]) -> int:
    """Return one output unit for every number up to the largest label.

    Raises:
        InputError: labels are ids, so that nearly all of these units would be idle.
    """
    used = sorted({label for y in labels for label in y.unique().tolist() if label >= 0})
    count = used[-1] + 1 if used else 1
    idle = count - len(used)
    if idle > MOST_IDLE:
        raise InputError(
            f"labels {listed(used)} would take {count:,} output units, one for every number from 0, and {idle:,} of them would "
            "be idle; number them from 0, the same way for all tasks and seeds: write Scenario(remap(tasks), ...), with "
            "'from scenarios import remap'" + (f"; who means all of them says outputs={count}" if count <= MOST_OUTPUTS else "")
        )
    return count


def listed(things: Sequence[object]) -> str:
    """Return the first few of things by name, and how many more there are."""
    shown = ", ".join(map(str, things[:NAMED]))
    return shown if len(things) <= NAMED else f"{shown} and {len(things) - NAMED:,} more"


def _tensor(value: Any, name: str, what: str) -> Tensor:
    try:
        return as_tensor(value, what)
    except InputError as error:
        raise InputError(f"task {name!r}: {error}") from error
