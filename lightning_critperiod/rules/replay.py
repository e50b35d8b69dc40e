"""What a rule says after every epoch of a finished run, without reading the whole history again for each of them."""

import math
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from lightning_critperiod.rules.base import History, Rule
from lightning_critperiod.rules.fixed import AtEpoch, Never
from lightning_critperiod.rules.forecast import Forecast
from lightning_critperiod.rules.low_outlier import LowOutlier, _quantile
from lightning_critperiod.rules.measured import is_measured, last_epoch, may_judge
from lightning_critperiod.rules.outlook_estimate import OutlookEstimate
from lightning_critperiod.rules.patient import Patient
from lightning_critperiod.rules.plateau import Plateau
from lightning_critperiod.rules.slope import _START, Slope
from lightning_critperiod.rules.worthwhile import Worthwhile

MayFire = Callable[[int, float], bool]
"""Is told every epoch and its value, NaN if there is none; says whether the rule can fire now."""


def verdicts(rule: Rule, history: History, max_epochs: int | None) -> Iterator[bool]:
    """Ask a rule before the first epoch, then after every one; an epoch without a value is NaN.

    Of a rule of ours it is known, from a few numbers that are kept from epoch to epoch, when it cannot fire; then it is
    not asked. So n epochs take about n steps, and not n squared as for a rule of the user's own, which reads its whole
    history each time. Wherever a rule fires, it said so itself.

    Args:
        rule: The rule that is asked.
        history: 0-based epoch -> value of the whole run; epochs may be missing.
        max_epochs: Planned number of epochs; None for a run without a last epoch.

    Yields:
        Whether it fires.
    """
    may_fire, seen = _may_fire(rule, max_epochs), History()
    yield rule(seen, max_epochs)
    for epoch in range(last_epoch(history) + 1):
        seen[epoch] = history.get(epoch, math.nan)
        yield may_fire(epoch, seen[epoch]) and rule(seen, max_epochs)


def _may_fire(rule: Rule, max_epochs: int | None) -> MayFire:
    # The type itself: a subclass may have another verdict.
    known = _KNOWN.get(type(rule)) if max_epochs is not None or rule.open_ended else None
    return known(rule, max_epochs) if known else lambda epoch, value: True


class _Slope:
    """Keeps the last measured epochs, which the line goes through, and whether an earlier line was steep."""

    def __init__(self, rule: Slope, max_epochs: int) -> None:
        self._rule, self._max_epochs = rule, max_epochs
        self._window = deque([_START], maxlen=rule.window)
        self._measured = 0
        self._is_steep = False
        self._has_risen = not rule.after_rise

    def __call__(self, epoch: int, value: float) -> bool:
        if is_measured(value):
            self._window.append((epoch, value))
            self._measured += 1
            whole = len(self._window) == self._rule.window
            self._is_steep = whole and self._rule._is_steep(list(self._window), self._max_epochs)
            self._has_risen = self._has_risen or self._is_steep
        may_judge_now = may_judge({epoch: value}, self._max_epochs, self._rule.min_epochs)
        return may_judge_now and self._measured >= self._rule.window and self._has_risen and not self._is_steep


class _Plateau:
    """Keeps the best value and the last ones since: what came between changes nothing."""

    def __init__(self, rule: Plateau, max_epochs: int | None) -> None:
        self._rule, self._max_epochs, self._patience = rule, max_epochs, max(rule.patience, 1)
        self._kept: History = {}
        self._waited = 0

    def __call__(self, epoch: int, value: float) -> bool:
        if is_measured(value):
            self._kept[epoch] = value
            _, self._waited = self._rule._best_and_waited(self._kept)
            if not self._waited:
                self._kept = {epoch: value}
            elif self._waited > self._patience:
                del self._kept[list(self._kept)[1]]
        return self._waited >= self._patience and may_judge({epoch: value}, self._max_epochs, self._rule.min_epochs)


def _low_outlier(rule: LowOutlier, max_epochs: int | None) -> MayFire:
    """Keeps the values up to the epoch before the last one in order."""
    past: list[float] = []
    before = math.nan

    def may_fire(epoch: int, value: float) -> bool:
        nonlocal before
        limit = _limit(rule, past)
        if is_measured(before):
            insort(past, before)
        before = value
        return value < limit

    return may_fire


def _limit(rule: LowOutlier, past: list[float]) -> float:
    if not past:
        return -math.inf
    q1, q3 = _quantile(past, 0.25), _quantile(past, 0.75)
    return q1 - rule.threshold * (q3 - q1)


def _patient(rule: Patient, max_epochs: int | None) -> MayFire:
    """The other rule must be able to fire as many times in a row."""
    other = _may_fire(rule.rule, max_epochs)
    # Before the first epoch all its questions are the same one.
    in_a_row = rule.epochs if rule.rule({}, max_epochs) else 0

    def may_fire(epoch: int, value: float) -> bool:
        nonlocal in_a_row
        in_a_row = in_a_row + 1 if other(epoch, value) else 0
        return in_a_row >= rule.epochs

    return may_fire


_KNOWN: dict[type[Rule], Callable[[Any, Any], MayFire]] = {
    Never: lambda rule, max_epochs: lambda epoch, value: False,
    AtEpoch: lambda rule, max_epochs: lambda epoch, value: epoch + 1 >= rule.epoch,
    Slope: _Slope,
    Plateau: _Plateau,
    LowOutlier: _low_outlier,
    Patient: _patient,
    Forecast: lambda rule, max_epochs: OutlookEstimate(rule.mode).may_fire_forecast(rule, max_epochs),
    Worthwhile: lambda rule, max_epochs: OutlookEstimate(rule.mode).may_fire_worthwhile(rule),
}
