"""In place of EarlyStopping: end when going on is not worth it, with the learning rate decayed to zero."""

from dataclasses import replace
from typing import Any, Literal

import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from typing_extensions import override

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.changes import own_volume
from lightning_critperiod.lightning_seam import (
    GrowingAverage,
    averages_weights,
    evaluate_quietly,
    finished_epochs,
    growing_average,
    shards_weights,
)
from lightning_critperiod.recipe import Budget, Cooldown, Recipe
from lightning_critperiod.rules import Worthwhile
from lightning_critperiod.signals import MonitoredMetric
from lightning_critperiod.watching import FallingRate


class EarlyCooldown(CriticalPeriodCallback):
    """Ends a run when going on is not worth it, or inside a budget, with a learning rate that has decayed to zero.

    Use it instead of ``EarlyStopping``, with a constant learning rate (after a warm-up, if you have one) and
    ``max_epochs=-1`` or a generous ``max_epochs``. ``Worthwhile`` is asked about the monitored metric of averaged
    weights; when it fires, ``Cooldown`` follows and the run ends. The averaging is Lightning's own, with a window of a
    tenth of the run so far; a weight-averaging callback of yours takes its place. At the end the module, and a
    checkpoint that is saved then, has the cooled-down weights or their average, whichever validates better.

    Args:
        monitor: Name of a metric that validation logs.
        mode: "min" if lower is better, "max" if higher is.
        min_gain: The least gain of one more doubling of the training that is worth its cost, in units of the metric.
        budget: What the run may spend; None is no limit.
        average: Whether to add weight averaging.

    Attributes:
        final_weights: "averaged" or "raw": what the module has after ``fit``; empty before.
        final_values: "averaged" and "raw" -> the metric with these weights when they were compared at the end.
        final_metrics: What validation logged with the weights that the module has, if these are the raw ones.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range. Before the first batch: validation does not log the metric, or two
            callbacks average the weights.

    Example:
        >>> from lightning_critperiod import EarlyCooldown
        >>> callback = EarlyCooldown("val_acc", mode="max", min_gain=0.005)
    """

    def __init__(
        self,
        monitor: str,
        mode: Literal["min", "max"] = "min",
        min_gain: float = 0.005,
        budget: Budget | None = None,
        average: bool = True,
    ) -> None:
        if not isinstance(average, bool):
            raise TypeError(f"average must be True or False, got {average!r}")
        recipe = Recipe(annealing_fraction=0.0, cooldown=Cooldown(budget=budget))
        super().__init__(MonitoredMetric(monitor), Worthwhile(min_gain, mode), recipe)
        self.monitor = monitor
        self.mode = mode
        self.min_gain = min_gain
        self.budget = budget
        self.average = average
        self._averaging: Any = None
        self._forget_choice()
        self._rate: FallingRate | None = None

    def _forget_choice(self) -> None:
        self.final_weights = ""
        self.final_values: dict[str, float] = {}
        self.final_metrics: dict[str, float] = {}

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            # Nothing but the learning rate changes: the cooldown has the volume that the user's run has.
            self.recipe = replace(self.recipe, after=own_volume(trainer))
            self._forget_choice()
            self._drop_averaging(trainer)
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._bring_averaging(trainer)

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.enable_validation:
            raise ValueError(
                f"monitor={self.monitor!r} must name a metric that validation logs, but this run has no validation: "
                "give it validation data and a validation_step."
            )
        super().on_train_start(trainer, pl_module)
        if self.cooldown_epoch is None:
            self._rate = FallingRate(trainer)

    @override
    def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
        logged = sorted(trainer.callback_metrics)
        if logged and self.monitor not in logged:
            raise ValueError(
                f"monitor={self.monitor!r} must name a metric that validation logs, got none of that name; there are "
                f"{logged}. Correct the name, or log it."
            )

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self.cooldown_epoch is None and self._rate is not None:
            with self._watch.safely("looking at the learning rate"):
                self._rate.look(trainer)
        if finished_epochs(trainer) - 1 == self.last_epoch:  # now: the checkpoints of this epoch are saved after it
            self._choose(trainer)

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_end(trainer, pl_module)
        self._choose(trainer)

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        super().teardown(trainer, pl_module, stage)
        if stage == "fit":
            self._drop_averaging(trainer)

    @override
    def found(self) -> dict[str, Any]:
        choice = {"weights": self.final_weights, "values": self.final_values, "metrics": self.final_metrics}
        return {**super().found(), "final": choice}

    @override
    def receive(self, found: dict[str, Any]) -> None:
        super().receive(found)
        choice = found["final"]
        self.final_weights, self.final_values = choice["weights"], choice["values"]
        self.final_metrics = choice["metrics"]

    def _bring_averaging(self, trainer: Any) -> None:
        theirs = [type(callback).__name__ for callback in trainer.callbacks if averages_weights(callback)]
        if len(theirs) > 1:
            raise ValueError(
                f"one callback may average the weights, got {', '.join(theirs)}: each would swap in its own average "
                "for validation. Leave all but one out."
            )
        if not self.average or theirs:
            return
        if shards_weights(trainer):
            raise ValueError(
                f"average=True needs whole weights on every process, but {type(trainer.strategy).__name__} has parts: "
                "give average=False."
            )
        if any(kind.__name__ == "ModelPruning" for callback in trainer.callbacks for kind in type(callback).__mro__):
            raise ValueError(
                "average=True needs a module that keeps its parameters, but ModelPruning gives it others in the course "
                "of a run: give average=False."
            )
        self._averaging = growing_average(trainer)
        # Right behind ours, so that Lightning sets it up next.
        trainer.callbacks.insert(trainer.callbacks.index(self) + 1, self._averaging)

    def _drop_averaging(self, trainer: Any) -> None:
        """Take it out again, also the one that a run which failed has left."""
        trainer.callbacks[:] = [callback for callback in trainer.callbacks if not isinstance(callback, GrowingAverage)]
        self._averaging = None

    def _choose(self, trainer: Any) -> None:
        """Keep the raw weights or their average, whichever validates better; once."""
        if self._averaging is None or self.final_weights:
            return
        self.final_weights = "raw" if self._averaging.is_lost else "averaged"
        if self._averaging.is_lost:
            return
        with self._watch.safely("comparing the averaged weights with the raw ones"):
            averaged = self.history.get(finished_epochs(trainer) - 1)
            if averaged is None:
                averaged = evaluate_quietly(trainer, self._averaging).get(self.monitor)
            found = evaluate_quietly(trainer)
            averaged, raw = trainer.strategy.broadcast((averaged, found.get(self.monitor)))
            if averaged is None or raw is None:
                return
            self.final_values = {"averaged": averaged, "raw": raw}
            if (raw - averaged) * (1 if self.mode == "max" else -1) > 0:
                self.final_weights, self._averaging.keeps_raw = "raw", True
                self.final_metrics = found
                trainer.callback_metrics.update({name: torch.tensor(value) for name, value in found.items()})
            values = f"{self.monitor} is {averaged:.4g} averaged, {raw:.4g} raw"
            rank_zero_info(f"The model has the {self.final_weights} weights: {values}.")
