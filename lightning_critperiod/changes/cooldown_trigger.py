"""When a cooldown begins: the rule fired, the planned end or a budget comes near, or it is asked for."""

import math
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info

from lightning_critperiod.changes.budget_meter import BudgetMeter
from lightning_critperiod.changes.cooldown import CooldownChange

CHECKPOINT = "before_cooldown.ckpt"
REQUEST = "cool_down"
"""A file of this name in the run's folder asks for the cooldown."""


class CooldownTrigger:
    """Begins the cooldown of one run.

    Args:
        change: The cooldown.

    Attributes:
        asked: Whether the user has asked for it.
    """

    def __init__(self, change: CooldownChange) -> None:
        self.change = change
        self.config = change.cooldown
        self.meter = BudgetMeter(self.config.budget)
        self.asked = False
        self._planned: int | None = None
        self._folder = Path()

    def forget(self) -> None:
        """A new run starts."""
        self.asked = False
        self.change.forget()
        self.meter.forget()

    def start(self, trainer: Any, planned: int | None) -> None:
        """Training starts, with whatever state was restored.

        Args:
            trainer: Of the run.
            planned: Number of epochs; None for a run without a last epoch.
        """
        self._planned = planned
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # all ranks call it: log_dir is a collective
        if self.change.start_epoch is None:
            self.meter.start(trainer)

    def decide(self, trainer: Any, finished: int, fired: bool, steps: float) -> bool:
        """Decide after ``finished`` epochs. Every rank calls it; rank 0 decides.

        Args:
            trainer: Of the run.
            finished: Number of epochs that are over.
            fired: Whether the rule has said that the period is over.
            steps: Optimizer steps of an epoch of the cooldown.

        Returns:
            Whether the cooldown begins now.
        """
        if self.change.start_epoch is not None:
            return False
        self.asked = bool(trainer.strategy.reduce_boolean_decision(self._is_asked(), all=False))
        length, reason = trainer.strategy.broadcast(self._decision(trainer, finished, fired, steps))
        if not reason:
            return False
        self._keep_checkpoint(trainer, finished)
        epochs = f"{length:.4g} epoch{'' if length == 1 else 's'}"
        self.change.begin(finished, length, f"cooldown of {epochs} begins with epoch {finished}: {reason}")
        rank_zero_info(self.change.reason)
        return True

    def _keep_checkpoint(self, trainer: Any, finished: int) -> None:
        """The checkpoint of the moment before: a run that is resumed from it goes on at the full rate."""
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if folder is None or finished == 0 or trainer.fast_dev_run:
            return
        self.change.undone = True
        try:
            trainer.save_checkpoint(Path(folder) / CHECKPOINT, weights_only=False)
        finally:
            self.change.undone = False

    def _decision(self, trainer: Any, finished: int, fired: bool, steps: float) -> tuple[float, str]:
        """Length in epochs, and why; without a reason it does not begin."""
        left = self._left(trainer, finished, steps)
        room, limit = self.meter.affordable()
        whole = room if room == math.inf else math.floor(room)
        length = min(float(self.config.epochs(finished)), left, max(1.0, whole))
        if length <= 0:
            return 0.0, ""
        late_enough = finished + length >= (trainer.min_epochs or 0)
        if fired and late_enough and not self.change.undone:
            return length, "the period is over"
        if self.asked and late_enough:
            return length, "it was asked for"
        # One more epoch, and the cooldown would not fit any more.
        longer = 1 + self.config.epochs(finished + 1)
        if longer > left:
            return left, f"in time for the end of the run after {finished + left:.4g} epochs"
        return (length, f"in time for the {limit}") if longer > room else (0.0, "")

    def _left(self, trainer: Any, finished: int, steps: float) -> float:
        """Epochs up to the planned end, infinite without one."""
        by_epochs = math.inf if self._planned is None else self._planned - finished
        by_steps = (trainer.max_steps - trainer.global_step) / steps if trainer.max_steps != -1 else math.inf
        return min(by_epochs, by_steps)

    def _is_asked(self) -> bool:
        return self.asked or (self._folder / REQUEST).is_file()
