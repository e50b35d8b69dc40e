"""The published rule for layer rotation: the signal no longer rises at 45 degrees."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression

from lightning_critperiod.recipe import require_int, require_number
from lightning_critperiod.rules.base import History, Lines, Rule, require_last_epoch
from lightning_critperiod.rules.measured import may_judge, measured, require_min_epochs

Points = Sequence[tuple[int, float]]
_START = (-1, 0.0)  # rotation before the first epoch


@dataclass(frozen=True)
class Slope(Rule):
    """Over when the signal has risen at ``max_angle`` degrees, and no longer does in its last measured epochs.

    With x = e / (max_epochs - 1), training progress in [0, 1] at the 0-based epoch e, and m the slope of
    the line through the last ``window`` measured points (x, value): over when atan(m) < ``max_angle``, if
    the line through some earlier ``window`` points had atan(m) >= ``max_angle``. The first of these points
    is 0 before the first epoch, where rotation starts. At 45 degrees the signal would rise by 1 over a
    whole run. If rotation never rose at that angle, as at tiny learning rates, there is no period that
    could end. By default there is no verdict in the first tenth of the run.

    ``Slope.published()`` is the rule for layer rotation of Fukase et al. 2025 (arXiv 2506.15954) to the
    letter: it looks from the first full window on and asks for no rise before.

    With fewer measured epochs than the window there is no verdict. An epoch without a value does not change
    the verdict.

    False alarms (docs/calibration.md, 100 epochs): on a steady rise at 60 degrees 0% of the runs with noise of 0.1% of
    that rise, 100% with 1%. It is for smooth signals, as rotation is.

    Args:
        window: Measured epochs that the line goes through, at least 2.
        max_angle: In degrees, above -90, at most 90.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up.
        after_rise: Only after a rise at ``max_angle``, from 0 before the first epoch on; False also ends the period
            of a signal that has hardly moved.

    Raises:
        TypeError: An argument is not a number, ``window`` or ``min_epochs`` is not an int, or ``after_rise`` is not a
            bool.
        ValueError: An argument is out of its range.

    >>> rotation = {0: 0.0, 1: 0.2, 2: 0.4, 3: 0.45, 4: 0.46}
    >>> Slope(window=2)({e: rotation[e] for e in range(3)}, max_epochs=10)
    False
    >>> Slope(window=2)(rotation, max_epochs=10)
    True
    >>> Slope(window=2).why(rotation, max_epochs=10)
    'rose at 5.1 degrees, below 45'
    >>> flat = {0: 0.0, 1: 0.001, 2: 0.002}
    >>> Slope(window=2, min_epochs=0)(flat, max_epochs=10), Slope(window=2, after_rise=False)(flat, max_epochs=10)
    (False, True)
    """

    window: int = 5
    max_angle: float = 45.0
    min_epochs: int | None = None
    after_rise: bool = True

    def __post_init__(self) -> None:
        require_int("window", self.window, low=2)
        require_number("max_angle", self.max_angle, low=-90, high=math.nextafter(90, 91), open_low=True)
        require_min_epochs(self.min_epochs)
        if not isinstance(self.after_rise, bool):
            raise TypeError(f"after_rise must be True or False, got {self.after_rise!r}")

    @property
    def least_epochs(self) -> int:
        """The window."""
        return self.window

    @classmethod
    def published(cls) -> "Slope":
        """The rule of Fukase et al. 2025 to the letter: 5 epochs, 45 degrees, from the fifth epoch on, rise or not."""
        return cls(window=5, max_angle=45.0, min_epochs=0, after_rise=False)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        length, points = require_last_epoch(self, max_epochs), measured(history)
        if not may_judge(history, length, self.min_epochs) or len(points) < self.window:
            return False
        if self._is_steep(points[-self.window :], length):
            return False
        return not self.after_rise or self._has_risen([_START, *points], length)

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        angle = _angle(measured(history)[-self.window :], require_last_epoch(self, max_epochs))
        return f"{_in_words(angle)}, below {self.max_angle:g}"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """Why there was no verdict: too few values, a rise that went on, or none that was steep."""
        length, points = require_last_epoch(self, max_epochs), measured(history)
        if len(points) < self.window or length < 2:
            return f"a verdict takes {self.window} measured epochs, got {len(points)}"
        if self._is_steep(points[-self.window :], length):
            return f"the signal still {_in_words(_angle(points[-self.window :], length))}"
        if self.after_rise and not self._has_risen([_START, *points], length):
            steepest = max(_angle(part, length) for part in self._windows([_START, *points]))
            return (
                f"the signal has not risen steeply so far: its steepest angle was {steepest:.1f} degrees, and only the "
                f"end of a rise at {self.max_angle:g} ends the period"
            )
        return super().why_not(history, max_epochs)

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The line whose angle is judged, half an epoch longer at both ends."""
        points = measured(history)[-self.window :]
        if len(points) < self.window:
            return {}
        slope, intercept = linear_regression(*zip(*points, strict=True))
        return {"fitted line": [(x, intercept + slope * x) for x in (points[0][0] - 0.5, points[-1][0] + 0.5)]}

    def _is_steep(self, points: Points, max_epochs: int) -> bool:
        # 1e-9: float noise must not take a line of exactly max_angle below it.
        return _angle(points, max_epochs) >= self.max_angle - 1e-9

    def _windows(self, points: Points) -> Iterator[Points]:
        return (points[end - self.window : end] for end in range(self.window, len(points) + 1))

    def _has_risen(self, points: Points, max_epochs: int) -> bool:
        # A line is never steeper than the steepest step between its points; most windows need no line to be ruled out.
        limit = math.tan(math.radians(self.max_angle - 1e-6)) / (max_epochs - 1)
        steep = [v - u >= limit * (b - a) for (a, u), (b, v) in pairwise(points)]
        windows = enumerate(self._windows(points))
        return any(any(steep[i : i + self.window - 1]) and self._is_steep(part, max_epochs) for i, part in windows)


def _angle(points: Points, max_epochs: int) -> float:
    epochs, values = zip(*points, strict=True)
    per_epoch = linear_regression(epochs, values).slope
    return math.degrees(math.atan(per_epoch * (max_epochs - 1)))


def _in_words(angle: float) -> str:
    return f"rose at {angle:.1f} degrees" if angle >= 0 else f"fell, with an angle of {angle:.1f} degrees"
