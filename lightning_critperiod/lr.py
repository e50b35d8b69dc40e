"""Step-wise learning-rate schedulers on the clock of the planned epochs, whatever an epoch really draws."""

import functools
import math
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

from lightning_critperiod.override import Overrides


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


class EpochEquivalentLR:
    """Steps the step-wise schedulers so that at each fraction of an epoch the LR is that of the planned epoch.

    After b of n batches the schedulers have had as many steps as after b N / n of the planned N. Epochs of the planned
    length are left to Lightning. Stateless within an epoch, so a resumed run continues exactly. Schedulers with
    interval "epoch", ReduceLROnPlateau, manual optimization and loaders without a length are left alone.

    Args:
        trainer: The Trainer that fits.
        pl_module: Its module, whose own ``lr_scheduler_step`` is what steps.
    """

    def __init__(self, trainer: Any, pl_module: Any) -> None:
        self.trainer = trainer
        self.planned = math.inf
        self._step = pl_module.lr_scheduler_step
        self._overrides = Overrides()

        @functools.wraps(self._step)
        def lr_scheduler_step(scheduler: Any, metric: Any) -> None:
            if not self._ours(scheduler):
                self._step(scheduler, metric)

        self._overrides.put(pl_module, "lr_scheduler_step", lr_scheduler_step)

    def start(self, planned: float) -> None:
        """Learn how many batches an epoch of the full recipe has.

        Args:
            planned: That number; infinite where the loader has no length, and then the schedulers are left alone.
        """
        self.planned = planned
        if self.trainer.lr_scheduler_configs and not self.trainer.lightning_module.automatic_optimization:
            rank_zero_info(
                "Under manual optimization LR schedulers are stepped by the module itself: CriticalPeriodCallback "
                "leaves them alone, so those that step once a batch feel the length of the epochs."
            )
        elif planned == math.inf and any(_is_step_wise(config) for config in self.trainer.lr_scheduler_configs):
            rank_zero_warn(
                "The train dataloader has no length, so LR schedulers with interval 'step' can't follow the planned "
                "epochs and step once a batch, as they would without CriticalPeriodCallback."
            )

    def undo(self) -> None:
        """Give stepping back to Lightning."""
        self._overrides.undo()

    def on_train_batch_end(self, batch_idx: int) -> None:
        """Take the steps that are due after this batch."""
        batches, accumulate = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        done = batch_idx + 1
        if not self._takes_over() or (done % accumulate and done < batches):
            return
        before, scale = batch_idx // accumulate * accumulate, self.planned / batches
        for config in filter(_is_step_wise, self.trainer.lr_scheduler_configs):
            after = due(done * scale, int(self.planned), config.frequency, accumulate)
            for _ in range(after - due(before * scale, int(self.planned), config.frequency, accumulate)):
                self._step(config.scheduler, None)

    def _takes_over(self) -> bool:
        batches = self.trainer.num_training_batches
        finite = batches != math.inf and self.planned != math.inf
        return finite and batches != self.planned and self.trainer.lightning_module.automatic_optimization

    def _ours(self, scheduler: Any) -> bool:
        return self._takes_over() and any(
            config.scheduler is scheduler and _is_step_wise(config) for config in self.trainer.lr_scheduler_configs
        )


def _is_step_wise(config: Any) -> bool:
    return config.interval == "step" and not config.reduce_on_plateau
