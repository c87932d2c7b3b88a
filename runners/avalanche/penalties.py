"""Avalanche's strategies that add to the loss: EWC, SI, MAS, RWalk and LwF."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from kancl.errors import InputError
from kancl.models import Network
from runners.avalanche.registry import avalanche_strategies
from runners.avalanche.strategy import AvalancheStrategy, TrainsSeed, check_numbers, find_plugin
from runners.config.policy import Policy
from runners.stream.stream import Stream


@avalanche_strategies.register("ewc")
@dataclass(frozen=True)
class EWC(AvalancheStrategy):
    """Avalanche's EWC as it is: importance is the squared mean gradient of batches.

    loss + ewc_lambda * sum_t sum_i F_ti (theta_i - theta*_ti)^2 with F_t the mean over batches of (mean gradient of the
    batch)^2, so F, and with it the strength, depends on the policy's batch size: at batch size 1 it is the empirical Fisher
    information (the native ``ewc:fisher=empirical`` with strength = 2 ewc_lambda), at a full batch nearly 0 where the data
    are fitted. Strengths carry over neither between batch sizes nor from papers. The penalty is added up in single precision.

    Args:
        ewc_lambda: of the penalty, >= 0.
        mode: ``separate`` keeps a penalty for each task, ``online`` one, with importance decaying.
        decay_factor: of ``online``, and only there.
    """

    template: ClassVar[str] = "EWC"
    carried: ClassVar[tuple[str, ...] | None] = ("EWCPlugin.saved_params", "EWCPlugin.importances")
    holds_parameters: ClassVar[bool] = True
    ewc_lambda: float = 1.0
    mode: Literal["separate", "online"] = "separate"
    decay_factor: float | None = None

    def __post_init__(self) -> None:
        check_numbers(0, ewc_lambda=self.ewc_lambda)
        if (self.mode == "online") != (self.decay_factor is not None):
            raise InputError(f"decay_factor goes with mode=online, got mode={self.mode} and decay_factor={self.decay_factor}")


@avalanche_strategies.register("si")
@dataclass(frozen=True)
class SI(AvalancheStrategy):
    """Avalanche's SynapticIntelligence, with its saved weights made copies (corrected).

    In avalanche 0.6.0 the weights that it saves are views of the live ones on the CPU, so that no parameter ever seems to have
    moved, all importances are 0, and training equals naive. Here they are copied; the rest is avalanche's: the gradient in
    the path integral includes the penalty's, importances are clamped to at most 0.001, and negative ones are kept.

    Args:
        si_lambda: twice the factor of the penalty, >= 0; in the thousands, since most importances are at the clamp.
        eps: damping, > 0.
    """

    template: ClassVar[str] = "SynapticIntelligence"
    carried: ClassVar[tuple[str, ...] | None] = ("SynapticIntelligencePlugin.ewc_data", "SynapticIntelligencePlugin.syn_data")
    corrected: ClassVar[bool] = True
    holds_parameters: ClassVar[bool] = True
    si_lambda: float = 1.0
    eps: float = 1e-7

    def __post_init__(self) -> None:
        check_numbers(0, si_lambda=self.si_lambda)
        if not self.eps > 0:
            raise InputError(f"eps must be > 0, got {self.eps}")

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Put the copying right behind avalanche's plugin."""
        plugin = find_plugin(strategy, "SynapticIntelligencePlugin")
        strategy.plugins.insert(strategy.plugins.index(plugin) + 1, Copied(plugin))


class Copied:
    """Turns what avalanche's SI has just saved from views of the live weights into copies."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    def before_training_exp(self, strategy: Any, **more: Any) -> None:
        """Copy the weights at the beginning of the task."""
        self._copy(self.plugin.ewc_data[0].values())

    def before_training_iteration(self, strategy: Any, **more: Any) -> None:
        """Copy the weights before the step."""
        self._copy(self.plugin.syn_data["old_theta"].values())

    @staticmethod
    def _copy(held: Iterable[Any]) -> None:
        for values in held:
            values.data = values.data.clone()


@avalanche_strategies.register("mas")
@dataclass(frozen=True)
class MAS(AvalancheStrategy):
    """Avalanche's MAS as it is: importance is the absolute mean gradient of batches.

    loss + lambda_reg * sum_i Omega_i (theta_i - theta*_i)^2, Omega the mean over batches of |d mean |y|^2 / d theta_i|, and
    over tasks Omega <- alpha Omega + (1 - alpha) Omega_t. The paper, and the native ``mas``, average the absolute gradients
    of single samples and add over tasks; they agree at batch size 1 after the first task (strength = 2 lambda_reg). Inactive
    outputs of a task's head count as 0.

    Args:
        lambda_reg: of the penalty, >= 0.
        alpha: what is left of old importance at the end of a task, 0..1.
    """

    template: ClassVar[str] = "MAS"
    carried: ClassVar[tuple[str, ...] | None] = ("MASPlugin.params", "MASPlugin.importance")
    holds_parameters: ClassVar[bool] = True
    lambda_reg: float = 1.0
    alpha: float = 0.5

    def __post_init__(self) -> None:
        check_numbers(0, lambda_reg=self.lambda_reg, alpha=self.alpha)
        if self.alpha > 1:
            raise InputError(f"alpha must be in 0..1, got {self.alpha}")

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Let inactive units be 0 while the norm of the outputs is differentiated, and a loss of 0 be a loss."""
        plugin = find_plugin(strategy, "MASPlugin")
        importance, penalise = plugin._get_importance, plugin.before_backward

        def with_zeros(strategy: Any) -> Any:
            with strategy.model.inactive_as(0.0):
                return importance(strategy)

        def of_any_loss(strategy: Any, **more: Any) -> None:
            if strategy.loss == 0:  # avalanche takes it for one that is missing, and raises an error
                strategy.loss = strategy.loss + torch.finfo(strategy.loss.dtype).tiny
            penalise(strategy, **more)

        plugin._get_importance, plugin.before_backward = with_zeros, of_any_loss


@avalanche_strategies.register("rwalk")
@dataclass(frozen=True)
class RWalk(AvalancheStrategy):
    """Avalanche's RWalk as it is: EWC++ importance with a path score.

    Chaudhry et al. 2018 (arXiv 1801.10112). Importance is the moving average of squared mean gradients of batches, so it
    depends on the batch size; both terms of the penalty are scaled by their largest value. Each step takes a second
    backward pass.

    Args:
        ewc_lambda: of the penalty, >= 0.
        ewc_alpha: weight of the newest gradient in the moving average, 0..1.
        delta_t: steps between two updates of the score; no more than a task has.
    """

    template: ClassVar[str] = "Naive"
    carried: ClassVar[tuple[str, ...] | None] = tuple(
        f"RWalkPlugin.{name}"
        for name in (
            "checkpoint_loss", "checkpoint_scores", "checkpoint_params", "iter_grad", "iter_importance", "iter_params",
            "exp_scores", "exp_params", "exp_importance", "exp_penalties",
        )
    )  # fmt: skip
    holds_parameters: ClassVar[bool] = True
    ewc_lambda: float = 0.1
    ewc_alpha: float = 0.9
    delta_t: int = 10

    def __post_init__(self) -> None:
        check_numbers(0, ewc_lambda=self.ewc_lambda, ewc_alpha=self.ewc_alpha)
        check_numbers(1, delta_t=self.delta_t)
        if self.ewc_alpha > 1:
            raise InputError(f"ewc_alpha must be in 0..1, got {self.ewc_alpha}")

    def check(self, network: Network, stream: Stream, policy: Policy) -> None:
        """Refuse tasks that end before the first score: avalanche would divide 0 by 0."""
        super().check(network, stream, policy)
        least = min(policy.steps_per_task(samples.x.shape[1]) for samples in stream.train)
        if least < self.delta_t:
            raise InputError(f"delta_t={self.delta_t} must not exceed the steps of a task, and the shortest has {least}")

    def arguments(self) -> dict[str, Any]:
        """Avalanche has RWalk as a plugin only."""
        return {}

    def prepare(self, strategy: Any, run: TrainsSeed) -> None:
        """Add avalanche's plugin, before its clock, which counts last."""
        made = importlib.import_module("avalanche.training.plugins").RWalkPlugin(self.ewc_lambda, self.ewc_alpha, self.delta_t)
        strategy.plugins.insert(1, made)


@avalanche_strategies.register("lwf")
@dataclass(frozen=True)
class LwF(AvalancheStrategy):
    """Avalanche's LwF: the outputs of the last task's network are distilled on the new task's samples.

    loss + alpha KL(softmax(y_old / T), softmax(y / T)) over the classes seen before, without the factor T^2 of Hinton et al.;
    in the task setting over each old head's own. Li and Hoiem 2016 (arXiv 1606.09282).

    Args:
        alpha: of the distillation, >= 0.
        temperature: T, > 0.
    """

    template: ClassVar[str] = "LwF"
    carried: ClassVar[tuple[str, ...] | None] = (
        "LwFPlugin.lwf.prev_model",
        "LwFPlugin.lwf.expcount",
        "LwFPlugin.lwf.prev_classes_by_task",
    )
    classes_only: ClassVar[str | None] = "it distils softmax probabilities; the native lwf distils outputs as well"
    alpha: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_numbers(0, alpha=self.alpha)
        if not self.temperature > 0:
            raise InputError(f"temperature must be > 0, got {self.temperature}")
