"""Step-wise learning-rate schedulers on the clock of the planned epochs, whatever an epoch really draws."""

import functools
import math
from collections.abc import Mapping
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from lightning_critperiod.lightning_seam import Overrides, steps_read, unfinished_batches


def due(batches: float, planned: int, frequency: int, accumulate: int) -> int:
    """Scheduler steps that Lightning takes in the first ``batches`` of an epoch of ``planned`` batches.

    One at every batch j with an optimizer step (j a multiple of ``accumulate``, or the last one) whose number is a
    multiple of ``frequency``.

    Returns:
        A number of steps.
    """
    done = math.floor(batches + 1e-9)
    steps = done // math.lcm(frequency, accumulate)
    last_is_extra = done >= planned and planned % accumulate != 0 and planned % frequency == 0
    return steps + last_is_extra


class EpochClock:
    """Steps the step-wise schedulers so that at each fraction of an epoch the LR is that of the planned epoch.

    After b of n batches the schedulers have had as many steps as after b N / n of the planned N, at the moment when
    Lightning would step them. A module whose ``lr_scheduler_step`` hands the number of the step on (timm's schedulers)
    reads in ``global_step`` the one that the planned run would be at. Lightning steps by itself as long as a run is as
    planned, and always under manual optimization, for loaders without a length, for ReduceLROnPlateau and for
    schedulers with interval "epoch".

    Args:
        trainer: The Trainer that fits.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.planned = math.inf
        self._first_step = 0
        self._steps: dict[int, int] = {}  # epoch -> optimizer steps that it was planned to take
        self._epoch = 0
        self._is_ahead = False  # the planned run is at another step than this one
        loop = trainer.fit_loop.epoch_loop
        update = loop.update_lr_schedulers
        self._overrides = Overrides()

        @functools.wraps(update)
        def update_lr_schedulers(interval: str, update_plateau_schedulers: bool) -> None:
            if interval == "step" and not update_plateau_schedulers and self._takes_over():
                self._step(loop.batch_idx)
            else:
                update(interval, update_plateau_schedulers=update_plateau_schedulers)

        self._overrides.put(loop, "update_lr_schedulers", update_lr_schedulers)

    def explain(self, planned: float) -> None:
        """Say which schedulers can't follow the planned epochs.

        Args:
            planned: Batches of an epoch of the full recipe; infinite where the loader has no length.
        """
        if self.trainer.lr_scheduler_configs and not self.trainer.lightning_module.automatic_optimization:
            rank_zero_info(
                "Under manual optimization LR schedulers are stepped by the module itself: CriticalPeriodCallback "
                "leaves them alone, so those that step once a batch follow the real length of the epochs."
            )
        elif planned == math.inf and any(_is_step_wise(config) for config in self.trainer.lr_scheduler_configs):
            rank_zero_warn(
                "The train dataloader has no length, so LR schedulers with interval 'step' can't follow the planned "
                "epochs and step once a batch, as they would without CriticalPeriodCallback."
            )

    def begin(self, epoch: int, planned: float) -> None:
        """An epoch begins.

        Args:
            epoch: 0-based.
            planned: Batches that it would have at the full recipe's volume; infinite leaves it to Lightning.
        """
        self.planned, self._epoch = planned, epoch
        if not self._steps:
            self._first_step = self.trainer.global_step
        batches = self.trainer.num_training_batches if planned == math.inf else planned
        accumulate = self.trainer.accumulate_grad_batches
        if batches != math.inf:
            self._steps[epoch] = math.ceil(batches / accumulate)
        taken = self.trainer.global_step - unfinished_batches(self.trainer) // accumulate
        self._is_ahead = taken != self._first_step + self._earlier

    def undo(self) -> None:
        """Give stepping back to Lightning."""
        self._overrides.undo()

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"first_step": self._first_step, "steps": dict(self._steps)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` was; an older checkpoint has none."""
        self._first_step = state.get("first_step", 0)
        self._steps = dict(state.get("steps", {}))

    def _step(self, batch_idx: int) -> None:
        """Take the steps that are due after this batch."""
        batches, accumulate = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        done = batch_idx + 1
        if done % accumulate and done < batches:
            return
        before, scale = batch_idx // accumulate * accumulate, self.planned / batches
        for config in filter(_is_step_wise, self.trainer.lr_scheduler_configs):
            taken = due(before * scale, int(self.planned), config.frequency, accumulate)
            after = due(done * scale, int(self.planned), config.frequency, accumulate)
            for number in range(taken + 1, after + 1):
                with steps_read(self.trainer, self._planned_step(number, config.frequency, accumulate)):
                    self.trainer.lightning_module.lr_scheduler_step(config.scheduler, None)

    def _planned_step(self, number: int, frequency: int, accumulate: int) -> int:
        """``global_step`` of the planned run at this epoch's scheduler step of that number, from 1 up."""
        within = math.ceil(number * math.lcm(frequency, accumulate) / accumulate)
        return self._first_step + self._earlier + min(within, self._steps.get(self._epoch, within))

    @property
    def _earlier(self) -> int:
        """Optimizer steps that the epochs before this one were planned to take."""
        return sum(steps for epoch, steps in self._steps.items() if epoch < self._epoch)

    def _takes_over(self) -> bool:
        batches = self.trainer.num_training_batches
        finite = batches != math.inf and self.planned != math.inf
        differs = batches != self.planned or self._is_ahead
        return finite and differs and bool(self.trainer.lightning_module.automatic_optimization)


def _is_step_wise(config: Any) -> bool:
    return config.interval == "step" and not config.reduce_on_plateau
