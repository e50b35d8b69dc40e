"""In place of EarlyStopping: end when going on is not worth it, with the learning rate decayed to zero."""

from typing import Any, Literal

from lightning_utilities.core.rank_zero import rank_zero_info
from typing_extensions import override

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.lightning_seam import averages_weights, evaluate_quietly, growing_average
from lightning_critperiod.recipe import Budget, Cooldown, Recipe, Volume
from lightning_critperiod.rules import Worthwhile
from lightning_critperiod.signals import MonitoredMetric


class EarlyCooldown(CriticalPeriodCallback):
    """Ends a run when going on is not worth it, or inside a budget, with a learning rate that has decayed to zero.

    Take it in place of ``EarlyStopping``, with a constant learning rate (after a warm-up, if you have one) and
    ``max_epochs=-1`` or a generous ``max_epochs``. ``Worthwhile`` is asked about the monitored metric of averaged
    weights; when it fires, ``Cooldown`` follows and the run ends. The averaging is Lightning's own, with a window of a
    tenth of the run so far; a ``WeightAveraging`` callback of yours takes its place. At the end the module has the
    cooled-down weights or their average, whichever the metric says is better.

    Args:
        monitor: Name of a metric that validation logs.
        mode: "min" if lower is better, "max" if higher is.
        min_gain: The least gain of one more doubling of the training that is worth it, in units of the metric.
        budget: What the run may spend; None is no limit.
        average: Whether to bring weight averaging along.

    Attributes:
        final_weights: "averaged" or "raw": what the module has after ``fit``; empty before.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range.

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
        self.final_weights = ""
        self._averaging: Any = None

    @override
    def volume_at(self, epoch: int) -> Volume:
        """The full volume: nothing but the learning rate changes."""
        return self.full_volume

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage != "fit" or not self.average or any(map(averages_weights, trainer.callbacks)):
            return
        self.final_weights = ""
        self._averaging = growing_average(self._keep_average)
        # Right behind ours, so that Lightning sets it up next.
        trainer.callbacks.insert(trainer.callbacks.index(self) + 1, self._averaging)

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        super().teardown(trainer, pl_module, stage)
        if self._averaging in trainer.callbacks:
            trainer.callbacks.remove(self._averaging)
        self._averaging = None

    def _keep_average(self, trainer: Any, pl_module: Any) -> bool:
        averaged = self.history.get(max(self.history, default=-1))
        raw = None
        with self._watch.safely("comparing the averaged weights with the raw ones"):
            raw = trainer.strategy.broadcast(evaluate_quietly(trainer, self.monitor))
        raw_is_better = raw is not None and averaged is not None and (raw - averaged) * self._sign > 0
        self.final_weights = "raw" if raw_is_better else "averaged"
        if raw is not None and averaged is not None:
            values = f"{self.monitor} is {averaged:.4g} averaged, {raw:.4g} raw"
            rank_zero_info(f"The model has the {self.final_weights} weights: {values}.")
        return not raw_is_better

    @property
    def _sign(self) -> int:
        return 1 if self.mode == "max" else -1
