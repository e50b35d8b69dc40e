"""What a rule says after every epoch of a finished run, without reading the whole history again for each of them."""

import math
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from lightning_critperiod.rules.base import History, Rule
from lightning_critperiod.rules.fixed import Never
from lightning_critperiod.rules.low_outlier import LowOutlier
from lightning_critperiod.rules.measured import last_epoch
from lightning_critperiod.rules.patient import Patient
from lightning_critperiod.rules.plateau import Plateau
from lightning_critperiod.rules.slope import Slope


def verdicts(rule: Rule, history: History, max_epochs: int | None) -> Iterator[bool]:
    """Ask a rule before the first epoch, then after every one; an epoch without a value is NaN.

    What comes out is what ``rule`` itself says each time. Rules whose verdict needs little of the history are shown
    only that, so that a run of n epochs takes n steps and not n squared; a rule of the user's own reads it all.

    Args:
        rule: Is asked.
        history: 0-based epoch -> value of the whole run; epochs may be missing.
        max_epochs: Planned number of epochs; None for a run without a last epoch.

    Yields:
        Whether it fires.
    """
    # The type itself: a subclass may have another verdict.
    ask = _WITH_LITTLE.get(type(rule), _ask_with_all)
    yield from ask(rule, history, max_epochs)


def _values(history: History) -> Iterator[tuple[int, float]]:
    return ((epoch, history.get(epoch, math.nan)) for epoch in range(last_epoch(history) + 1))


def _ask_with_all(rule: Rule, history: History, max_epochs: int | None) -> Iterator[bool]:
    seen: History = {}
    yield rule(seen, max_epochs)
    for epoch, value in _values(history):
        seen[epoch] = value
        yield rule(seen, max_epochs)


def _never(rule: Never, history: History, max_epochs: int | None) -> Iterator[bool]:
    yield from (False for _ in range(last_epoch(history) + 2))


def _slope(rule: Slope, history: History, max_epochs: int | None) -> Iterator[bool]:
    """The line goes through the last measured epochs."""
    window: deque[tuple[int, float]] = deque(maxlen=rule.window)
    yield rule({}, max_epochs)
    for epoch, value in _values(history):
        if math.isfinite(value):
            window.append((epoch, value))
        yield rule({**dict(window), epoch: value}, max_epochs)


def _plateau(rule: Plateau, history: History, max_epochs: int | None) -> Iterator[bool]:
    """What counts is the best value, and whether ``patience`` others came after it."""
    seen: History = {}
    yield rule(seen, max_epochs)
    for epoch, value in _values(history):
        if math.isfinite(value):
            seen[epoch] = value
            if rule.improved(seen):
                seen = {epoch: value}
            elif len(seen) > max(rule.patience, 1) + 1:
                del seen[list(seen)[1]]
        yield rule({**seen, epoch: value}, max_epochs)


def _low_outlier(rule: LowOutlier, history: History, max_epochs: int | None) -> Iterator[bool]:
    """The quartiles are those of the values before, which are kept in order."""
    past: list[float] = []
    before: list[float] = []
    yield rule({}, max_epochs)
    for epoch, value in _values(history):
        yield rule.is_time({epoch: value}, max_epochs) and bool(past) and value < rule.limit(past)
        for late in before:
            insort(past, late)
        before = [value] if math.isfinite(value) else []


def _patient(rule: Patient, history: History, max_epochs: int | None) -> Iterator[bool]:
    """The other rule is asked once an epoch, not ``epochs`` times."""
    in_a_row = 0
    for fires in verdicts(rule.rule, history, max_epochs):
        in_a_row = in_a_row + 1 if fires else 0
        yield in_a_row >= rule.epochs


_WITH_LITTLE: dict[type[Rule], Callable[[Any, History, int | None], Iterator[bool]]] = {
    Never: _never,
    Slope: _slope,
    Plateau: _plateau,
    LowOutlier: _low_outlier,
    Patient: _patient,
}
