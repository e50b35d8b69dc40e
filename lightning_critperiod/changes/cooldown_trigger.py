"""When a cooldown begins: the rule fired, the planned end or a budget comes near, or it is asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from lightning_critperiod.changes.budget_meter import BudgetMeter
from lightning_critperiod.changes.cooldown import CooldownChange
from lightning_critperiod.detector import Detector
from lightning_critperiod.lightning_seam import optimizer_steps, unfinished_batches

CHECKPOINT = "before_cooldown.ckpt"
"""The moment before, beside the files of ModelCheckpoint: a run that is resumed from it goes on at the full rate."""
SHORTEST = 2
"""Epochs of full size for which the budget must have room to begin with one that is priced before the cooldown."""
REQUEST = "cool_down"
"""A file of this name in the run's folder asks for the cooldown; it is deleted when that begins."""


@dataclass(frozen=True)
class Start:
    """That a cooldown begins now.

    Args:
        epochs: Its length.
        why: What it is for, in words.
    """

    epochs: float
    why: str


class CooldownTrigger:
    """Begins the cooldown of one run.

    Args:
        change: The cooldown.

    Attributes:
        asked: Whether somebody has asked for it.
    """

    def __init__(self, change: CooldownChange) -> None:
        self.change = change
        self.config = change.cooldown
        self.meter = BudgetMeter(self.config.budget)
        self.asked = False
        self._asked_because = "a cooldown was requested"
        self._planned: int | None = None
        self._folder = Path()

    def forget(self) -> None:
        """A new run starts."""
        self.change.forget()
        self.meter.forget()

    def ask(self, why: str) -> None:
        """Let it begin as soon as it may."""
        self.asked, self._asked_because = True, why

    def agree(self, trainer: Any) -> str | None:
        """Let what one rank was asked for hold on all of them. Every rank calls it.

        Returns:
            The request.
        """
        self.asked = bool(trainer.strategy.reduce_boolean_decision(self.asked, all=False))
        return self.request

    @property
    def request(self) -> str | None:
        """Why it was asked for, where it has not begun yet."""
        return self._asked_because if self.asked else None

    def load(self, states: Mapping[str, Any], budget: Mapping[str, Any] | None, request: str | None) -> None:
        """Take back the states of the change and of the budget, and a request; an older checkpoint has none."""
        if self.change.name in states:
            self.change.load_state_dict(states[self.change.name])
        if budget:
            self.meter.load(budget)
        if request:
            self.ask(request)

    def start(self, trainer: Any, planned: int | None) -> None:
        """Training starts, with whatever state was restored.

        Args:
            trainer: The trainer of the run.
            planned: Number of epochs; None for a run without a last epoch.
        """
        self._planned = planned
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # all ranks call it: log_dir is a collective
        self.meter.start(trainer, refuses=self.change.start_epoch is None)

    def decide(self, trainer: Any, finished: int, fired: bool, batches: float) -> Start | None:
        """Decide after ``finished`` epochs. Every rank calls it; rank 0 decides.

        Args:
            trainer: The trainer of the run.
            finished: Number of epochs that are over.
            fired: Whether the rule has said that the period is over.
            batches: Length of an epoch of the cooldown; infinite where it is not known.

        Returns:
            The cooldown that begins now; None if there is none or has been one.
        """
        if self.change.start_epoch is not None:
            return None
        if not self.asked and (self._folder / REQUEST).is_file():
            self.ask("a cooldown was requested")
        self.agree(trainer)
        found = trainer.strategy.broadcast(self._decision(trainer, finished, fired, batches))
        if found is None:
            return None
        if not found[0]:
            self.meter.full_epoch = finished
            rank_zero_info(f"batches of full size from epoch {finished} on: {found[1]}")
            return None
        self.asked = False  # nor does the checkpoint that is saved before it ask for it
        return Start(*found)

    def keep_checkpoint(self, trainer: Any) -> None:
        """Save the moment before. Every rank calls it; without a ModelCheckpoint nothing is saved."""
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if folder is not None and not trainer.fast_dev_run:
            trainer.save_checkpoint(Path(folder) / CHECKPOINT, weights_only=False)

    def begin(self, trainer: Any, finished: int, start: Start) -> None:
        """Let the cooldown begin after ``finished`` epochs."""
        if trainer.is_global_zero:
            (self._folder / REQUEST).unlink(missing_ok=True)
        epochs = f"{start.epochs:.4g} epoch{'' if start.epochs == 1 else 's'}"
        when = f"after epoch {finished - 1}" if finished else "from the first epoch on"
        self.change.begin(finished, start.epochs, f"cooldown of {epochs} {when}: {start.why}")
        rank_zero_info(self.change.reason)

    def shorten(self, trainer: Any, finished: int, batches: float) -> None:
        """Let a cooldown whose epochs cost more than they were priced end inside the budget all the same.

        One that is resumed with a smaller ``max_epochs`` ends with that. It has one more epoch at least, in which the
        rate decays to zero. Every rank calls it; rank 0 decides.

        Args:
            trainer: The trainer of the run.
            finished: Number of epochs that are over.
            batches: Length of an epoch of the cooldown; infinite where it is not known.
        """
        start = self.change.start_epoch
        if start is None or start >= finished or unfinished_batches(trainer):
            return
        left = start + self.change.length - finished
        planned = (math.inf if self._planned is None else float(self._planned - finished), "max_epochs")
        room, limit = trainer.strategy.broadcast(min(self.meter.remaining(batches), planned))
        if left <= 1 or room >= left - 1e-9:
            return
        length = finished - start + max(1, math.floor(room + 1e-9))
        epochs = f"{length} epoch{'' if length == 1 else 's'}"
        self.change.shorten(float(length), f"{epochs} because of {limit}")
        rank_zero_info(self.change.reason)

    def warn_of_endless_epoch(self, trainer: Any, batches: float) -> None:
        """Warn, before the first batch, in a run that is not sure to have a second epoch, with which a cooldown begins.

        Args:
            trainer: The trainer of the run.
            batches: Length of an epoch; infinite where it is not known.
        """
        ends_within = trainer.max_steps != -1 or self.meter.limits  # the sign of a stream that does not come to an end
        if batches < math.inf or self.change.start_epoch is not None or not ends_within:
            return
        rank_zero_warn(
            "A cooldown begins with an epoch, and the train dataloader has no length: unless its data comes to an end, "
            "no cooldown begins, whatever a rule, a budget or max_steps says. Give limit_train_batches=N, after which "
            "an epoch ends."
        )

    def warn_of_no_end(self, trainer: Any, finished: int, detector: Detector) -> None:
        """Warn, after 1, 2, 4, 8, ... epochs, in a run that nothing can end because its rule has no values (any more).

        Args:
            trainer: The trainer of the run.
            finished: Number of epochs that are over.
            detector: Has the rule and the values.
        """
        ends = self._planned is not None or trainer.max_steps != -1 or self.meter.limits
        others = self.change.start_epoch is not None or trainer.early_stopping_callback
        if ends or others or not detector.rule.reads_signal:
            return
        last = max((epoch for epoch, value in detector.history.items() if math.isfinite(value)), default=-1)
        without = finished - 1 - last
        is_usual = without < (trainer.check_val_every_n_epoch or 1) or 2 * without <= finished
        if is_usual or finished & (finished - 1):
            return
        since = f"since epoch {last}" if last >= 0 else "so far"
        rank_zero_warn(
            f"Nothing ends this run: it has max_epochs=-1, and its rule has had no finite value of {detector.name} "
            f"{since}, in {without} epoch{'s' * (without != 1)}. To let it cool down and end, create the file "
            f"{self._folder.absolute() / REQUEST}. Log the metric, or give max_epochs or a Budget, before you start it "
            "again."
        )

    def finish(self, trainer: Any, finished: int) -> None:
        """Training ends after ``finished`` epochs: say it if that is before the end of a cooldown."""
        self.asked = False
        last, all_steps = self.change.last_epoch, 0 <= trainer.max_steps <= trainer.global_step
        if trainer.fast_dev_run or (last is not None and (all_steps or finished > last)):
            return
        until = "its cooldown could begin" if last is None else f"the cooldown was over in epoch {last}"
        rank_zero_warn(
            f"The run ended after epoch {finished - 1}, before {until}, so its learning rate has not decayed to zero: "
            "something else stopped it, such as max_steps in an epoch of unknown length, another callback, or "
            "EarlyStopping at a value that is not finite."
        )

    def _decision(self, trainer: Any, finished: int, fired: bool, batches: float) -> tuple[float, str] | None:
        """Length in epochs, and why; a length of 0 means that batches have their full size first."""
        left = self._left(trainer, finished, batches)
        room, limit = self.meter.affordable(batches)
        longest = min(left, room if room == math.inf else max(1.0, math.floor(room)))
        length = min(float(self.config.epochs(finished)), longest)
        if length <= 0:
            return None
        asked = self.asked and not unfinished_batches(trainer)  # which begins with an epoch
        if (fired or asked) and self._is_late_enough(trainer, finished, length, batches):
            return length, "the rule fired" if fired else self._asked_because
        # One more epoch, and the cooldown would not fit any more.
        later = self.config.epochs(finished + 1)
        if 1 + later > left:
            return longest, f"in time for the end of the run after {finished + left:.4g} epochs"
        fitting = self.meter.affordable(batches, first=1)[0]
        if self.meter.guesses and self.meter.full_epoch is None and room >= SHORTEST:
            return (0.0, f"what the cooldown costs has to be known for the {limit}") if 1 + later > fitting else None
        return (length, f"in time for the {limit}") if later > fitting else None

    def _left(self, trainer: Any, finished: int, batches: float) -> float:
        """Epochs up to the planned end, infinite without one."""
        by_epochs = math.inf if self._planned is None else float(self._planned - finished)
        steps = optimizer_steps(trainer, batches)
        if trainer.max_steps == -1 or steps == math.inf:
            return by_epochs
        return min(by_epochs, float(trainer.max_steps - trainer.global_step) / steps)

    def _is_late_enough(self, trainer: Any, finished: int, length: float, batches: float) -> bool:
        """Whether a run that ends after so many epochs has as many epochs and steps as the Trainer asks for."""
        steps = trainer.global_step + length * optimizer_steps(trainer, batches)
        return bool(finished + length >= (trainer.min_epochs or 0) and steps >= (trainer.min_steps or 0))
