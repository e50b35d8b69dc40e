"""Tells a constant learning rate, after a warm-up perhaps, from one that a schedule lets decay."""

from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

DECAY = {
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "StepLR",
}
"""Schedulers of torch that lower the rate, whatever their arguments."""

FALLEN = 0.95
"""A rate below this part of its highest value has fallen; a warm-up only rises."""


class FallingRate:
    """Warns once, at the start or as soon as it is seen, that the learning rate of a run does not stay constant.

    Args:
        trainer: The trainer of the run, before the first batch.
    """

    def __init__(self, trainer: Any) -> None:
        self._highest: dict[tuple[int, int], float] = {}  # optimizer and group -> rate
        self._said = False
        names = {type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs}
        if names & DECAY:
            self._say(f"{', '.join(sorted(names & DECAY))} lets it decay")

    def look(self, trainer: Any) -> None:
        """Look at the rates at the end of an epoch."""
        for number, optimizer in enumerate(trainer.optimizers):
            for index, group in enumerate(optimizer.param_groups):
                rate = float(group["lr"])
                highest = max(rate, self._highest.get((number, index), rate))
                self._highest[number, index] = highest
                if rate < FALLEN * highest:
                    self._say(f"it fell from {highest:.3g} to {rate:.3g} by epoch {trainer.current_epoch}")

    def _say(self, what: str) -> None:
        if self._said:
            return
        self._said = True
        rank_zero_warn(
            f"EarlyCooldown expects a constant learning rate, but {what}. The metric follows the schedule, so that the "
            "rule may fire too early or too late, and the cooldown begins at the lower rate. Leave the decay out (a "
            "warm-up may stay): the cooldown lets the rate decay to zero."
        )
