"""torch's fused Adam and AdamW without what ``torch.optim`` does around them: most of the time of a small network's step."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from runners.config import Policy


class DirectAdam:
    """Adam or AdamW, bit for bit as ``torch.optim`` computes it with ``fused=True``.

    The optimiser inside takes the first step, which makes its state, and every step in which some parameter has no gradient;
    in the others its state goes straight to the fused kernel.
    """

    def __init__(self, optimizer: Adam | AdamW) -> None:
        self.optimizer = optimizer
        (group,) = optimizer.param_groups
        self.parameters: list[nn.Parameter] = group["params"]
        self.values = [parameter.detach() for parameter in self.parameters]
        self.moments: tuple[list[Tensor], ...] = ()
        self.one = torch.ones((), device=self.parameters[0].device)
        self.kernel = torch._fused_adamw_ if isinstance(optimizer, AdamW) else torch._fused_adam_
        beta1, beta2 = group["betas"]
        self.numbers = {
            "lr": group["lr"], "beta1": beta1, "beta2": beta2, "eps": group["eps"], "weight_decay": group["weight_decay"],
            "amsgrad": False, "maximize": False,
        }  # fmt: skip

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
        self.kernel(self.values, gradients, averages, squares, [], steps, **self.numbers)

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
        self._find_moments()

    def _find_moments(self) -> None:
        states = [self.optimizer.state[parameter] for parameter in self.parameters]
        if all(states):
            self.moments = tuple([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))


def make_optimizer(parameters: list[nn.Parameter], policy: Policy) -> DirectAdam | Optimizer:
    """Return the policy's optimiser of stacked parameters; Adam, AdamW and SGD act on each number alone."""
    if policy.optimizer == "sgd":
        return SGD(parameters, lr=policy.lr, momentum=policy.momentum, weight_decay=policy.weight_decay, fused=True)
    kind = {"adam": Adam, "adamw": AdamW}[policy.optimizer]
    on_gpu = parameters[0].is_cuda  # there the number of steps is a tensor of the GPU, so that a graph can count on
    return DirectAdam(kind(parameters, lr=policy.lr, weight_decay=policy.weight_decay, fused=True, capturable=on_gpu))
