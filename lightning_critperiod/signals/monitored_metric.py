"""A metric that the user logs anyway, as a signal."""

from typing import Any, Literal

from torch import Tensor
from typing_extensions import override

from lightning_critperiod.rules.measured import require_mode
from lightning_critperiod.signals.base import Signal


class MonitoredMetric(Signal):
    """The value of a metric that validation or training logged in this epoch, under the metric's own name.

    A value counts once, in the epoch in which it was logged; an epoch without validation has none. Of several
    validations in an epoch the last one counts. If validation and training log the same name, validation counts. A
    metric that training logs has its value at the end of the epoch.

    If the name has not been logged by the end of the first epoch that could have logged it, a warning lists the logged
    names, and the epoch has no value. It cannot be refused earlier: training may log what the sanity check did not.

    Args:
        monitor: The name in ``trainer.callback_metrics``, such as "val_loss".
        mode: Whether "min" (lower) or "max" (higher) values of it are better; None if not given.

    Raises:
        TypeError: ``monitor`` is not a string.
        ValueError: ``monitor`` is empty, or ``mode`` is something else.
    """

    def __init__(self, monitor: str, mode: Literal["min", "max"] | None = None) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a logged metric, got {monitor!r}")
        if not monitor:
            raise ValueError("monitor must be the name of a logged metric, got an empty string")
        if mode is not None:
            require_mode(mode)
        self.monitor = monitor
        self.mode = mode
        self.name = monitor
        self._logged: tuple[int, float] | None = None  # epoch and value
        self._forget()

    def _forget(self) -> None:
        self._measured: Tensor | None = None
        self._before_validation: Tensor | None = None
        self._was_due = False

    @override
    def reset(self) -> None:
        super().reset()
        self._logged = None
        self._forget()

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._forget()

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any) -> None:
        self._was_due = self._was_due or not trainer.enable_validation

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._before_validation = trainer.callback_metrics.get(self.monitor)

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._was_due = True
        self._take(trainer, self._before_validation)

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        if self._logged is None or self._logged[0] != trainer.current_epoch:
            self._take(trainer, self._measured)
        self._measured = self._before_validation = trainer.callback_metrics.get(self.monitor)
        if self._logged is None and self._was_due:
            self.warn_once(
                f"monitor={self.monitor!r} must name a logged metric, but it has not been logged so far",
                f"; there are {sorted(trainer.callback_metrics)}. It has no value until validation or training_step "
                "logs it with self.log (in on_train_epoch_end it comes too late).",
            )
        return self._logged[1] if self._logged and self._logged[0] == trainer.current_epoch else None

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"logged": self._logged}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._logged = state["logged"] and tuple(state["logged"])

    def _take(self, trainer: Any, earlier: Tensor | None) -> None:
        """Take the metric as this epoch's unless it is the ``earlier`` one.

        Lightning never empties ``callback_metrics``: a metric that was not logged again is still the same
        memory, and one that was is other memory, because a reference keeps the earlier one alive.
        """
        metric = trainer.callback_metrics.get(self.monitor)
        if metric is not None and (earlier is None or _memory(metric) != _memory(earlier)):
            self._logged = (trainer.current_epoch, float(metric))


def _memory(metric: Tensor) -> int:
    return metric.untyped_storage().data_ptr()
