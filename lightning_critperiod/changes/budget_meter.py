"""What a run has spent of its budget, and how many epochs the rest pays for."""

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lightning_critperiod.lightning_seam import begun_batches
from lightning_critperiod.recipe import Budget, limit_in_words

HOUR = 3600.0
LATEST = 5
"""Epochs from which the price of the next one is taken."""

BATCHES = "batches"
"""Of training, counted beside what they cost."""


@dataclass(frozen=True)
class Price:
    """What an epoch has cost.

    Args:
        batches: Its training batches.
        training: Name -> what was spent, all but validation.
        validation: Name -> what was spent on validation; empty if there was none.
    """

    batches: float
    training: dict[str, float]
    validation: dict[str, float]


class BudgetMeter:
    """Follows what is spent, epoch by epoch, over all sessions of a run.

    Hours are those of the training, on this process's own clock. Everything else is what ``CostMonitor.spent`` says.

    Args:
        budget: The limits; None has none.

    Attributes:
        limits: Name -> limit; the Trainer's ``max_time`` is one, too.
        course: Name -> (epoch, what was spent by its end), over all sessions.
    """

    def __init__(self, budget: Budget | None) -> None:
        self._own = {} if budget is None else budget.limits
        self.forget()

    def forget(self) -> None:
        """A new run starts."""
        self.limits = dict(self._own)
        self._hours_before = 0.0
        self._since: float | None = None
        self._last: dict[str, float] = {}  # what was spent when the latest epoch ended
        self._prices: list[Price] = []  # of the latest epochs
        self._validation: dict[str, float] = {}  # spent on it in this epoch
        self.course: dict[str, list[tuple[float, float]]] = {}
        self._before_validation: dict[str, float] = {}

    def start(self, trainer: Any, refuses: bool) -> None:
        """Training starts.

        Args:
            trainer: Whose ``max_time`` is a limit, too.
            refuses: Whether to refuse, by a ValueError, a limit that needs a CostMonitor or is reached already; a
                cooldown that has begun goes on.
        """
        self._since = time.monotonic()
        self._last = self._spent(trainer)
        self.limits = self._with_max_time(trainer)
        self.course = {name: line for name, line in self.course.items() if name in self.limits}
        if refuses:
            self._check(self._last)

    def pause(self) -> None:
        """No training runs any more, so the hours stand still."""
        self._hours_before, self._since = self._hours, None

    def validation_begins(self, trainer: Any) -> None:
        """What follows is the price of a validation, whatever the length of the epoch."""
        self._before_validation = self._spent(trainer)

    def validation_ends(self, trainer: Any) -> None:
        """The price of the validation is known."""
        price = _difference(self._spent(trainer), self._before_validation)
        self._validation = {name: self._validation.get(name, 0.0) + value for name, value in price.items()}

    def epoch_ends(self, trainer: Any, epoch: int) -> None:
        """Take down what a 0-based epoch has cost."""
        now = self._spent(trainer)
        for name in self.limits.keys() & now.keys():
            self.course.setdefault(name, []).append((float(epoch), now[name]))
        price = _difference(now, self._last)
        if price[BATCHES] > 0:
            training = {name: value - self._validation.get(name, 0.0) for name, value in price.items()}
            self._prices = [*self._prices, Price(price[BATCHES], training, self._validation)][-LATEST:]
        self._last, self._validation = now, {}

    def affordable(self, batches: float, first: int = 0) -> tuple[float, str]:
        """How many more epochs the budget has room for, and which limit says so.

        The price of an epoch is the mean of the latest ones, plus their standard deviation. What they paid for training
        is scaled to the length of an epoch to come, which pays for a validation whether they did or not.

        Args:
            batches: Length of an epoch to come; infinite where it is not known.
            first: Epochs as they were so far that come before those.

        Returns:
            The number, infinite without a limit or before the first epoch has ended; and the limit in words.
        """
        found = [
            (self._room(name, batches, first), f"budget of {limit_in_words(name, limit)}")
            for name, limit in self.limits.items()
        ]
        return min(found, default=(math.inf, ""))

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        course = {name: list(line) for name, line in self.course.items()}
        return {"hours": self._hours, "prices": [asdict(price) for price in self._prices], "course": course}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` was."""
        if self._since is not None:
            return  # a learning rate finder restores, in the middle of a run, what it was a moment ago
        self._hours_before = state["hours"]
        self._prices = [Price(**price) for price in state["prices"]]
        # Older checkpoints have none.
        self.course = {name: list(line) for name, line in state.get("course", {}).items()}

    @property
    def _hours(self) -> float:
        return self._hours_before + (0.0 if self._since is None else (time.monotonic() - self._since) / HOUR)

    def _spent(self, trainer: Any) -> dict[str, float]:
        found = {BATCHES: float(begun_batches(trainer))}
        if self.limits.keys() - {"hours"}:
            for callback in trainer.callbacks:
                found.update(getattr(callback, "spent", {}))
        return {**found, "hours": self._hours}

    def _check(self, spent: dict[str, float]) -> None:
        for name, limit in self.limits.items():
            if name not in spent:
                raise ValueError(
                    f"Budget({name}={limit:g}) needs a CostMonitor that measures it among the Trainer's callbacks, got "
                    "none: add CostMonitor(), or give hours."
                )
            if spent[name] >= limit:
                raise ValueError(f"Budget({name}={limit:g}) is spent already: this run has used {spent[name]:.4g}.")

    def _room(self, name: str, batches: float, first: int) -> float:
        known = [price for price in self._prices if name in price.training]
        if not known or name not in self._last:
            return math.inf
        left = self.limits[name] - self._last[name]
        left -= first * _upper([price.training[name] + price.validation.get(name, 0.0) for price in known])
        price = _upper([self._to_come(price, name, batches) for price in known])
        return max(0.0, left) / price if price > 0 else math.inf

    def _to_come(self, price: Price, name: str, batches: float) -> float:
        """What an epoch to come costs by the price of one that is over."""
        longer = batches / price.batches if batches < math.inf else 1.0
        validations = [each.validation[name] for each in self._prices if name in each.validation]
        typical = statistics.fmean(validations) if validations else 0.0
        return price.training[name] * longer + price.validation.get(name, typical)

    def _with_max_time(self, trainer: Any) -> dict[str, float]:
        """``Trainer(max_time=...)`` is a Timer among the callbacks; what it has counted so far is spent."""
        limits = dict(self._own)
        for callback in trainer.callbacks:
            remaining = getattr(callback, "time_remaining", None)
            left = remaining() if callable(remaining) else None
            if left is not None:
                limits["hours"] = min(limits.get("hours", math.inf), self._hours + left / HOUR)
        return limits


def _difference(later: dict[str, float], earlier: dict[str, float]) -> dict[str, float]:
    return {name: value - earlier.get(name, 0.0) for name, value in later.items()}


def _upper(prices: list[float]) -> float:
    return statistics.fmean(prices) + (statistics.stdev(prices) if len(prices) > 1 else 0.0)
