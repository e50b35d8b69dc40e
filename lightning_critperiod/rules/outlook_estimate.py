"""The outlook after every epoch of a finished run, from running sums: near enough to say when a rule cannot fire."""

import functools
import math
from collections.abc import Callable, Iterator

from lightning_critperiod.rules.base import History
from lightning_critperiod.rules.forecast import _FIRST, Forecast
from lightning_critperiod.rules.measured import is_measured, may_judge, measured
from lightning_critperiod.rules.outlook import _REACHES, LEAST_POINTS, Outlook, _student
from lightning_critperiod.rules.worthwhile import Worthwhile

_ROUNDING = 1e-6
"""Far more than sums can be off by, in units of the largest distance of a value from the first one."""

_quantile = functools.cache(_student)
_Sums = tuple[float, float, float, float, float]


def outlooks(history: History, mode: str) -> Iterator[Outlook]:
    """The outlook after every measured epoch that has one, relative to the first value."""
    estimate = OutlookEstimate(mode)
    for epoch, value in measured(history):
        estimate._add(epoch, value)
        found = estimate._outlook()
        if found is not None:
            yield found


class OutlookEstimate:
    """Is told the values of a run, epoch by epoch, and has the outlook at hand that ``outlook`` fits again.

    Args:
        mode: "min" if lower is better, "max" if higher is.
    """

    def __init__(self, mode: str) -> None:
        self._sign = 1 if mode == "max" else -1
        self._first = 0.0
        self._epochs: list[int] = []
        self._sums: list[_Sums] = [(0.0, 0.0, 0.0, 0.0, 0.0)]  # of x, y, x x, x y and y y up to each value
        self._starts = [0 for _ in _REACHES]
        self.scale = 0.0

    def may_fire_worthwhile(self, rule: Worthwhile) -> Callable[[int, float], bool]:
        """What says of every epoch and value whether ``rule`` can fire now."""

        def may_fire(epoch: int, value: float) -> bool:
            self._add(epoch, value)
            found = self._outlook()
            return found is not None and found.to_come(rule._end(found)) < rule.min_gain + _ROUNDING * self.scale

        return may_fire

    def may_fire_forecast(self, rule: Forecast, max_epochs: int | None) -> Callable[[int, float], bool]:
        """What says of every epoch and value whether ``rule`` can fire now."""

        def may_fire(epoch: int, value: float) -> bool:
            self._add(epoch, value)
            found = self._outlook() if may_judge({epoch: value}, max_epochs, rule.min_epochs) else None
            if found is None or max_epochs is None:
                return found is not None
            first = self._sums[min(_FIRST, len(self._epochs))][1] / min(_FIRST, len(self._epochs))
            rounding = _ROUNDING * self.scale
            gained = found.level - first + rounding
            return gained > 0 and found.to_come(max_epochs) < rule.min_gain * gained + rounding

        return may_fire

    def _outlook(self) -> Outlook | None:
        """The outlook now, relative to the first value; None while there are too few values."""
        counts = [len(self._epochs) - start for start in self._starts]
        if min(counts) < LEAST_POINTS:
            return None
        now = self._epochs[-1]
        (gain, limit, level), *others = (self._fit(start, now) for start in self._starts)
        return Outlook(self._sign, now, level, gain, max(limit, *(other for _, other, _ in others)))

    def _add(self, epoch: int, value: float) -> None:
        if not is_measured(value):
            return
        epochs, value = epoch + 1, self._sign * value
        self._first = self._first if self._epochs else value
        x, y = math.log2(epochs), value - self._first
        self.scale = max(self.scale, abs(y))
        added = (x, y, x * x, x * y, y * y)
        self._epochs.append(epochs)
        self._sums.append(tuple(a + b for a, b in zip(self._sums[-1], added, strict=True)))  # type: ignore[arg-type]
        for index, reach in enumerate(_REACHES):
            while self._epochs[self._starts[index]] <= epochs / 2**reach:
                self._starts[index] += 1

    def _fit(self, start: int, now: int) -> tuple[float, float, float]:
        """Slope over log2(epochs), its upper limit, and the value now of the least-squares line."""
        n = len(self._epochs) - start
        x, y, xx, xy, yy = (b - a for a, b in zip(self._sums[start], self._sums[-1], strict=True))
        var_x, cov, var_y = xx - x * x / n, xy - x * y / n, yy - y * y / n
        slope = cov / var_x
        error = math.sqrt(max(var_y - slope * cov, 0.0) / (n - 2) / var_x)
        return slope, slope + _quantile(n - 2) * error, (y + slope * (n * math.log2(now) - x)) / n
