"""What a run has spent of its budget, and how many epochs the rest pays for."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lightning_critperiod.lightning_seam import begun_batches
from lightning_critperiod.recipe import Budget, limit_in_words

HOUR = 3600.0
LATEST = 5
"""Epochs from which the price of the next one is taken."""

ALIKE = 0.9
"""Epochs whose steps cost less than this part of the latest one's say nothing about the next one: images have grown."""

BATCHES = "batches"
"""Of training, counted beside what they cost."""


@dataclass(frozen=True)
class Price:
    """What an epoch has cost.

    Args:
        batches: Its training batches.
        training: Name -> what was spent, all but validation.
        validation: Name -> what was spent on validation; empty if there was none.
        relative_cost: Of one of its steps; see ``Change``.
    """

    batches: float
    training: dict[str, float]
    validation: dict[str, float]
    relative_cost: float = 1.0


class BudgetMeter:
    """Follows what is spent, epoch by epoch, over all sessions of a run.

    Hours are those of the training, on this process's own clock. Everything else is what ``CostMonitor.spent`` says.

    Args:
        budget: The limits; None has none.

    Attributes:
        limits: Name -> limit; the Trainer's ``max_time`` is one, too.
        course: Name -> (epoch, what was spent by its end), over all sessions.
        full_epoch: The first epoch that has its full size because of the budget; None as long as there is none.
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
        self.full_epoch: int | None = None

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

    def epoch_ends(self, trainer: Any, epoch: int, relative_cost: float) -> None:
        """Take down what a 0-based epoch has cost, and how its steps compare with those of a cooldown."""
        now = self._spent(trainer)
        for name in self.limits.keys() & now.keys():
            self.course.setdefault(name, []).append((float(epoch), now[name]))
        price = _difference(now, self._last)
        if price[BATCHES] > 0:
            training = {name: value - self._validation.get(name, 0.0) for name, value in price.items()}
            latest = Price(price[BATCHES], training, self._validation, relative_cost)
            alike = [each for each in self._prices if each.relative_cost > ALIKE * relative_cost]
            self._prices = [*alike, latest][-LATEST:]
        self._last, self._validation = now, {}

    def affordable(self, batches: float, first: int = 0) -> tuple[float, str]:
        """How many more epochs the budget has room for, and which limit says so.

        The price of an epoch is the mean of the latest ones, plus their standard deviation. What they paid for training
        is scaled to the length and the steps of an epoch to come, which pays for a validation whether they did or not.

        Args:
            batches: Length of an epoch to come; infinite where it is not known.
            first: Epochs as they were so far that come before those.

        Returns:
            The number, infinite without a limit or before the first epoch has ended; and the limit in words.
        """
        return self._least(lambda name: self._room(name, batches, first))

    def remaining(self, batches: float) -> tuple[float, str]:
        """How many more epochs take the run to a limit, or beyond it by what one epoch differs from another.

        Args:
            batches: Length of an epoch to come; infinite where it is not known.

        Returns:
            The number, infinite without a limit; and the limit in words.
        """
        room, limit = self._least(lambda name: self._reach(name, batches))
        return room, f"the {limit}"

    @property
    def guesses(self) -> bool:
        """Whether the latest epoch was smaller, so that what one of full size costs is not measured."""
        return bool(self._prices) and self._prices[-1].relative_cost < 1

    @property
    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "hours": self._hours,
            "prices": [asdict(price) for price in self._prices],
            "course": {name: list(line) for name, line in self.course.items()},
            "full_epoch": self.full_epoch,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` was."""
        if self._since is not None:
            return  # a learning rate finder restores, in the middle of a run, what it was a moment ago
        self._hours_before = state["hours"]
        self._prices = [Price(**price) for price in state["prices"]]
        # Older checkpoints have neither.
        self.full_epoch = state.get("full_epoch")
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

    def _least(self, epochs: Callable[[str], float]) -> tuple[float, str]:
        """The limit that leaves the fewest epochs."""
        found = [(epochs(name), f"budget of {limit_in_words(name, limit)}") for name, limit in self.limits.items()]
        return min(found, default=(math.inf, ""))

    def _room(self, name: str, batches: float, first: int) -> float:
        known = self._known(name)
        earlier = [price.training[name] + price.validation.get(name, 0.0) for price in known]
        prices = [self._to_come(price, name, batches) for price in known]
        if not known:
            return math.inf
        left = self.limits[name] - self._last[name] - first * (statistics.fmean(earlier) + _spread(earlier))
        return _ratio(max(0.0, left), statistics.fmean(prices) + _spread(prices))

    def _reach(self, name: str, batches: float) -> float:
        prices = [self._to_come(price, name, batches) for price in self._known(name)]
        if not prices:
            return math.inf
        return _ratio(self.limits[name] - self._last[name] + _spread(prices), statistics.fmean(prices))

    def _known(self, name: str) -> list[Price]:
        """The prices in which something has been measured; none if it is not measured now."""
        return [price for price in self._prices if name in price.training and name in self._last]

    def _to_come(self, price: Price, name: str, batches: float) -> float:
        """What an epoch to come costs by the price of one that is over."""
        longer = batches / price.batches if batches < math.inf else 1.0
        if name != "samples":  # as many, whatever their size
            longer /= price.relative_cost
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


def _spread(prices: list[float]) -> float:
    return statistics.stdev(prices) if len(prices) > 1 else 0.0


def _ratio(amount: float, price: float) -> float:
    return amount / price if price > 0 else math.inf
