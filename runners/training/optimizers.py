"""Optimisers of stacked parameters, made as a policy asks.

Adam and AdamW are torch's fused ones, without what ``torch.optim`` does around them: most of the time of a small network's
step.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from kancl.errors import InputError
from runners.config.policy import Kind, Policy
from runners.training.updates import LazyUpdates, TakesSteps
from runners.training.whole_vectors import WholeVectors, is_ragged


class DirectAdam:
    """Adam or AdamW, bit for bit as ``torch.optim`` computes it with ``fused=True``.

    The optimiser inside takes the first step, which makes its state, and every step in which some parameter has no gradient;
    in the others its state goes straight to the fused kernel. All parameters are of one group.
    """

    def __init__(self, optimizer: Adam | AdamW) -> None:
        self.optimizer = optimizer
        (group,) = optimizer.param_groups
        self.parameters: list[nn.Parameter] = group["params"]
        self.one = torch.ones((), device=self.parameters[0].device)
        self.kernel = torch._fused_adamw_ if isinstance(optimizer, AdamW) else torch._fused_adam_
        self._read()

    def set_rate(self, rate: float) -> None:
        """Take the coming steps with another learning rate."""
        self.numbers["lr"] = self.optimizer.param_groups[0]["lr"] = rate

    def step(self) -> None:
        """Take one step with the gradients that the parameters hold."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if not self.moments or len(gradients) < len(self.parameters):
            self.optimizer.step()
            self._find_moments()
            return
        averages, squares, steps = self.moments
        for step in steps:
            step.add_(self.one)
        # Taken anew at every step: `parameter.data = ...` and `module.to` give a parameter other storage.
        values = [parameter.detach() for parameter in self.parameters]
        self.kernel(values, gradients, averages, squares, [], steps, **self.numbers)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> Any:
        """Return torch's state of the optimiser."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Go on from a saved state."""
        self.optimizer.load_state_dict(state)
        self._read()

    def _read(self) -> None:
        """Take over what torch's optimiser holds."""
        (group,) = self.optimizer.param_groups
        beta1, beta2 = group["betas"]
        self.numbers = {name: group[name] for name in ("lr", "eps", "weight_decay", "amsgrad", "maximize")}
        self.numbers |= {"beta1": beta1, "beta2": beta2}
        self._find_moments()

    def _find_moments(self) -> None:
        states = [self.optimizer.state.get(parameter) for parameter in self.parameters]
        self.moments: tuple[list[Tensor], ...] = ()
        if all(states) and not self.numbers["amsgrad"]:
            self.moments = tuple([state[name] for state in states if state] for name in ("exp_avg", "exp_avg_sq", "step"))


KINDS: dict[str, Kind] = {"coef": "coefficients", "base": "base", "scale": "scales", "bias": "bias"}
"""The kind of a parameter by the last part of its name."""


def kind_of(name: str) -> Kind:
    """Return the kind of a parameter from its name in the network; what has no name of the table's is a weight.

    >>> kind_of("layers.0.coef"), kind_of("layers.1.weight")
    ('coefficients', 'weights')
    """
    return KINDS.get(name.rpartition(".")[2], "weights")


def make_optimizer(named: Iterable[tuple[str, nn.Parameter]], policy: Policy) -> TakesSteps:
    """Return the policy's optimiser of stacked parameters; Adam, AdamW and SGD act on each number alone.

    Args:
        named: the parameters to train, with their names.
        policy: any but that of L-BFGS.

    Raises:
        InputError: the policy's weight decay would touch none of the parameters.
    """
    groups = decay_groups(list(named), policy)
    make = partial(_make_ours, policy=policy)
    if any(is_ragged(parameter) for group in groups for parameter in group["params"]):
        return WholeVectors(make, groups)
    return make(groups)


def _make_ours(groups: list[dict[str, Any]], policy: Policy) -> TakesSteps:
    made = _make_torchs(groups, policy)
    optimizer = DirectAdam(made) if isinstance(made, Adam) and len(groups) == 1 else made
    return LazyUpdates(optimizer, made) if policy.lazy else optimizer


def torch_optimizer(named: Iterable[tuple[str, nn.Parameter]], policy: Policy) -> Adam | SGD:
    """Return what :func:`make_optimizer` computes as torch's own optimiser; what the policy's ``lazy`` says is left out."""
    return _make_torchs(decay_groups(list(named), policy), policy)


def _make_torchs(groups: list[dict[str, Any]], policy: Policy) -> Adam | SGD:
    return MAKERS[policy.optimizer](groups, policy)


def _adam(kind: type[Adam], groups: list[dict[str, Any]], policy: Policy) -> Adam:
    on_gpu = groups[0]["params"][0].is_cuda  # there the number of steps is a tensor of the GPU, so that a graph can count on
    return kind(groups, lr=policy.lr, weight_decay=policy.weight_decay, fused=True, capturable=on_gpu)


def _sgd(groups: list[dict[str, Any]], policy: Policy) -> SGD:
    return SGD(groups, lr=policy.lr, momentum=policy.momentum, weight_decay=policy.weight_decay, fused=True)


MAKERS: Mapping[str, Callable[[list[dict[str, Any]], Policy], Adam | SGD]] = {
    "adam": partial(_adam, Adam), "adamw": partial(_adam, AdamW), "sgd": _sgd,
}  # fmt: skip
"""What makes the optimisers of :data:`runners.config.optimizers.OPTIMIZERS` that search along no line; the others are made
seed by seed."""


def decay_groups(named: list[tuple[str, nn.Parameter]], policy: Policy) -> list[dict[str, Any]]:
    """Return the parameters in torch's groups: those that weight decay touches, and the others with a decay of 0."""
    if policy.decay_on == ("all",):
        return [{"params": [parameter for _, parameter in named]}]
    touched = [parameter for name, parameter in named if kind_of(name) in policy.decay_on]
    spared = [parameter for name, parameter in named if kind_of(name) not in policy.decay_on]
    if not touched:
        kinds = ", ".join(sorted({kind_of(name) for name, _ in named}))
        raise InputError(f"weight decay on {', '.join(policy.decay_on)} would touch nothing: this network has only {kinds}")
    return [{"params": touched}, *([{"params": spared, "weight_decay": 0.0}] if spared else [])]


def set_rate(optimizer: TakesSteps, rate: float) -> None:
    """Take the coming steps with another learning rate."""
    if isinstance(optimizer, LazyUpdates | WholeVectors):
        set_rate(optimizer.inner, rate)
    elif isinstance(optimizer, DirectAdam):
        optimizer.set_rate(rate)
    else:
        assert isinstance(optimizer, Optimizer)
        for group in optimizer.param_groups:
            group["lr"] = rate
