"""What stands between avalanche's own classes and the runner: batches, optimiser and steps are the runner's."""

from typing import Any

from kancl.models.architecture import BACKWARD


class Steered:
    """What is put before avalanche's own class: batches, optimiser and number format are the runner's."""

    run: Any
    """The :class:`runners.avalanche.seed_run.SeedRun`."""

    def make_train_dataloader(self: Any, **more: Any) -> None:
        """Give the batches of exactly as many steps as the policy takes."""
        self.dataloader = self.run.batches_of_call(self)

    def make_optimizer(self: Any, **more: Any) -> None:
        """Train what is to be trained, with the state that the policy keeps: avalanche would take in every parameter, and keep
        all state."""
        self.optimized_param_id = dict(self.model.named_parameters())
        self.run.renew_optimizer(self)

    def optimizer_step(self: Any) -> None:
        """Take a step as the policy does."""
        self.run.updates.step()

    def backward(self: Any) -> None:
        """Go backward; an error is the network's until something better is known."""
        with BACKWARD:
            super().backward()  # type: ignore[misc]

    def _make_empty_loss(self: Any) -> Any:
        return next(self.model.parameters()).new_zeros(1)


class Silent:
    """Stands where avalanche has its evaluation, and does nothing."""

    def get_last_metrics(self) -> dict[str, float]:
        """Return nothing."""
        return {}
