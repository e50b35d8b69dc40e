"""The learning rate of every optimizer step, read and prescribed."""

import math
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.studies.study_run import Rates


class RecordRates(Callback):
    """Notes the learning rates that each optimizer step of a fit was taken with.

    Attributes:
        rates: The rates of all steps so far.
    """

    def __init__(self) -> None:
        self.rates: Rates = []
        self._steps = 0

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self.rates, self._steps = [], 0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"rates": self.rates}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rates = [(list(rates), steps) for rates, steps in state_dict["rates"]]
        self._steps = sum(steps for _, steps in self.rates)

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step < self._steps:  # one of several batches that are accumulated
            return
        rates = [float(group["lr"]) for group in trainer.optimizers[0].param_groups]
        before = self.rates.pop() if self.rates and self.rates[-1][0] == rates else (rates, 0)
        self.rates.append((rates, before[1] + 1))
        self._steps += 1


class FollowRates(Callback):
    """Prescribes the learning rates of every optimizer step, and ends the run with the last of them.

    Args:
        rates: ([learning rate of each parameter group], steps), one after the other.
    """

    def __init__(self, rates: Sequence[tuple[list[float], int]]) -> None:
        self.rates = rates
        self._steps: list[list[float]] = []

    @override
    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self._steps = [values for values, steps in self.rates for _ in range(steps)]

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        for group, rate in zip(trainer.optimizers[0].param_groups, self._steps[trainer.global_step], strict=True):
            group["lr"] = rate

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= len(self._steps):
            trainer.should_stop = True


class SqueezedRates(Callback):
    """Prescribes the learning rates of a longer run, squeezed into this one: each where the same part of it is done.

    A schedule whose length is written down in epochs, such as ``CosineAnnealingLR(T_max=200)``, would otherwise be cut
    off. With several optimizers, or other parameter groups than that run had, the run keeps its own schedule.

    Args:
        rates: [learning rate of each parameter group], at evenly spaced parts of the longer run.
    """

    def __init__(self, rates: Sequence[list[float]]) -> None:
        self.rates = rates

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        batches, groups = trainer.num_training_batches, trainer.optimizers[0].param_groups
        within = 0.0 if batches == math.inf else batch_idx / batches
        part = (trainer.current_epoch + within) / trainer.max_epochs
        rates = self.rates[min(int(part * len(self.rates) + 1e-9), len(self.rates) - 1)]
        if len(trainer.optimizers) > 1 or len(rates) != len(groups):
            return
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
