"""The learning rate without a schedule: held at its peak, or reduced where a metric stands still."""

from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from lightning_critperiod.lightning_seam.namespace import Callback


class HeldRate(Callback):
    """Lets no learning rate fall, whatever the run's own schedulers say, until a cooldown begins; a warm-up stays.

    A rate is the highest one that the schedulers have set so far, up to its peak: a scheduler's ``max_lr``, or else the
    rate that the optimizer was made with. With ``monitor`` it is multiplied by ``factor`` whenever that metric has not
    improved for more than ``patience`` validations, as torch's ``ReduceLROnPlateau`` does.

    Args:
        monitor: Name of a metric that validation logs; None never reduces the rate.
        mode: "min" if lower is better, "max" if higher is.
        factor: In (0, 1).
        patience: Validations without a better value, from 0.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 5,
    ) -> None:
        self.monitor = monitor
        # The scheduler turns the rate of an optimizer of its own, which is then the part of the peak that is left.
        self._part = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._plateau = ReduceLROnPlateau(self._part, mode, factor, patience)
        self._peaks: list[list[float]] = []
        self._risen: list[list[float]] = []

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._peaks = [[_peak(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers]
        self._risen = [[0.0] * len(peaks) for peaks in self._peaks]

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._hold(trainer)

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._hold(trainer)  # again: schedulers step before this, and a cooldown begins from the rate as it is then

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if self.monitor is not None and not trainer.sanity_checking:
            self._plateau.step(float(trainer.callback_metrics[self.monitor]))

    def _hold(self, trainer: Any) -> None:
        if any(getattr(callback, "cooldown_epoch", None) is not None for callback in trainer.callbacks):
            return  # which has the last word
        part = self._part.param_groups[0]["lr"]
        for optimizer, peaks, risen in zip(trainer.optimizers, self._peaks, self._risen, strict=True):
            for index, (group, peak) in enumerate(zip(optimizer.param_groups, peaks, strict=False)):
                risen[index] = min(peak, max(risen[index], float(group["lr"])))
                group["lr"] = risen[index] * part


def _peak(group: dict[str, Any]) -> float:
    return float(group.get("max_lr", group.get("initial_lr", group["lr"])))
