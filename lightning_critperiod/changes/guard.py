"""A guard takes the changes back where a metric drops after the switch."""

from dataclasses import dataclass
from typing import Any, Literal

from lightning_critperiod.rules import History
from lightning_critperiod.rules.dropped import Dropped
from lightning_critperiod.signals import MonitoredMetric

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Guard:
    """Undoes every change for the rest of the run when a metric drops after the switch.

    It fires when the metric was worse than its best earlier value by more than ``max_drop`` in each of the last
    ``patience`` epochs since the switch. Weights and learning rate are not touched, and a cooldown that has begun
    continues to its end.

    Args:
        monitor: Name of a metric that the module logs, such as "val_acc".
        max_drop: Largest accepted drop below the best value so far, in the metric's own unit, from 0.
        mode: "min" if lower is better, "max" if higher is.
        patience: Measured epochs in a row that must be below, at least 1.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range.
    """

    monitor: str
    max_drop: float
    mode: Mode
    patience: int = 1

    def __post_init__(self) -> None:
        MonitoredMetric(self.monitor)  # both refuse what they can't work with
        Dropped(self.max_drop, self.mode, self.patience)


class GuardWatch:
    """A guard at work in one run.

    Args:
        guard: What it watches for.

    Attributes:
        signal: Measures the metric.
        history: 0-based epoch -> value.
        back_epoch: The first epoch for which the changes are taken back; None as long as they are not.
        reason: Why, in words.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.signal = MonitoredMetric(guard.monitor)
        self.rule = Dropped(guard.max_drop, guard.mode, guard.patience)
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new run starts."""
        self.history: History = {}
        self.back_epoch: int | None = None
        self.reason = ""
        self.signal.reset()

    def ask(self, finished: int, end_epoch: int | None) -> bool:
        """Ask after ``finished`` epochs.

        Args:
            finished: Number of epochs that are over.
            end_epoch: The first epoch after the critical period; None as long as there is none.

        Returns:
            Whether the changes are to be taken back, which is said once.
        """
        if end_epoch is None or self.back_epoch is not None or not self.rule.fired(self.history, end_epoch):
            return False
        self.back_epoch = finished
        self.reason = (
            f"changes taken back after epoch {finished - 1}: {self.guard.monitor} {self.rule.why(self.history)}"
        )
        return True

    def record(self, epoch: int, value: float | None) -> None:
        """Take the metric's value of a 0-based epoch; None if it was not measured."""
        if value is not None:
            self.history[epoch] = value

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "history": dict(self.history),
            "back_epoch": self.back_epoch,
            "reason": self.reason,
            "signal": self.signal.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""
        self.history = dict(state["history"])
        self.back_epoch = state["back_epoch"]
        self.reason = state["reason"]
        self.signal.load_state_dict(state["signal"])
