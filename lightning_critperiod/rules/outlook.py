"""What one more doubling of the training may gain, read off the last doubling, noise allowed for."""

import math
from statistics import NormalDist, linear_regression
from typing import Literal, NamedTuple

from lightning_critperiod.rules.base import History, Lines
from lightning_critperiod.rules.measured import measured

# Doublings that each line reaches back.
_REACHES = (1.0, 0.5)
# A line through fewer points says nothing about its own error.
LEAST_POINTS = 4
_Z = NormalDist().inv_cdf(0.99)


class Outlook(NamedTuple):
    """How a metric stands, up being better (the sign of a metric of mode "min" is turned).

    Args:
        sign: 1 for the mode "max", -1 for "min".
        now: Number of epochs up to the last measured one.
        level: The line through the last doubling there.
        gain: Its slope: what a doubling of the epochs brought.
        limit: The upper 99% limit of what the next doubling brings.
    """

    sign: int
    now: int
    level: float
    gain: float
    limit: float

    def to_come(self, end: int) -> float:
        """The most that may be gained until ``end`` epochs are over; 0 or less where nothing is."""
        return self.limit * math.log2(end / self.now) if end > self.now else 0.0

    def lines(self, end: int) -> Lines:
        """For figures: the line through the last doubling, and the most that may be to come until ``end``."""
        past = [self.now * (10 + i) / 20 for i in range(11)]
        fitted = [(t - 1, self.sign * (self.level + self.gain * math.log2(t / self.now))) for t in past]
        return {"last doubling": fitted, "at most to come": self.above(self.to_come(end), end)}

    def above(self, gain: float, end: int) -> list[tuple[float, float]]:
        """A straight line from the level now to ``gain`` above it when ``end`` epochs are over."""
        ends = (self.now - 1.0, self.level), (max(end, self.now) - 1.0, self.level + gain)
        return [(epoch, self.sign * value) for epoch, value in ends]


def outlook(history: History, mode: Literal["min", "max"]) -> Outlook | None:
    """Fit value = level + gain log2(epochs / now) to the last doubling and to the last half doubling.

    On a curve that is concave in log(epochs), as a power law or one that saturates, the slope only falls, so that the
    next doubling gains at most as much. The slope has an upper limit (99%, one-sided, Student's t); the larger one of
    the two lines counts.

    Args:
        history: 0-based epoch -> value; epochs may be missing, a value that is not finite counts as not measured.
        mode: "min" if lower is better, "max" if higher is.

    Returns:
        None while fewer than 4 epochs were measured in the last half doubling.
    """
    sign = 1 if mode == "max" else -1
    points = [(epoch + 1, sign * value) for epoch, value in measured(history)]
    now = points[-1][0] if points else 0
    doubling, half = ([point for point in points if point[0] > now / 2**reach] for reach in _REACHES)
    if len(half) < LEAST_POINTS:
        return None
    (gain, limit, level), (_, other_limit, _) = _fit(doubling, now), _fit(half, now)
    return Outlook(sign, now, level, gain, max(limit, other_limit))


def _fit(points: list[tuple[int, float]], now: int) -> tuple[float, float, float]:
    """Slope over log2(epochs), its upper limit, and the value now of the least-squares line."""
    x = [math.log2(epochs / now) for epochs, _ in points]
    y = [value for _, value in points]
    slope, level = linear_regression(x, y)
    residual = math.fsum((b - level - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    freedom, middle = len(x) - 2, math.fsum(x) / len(x)
    error = math.sqrt(residual / freedom / math.fsum((a - middle) ** 2 for a in x))
    return slope, slope + _student(freedom) * error, level


def _student(freedom: int) -> float:
    """The one-sided 99% quantile of Student's t: 7% too small at two degrees of freedom, 2% at three, then exact."""
    # Abramowitz and Stegun 1964, 26.7.5, an expansion around the normal quantile.
    terms = (
        _Z,
        (_Z**3 + _Z) / 4,
        (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96,
        (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
