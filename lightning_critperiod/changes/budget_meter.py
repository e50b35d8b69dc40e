"""What a run has spent of its budget, and what an epoch of it costs."""

import statistics
import time
from itertools import pairwise
from typing import Any

from lightning_critperiod.recipe import Budget

HOUR = 3600.0
LATEST = 5
"""Epochs from which the price of the next one is taken."""


class BudgetMeter:
    """Follows what is spent, epoch by epoch, over all sessions of a run.

    Hours are those of the training, on this process's own clock. Everything else is what ``CostMonitor.spent`` says.

    Args:
        budget: The limits; None has none.
    """

    def __init__(self, budget: Budget | None) -> None:
        self.limits = {} if budget is None else budget.limits
        self.forget()

    def forget(self) -> None:
        """A new run starts."""
        self._hours_before = 0.0
        self._since = time.monotonic()
        self._spent: list[dict[str, float]] = []  # after each epoch

    def start(self, trainer: Any) -> None:
        """Training starts.

        Args:
            trainer: Whose ``max_time`` is a limit, too.

        Raises:
            ValueError: A limit needs a CostMonitor, or is reached already.
        """
        self._since = time.monotonic()
        self._max_time(trainer)
        spent = self._now(trainer)
        for name, limit in self.limits.items():
            if name not in spent:
                raise ValueError(
                    f"Budget({name}={limit:g}) needs a CostMonitor that measures it among the Trainer's callbacks, got "
                    "none: add CostMonitor(), or give hours."
                )
            if spent[name] >= limit:
                raise ValueError(f"Budget({name}={limit:g}) is spent already: this run has used {spent[name]:.4g}.")
        self._spent.append(spent)

    def epoch_ends(self, trainer: Any) -> None:
        """Take down what is spent at the end of an epoch."""
        self._spent.append(self._now(trainer))
        del self._spent[: -LATEST - 1]

    def affordable(self) -> tuple[float, str]:
        """How many more epochs the budget has room for, and which limit says so.

        The price of an epoch is the mean of the latest ones, plus their standard deviation.

        Returns:
            The number, infinite without a limit or before the first epoch has ended; and the limit in words.
        """
        found = [(self._room(name, limit), f"budget of {limit:g} {name}") for name, limit in self.limits.items()]
        return min(found, default=(float("inf"), ""))

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"hours": self._hours, "spent": [dict(spent) for spent in self._spent]}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` was."""
        self._hours_before = state["hours"]

    @property
    def _hours(self) -> float:
        return self._hours_before + (time.monotonic() - self._since) / HOUR

    def _now(self, trainer: Any) -> dict[str, float]:
        found = {"hours": self._hours}
        for callback in trainer.callbacks:
            found.update({k: v for k, v in getattr(callback, "spent", {}).items() if k != "hours"})
        return found

    def _room(self, name: str, limit: float) -> float:
        values = [spent[name] for spent in self._spent if name in spent]
        prices = [later - earlier for earlier, later in pairwise(values)]
        if not prices:
            return float("inf")
        price = statistics.fmean(prices) + (statistics.stdev(prices) if len(prices) > 1 else 0.0)
        return max(0.0, limit - values[-1]) / price if price > 0 else float("inf")

    def _max_time(self, trainer: Any) -> None:
        """``Trainer(max_time=...)`` is a Timer among the callbacks; what it has counted so far is spent."""
        for callback in trainer.callbacks:
            remaining = getattr(callback, "time_remaining", None)
            left = remaining() if callable(remaining) else None
            if left is not None:
                self.limits = {
                    **self.limits,
                    "hours": min(self.limits.get("hours", float("inf")), self._hours + left / HOUR),
                }
