"""The published rule for gradient confusion: the value is an outlier below those before."""

import math
from dataclasses import dataclass

from lightning_critperiod.recipe import require_int, require_number
from lightning_critperiod.rules.base import History, Lines, Rule
from lightning_critperiod.rules.measured import is_measured, last_epoch, may_judge, measured, require_min_epochs


def _quantile(ordered: list[float], fraction: float) -> float:
    """Linear interpolation between the two nearest ordered values, numpy's and pandas' default."""
    below, weight = divmod(fraction * (len(ordered) - 1), 1)
    low, high = ordered[int(below)], ordered[math.ceil(below + weight)]
    # numpy's form, which returns equal neighbours exactly: statistics.quantiles can miss them by an ulp.
    return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)


@dataclass(frozen=True)
class LowOutlier(Rule):
    """Over when the value is far below the values before: Q1 - ``threshold`` (Q3 - Q1), their quartiles.

    It looks only when (last epoch + 1) is a multiple of ``every_n_epochs``, at the value of that epoch,
    against the quartiles (by linear interpolation) of all epochs but that one and the one before it: after
    the 1-based epoch e, the epochs 1 to e - 2. An epoch that was not measured gives no verdict; nor does
    one without a measured epoch before. The rule for gradient confusion of Fukase et al. 2025 (arXiv
    2506.15954), to the letter from epoch ``min_epochs`` on.

    False alarms (docs/calibration.md, 100 epochs): on stationary noise 12% of the runs, 28% when it is correlated from
    epoch to epoch (AR(1), 0.9); on a signal that falls steadily 20% with noise of 1% of the fall, 65% with correlated
    noise of 10%. It misses 38% of drops by 4 standard deviations.

    Args:
        threshold: Interquartile ranges below the first quartile, from 0.
        every_n_epochs: Cadence of the look, at least 1.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up, or 10
            where the run has no last epoch.

    Raises:
        TypeError: An argument is not a number, or ``every_n_epochs`` or ``min_epochs`` is not an int.
        ValueError: An argument is out of its range.

    >>> confusion = dict(enumerate([0.91, 0.93, 0.90, 0.92, 0.91, 0.94, 0.92, 0.93, 0.80, 0.81]))
    >>> LowOutlier()(confusion, max_epochs=100)
    True
    >>> LowOutlier().why(confusion, max_epochs=100)
    'fell to 0.81, below 0.88 (Q1 - 1.5 IQR of 8 epochs)'
    """

    threshold: float = 1.5
    every_n_epochs: int = 10
    min_epochs: int | None = None
    open_ended = True

    def __post_init__(self) -> None:
        require_number("threshold", self.threshold, low=0)
        require_int("every_n_epochs", self.every_n_epochs, low=1)
        require_min_epochs(self.min_epochs)

    @property
    def least_epochs(self) -> int:
        """The first look, but not before a third epoch: the value is compared with those before the last one."""
        return max(self.every_n_epochs, 3)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        last = last_epoch(history)
        if not may_judge(history, max_epochs, self.min_epochs) or (last + 1) % self.every_n_epochs:
            return False
        if last not in history or not is_measured(history[last]) or not self._past(history):
            return False
        return bool(history[last] < self._limit(history))

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        value, limit = history[last_epoch(history)], self._limit(history)
        epochs = len(self._past(history))
        return f"fell to {value:.4g}, below {limit:.4g} (Q1 - {self.threshold:g} IQR of {epochs} epochs)"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The quartiles and the limit at the last look, over the epochs that they are of."""
        looks = [epoch for epoch in history if (epoch + 1) % self.every_n_epochs == 0]
        seen = {epoch: value for epoch, value in history.items() if looks and epoch <= max(looks)}
        past = self._past(seen)
        if not past:
            return {}
        levels = {"Q3": _quantile(past, 0.75), "Q1": _quantile(past, 0.25)}
        levels[f"Q1 - {self.threshold:g} IQR"] = self._limit(seen)
        return {name: [(0.0, level), (float(last_epoch(seen)), level)] for name, level in levels.items()}

    def _past(self, history: History) -> list[float]:
        last = last_epoch(history)
        return sorted(value for epoch, value in measured(history) if epoch < last - 1)

    def _limit(self, history: History) -> float:
        past = self._past(history)
        q1, q3 = _quantile(past, 0.25), _quantile(past, 0.75)
        return q1 - self.threshold * (q3 - q1)
