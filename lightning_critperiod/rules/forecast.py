"""A rule that looks ahead: little is left to gain until the last epoch of the run."""

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.base import History, Lines, Rule, require_last_epoch
from lightning_critperiod.rules.measured import last_epoch, may_judge, measured, require_min_epochs, require_mode
from lightning_critperiod.rules.outlook import outlook

# Measured epochs whose mean is where the gain so far begins: one value alone may be an outlier.
_FIRST = 3


@dataclass(frozen=True)
class Forecast(Rule):
    """Over when the rest of the run can bring at most ``min_gain`` of the gain so far, with allowance for noise.

    The upper limit of what is left is that of ``Worthwhile``: a slope over log2(epochs) times the doublings that remain
    until the last epoch. The gain so far is the height of the line through the last doubling above the mean of the
    first three measured values. Over when the limit is below ``min_gain`` times the gain so far.

    It abstains (no verdict) while fewer than 4 epochs were measured in the last half doubling, if nothing was gained
    so far, and after the last epoch. A metric that gains evenly has little left only shortly before the end. Ours.

    False alarms (docs/calibration.md, 100 epochs): 0% of the runs on a steady fall with noise of 10% of it, 14% when
    that is correlated from epoch to epoch (AR(1), 0.9); 0% on a power law with noise of 1%, and 0% of the ends missed.
    It fires on 39% of flat signals with correlated noise. On finished public runs (docs/worthwhile.md, the
    confirmation half, 2%) 4% false alarms.

    Args:
        min_gain: Least gain left that is worth the full recipe, as a fraction of the gain so far, above 0.
        mode: "min" if lower is better, "max" if higher is.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up.

    Raises:
        TypeError: ``min_gain`` is not a number, or ``min_epochs`` is not an int.
        ValueError: An argument is out of its range.

    >>> import math
    >>> val_loss = {epoch: 0.4 + 2 * math.exp(-epoch / 5) for epoch in range(32)}
    >>> Forecast()({e: val_loss[e] for e in range(20)}, max_epochs=50), Forecast()(val_loss, max_epochs=50)
    (False, True)
    >>> Forecast().why(val_loss, max_epochs=50)
    'has at most 3.7% of its gain so far left, below 5%'
    """

    min_gain: float = 0.05
    mode: Literal["min", "max"] = "min"
    min_epochs: int | None = None

    def __post_init__(self) -> None:
        require_number("min_gain", self.min_gain, low=0, open_low=True)
        require_mode(self.mode)
        require_min_epochs(self.min_epochs)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        if not may_judge(history, max_epochs, self.min_epochs):
            return False
        is_last = last_epoch(history) + 1 >= require_last_epoch(self, max_epochs)
        return not is_last and self._left(history, max_epochs) < self.min_gain

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        left = max(self._left(history, max_epochs), 0.0)
        return f"has at most {left:.1%} of its gain so far left, below {100 * self.min_gain:g}%"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """What is still left, in words, for a history on which the rule did not fire."""
        before = {epoch: value for epoch, value in history.items() if epoch < require_last_epoch(self, max_epochs) - 1}
        left = self._left(before, max_epochs)
        if math.isinf(left):
            return "a verdict takes a gain so far, and a few measured epochs in the last half doubling of the epochs"
        return f"the metric may have {left:.1%} of its gain so far left, not below {100 * self.min_gain:g}%"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The line through the last doubling, and the most that may be to come until the last epoch."""
        found, end = outlook(history, self.mode), require_last_epoch(self, max_epochs)
        return {} if found is None else found.lines(end)

    def _left(self, history: History, max_epochs: int | None) -> float:
        """The limit of what is left as a fraction of the gain so far; infinite where it is not known."""
        found = outlook(history, self.mode)
        if found is None:
            return math.inf
        gained = found.level - found.sign * fmean(value for _, value in measured(history)[:_FIRST])
        # Float noise is no gain.
        is_gain = gained > 1e-9 * abs(found.level)
        return found.to_come(require_last_epoch(self, max_epochs)) / gained if is_gain else math.inf
