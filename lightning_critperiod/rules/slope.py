"""The published rule for layer rotation: the signal no longer rises at 45 degrees."""

import math
from dataclasses import dataclass
from statistics import linear_regression

from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.base import History, Lines, Rule, require_last_epoch
from lightning_critperiod.rules.measured import may_judge, measured, require_int, require_min_epochs


@dataclass(frozen=True)
class Slope(Rule):
    """Over when the line through the last measured epochs rises at less than ``max_angle`` degrees.

    With x = e / (max_epochs - 1), training progress in [0, 1] at the 0-based epoch e, and m the slope of
    the line through the last ``window`` measured points (x, value): over when atan(m) < ``max_angle``. At
    45 degrees the signal would rise by 1 over a whole run. ``Slope(min_epochs=0)`` is the rule for layer
    rotation of Fukase et al. 2025 (arXiv 2506.15954), to the letter; the default gives no verdict in the
    first tenth of the run.

    A window of fewer measured epochs gives no verdict. The verdict rests on the values that there are: an
    epoch without a value leaves it as it was.

    False alarms (docs/calibration.md, 100 epochs): on a steady rise at 60 degrees 0% of the runs with noise of 0.1% of
    that rise, 100% with 1%; on a flat signal 100%. It is for smooth signals that are known to move, as rotation is.

    Args:
        window: Measured epochs that the line goes through, at least 2.
        max_angle: In degrees, above -90, at most 90.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up.

    Raises:
        TypeError: An argument is not a number, or ``window`` or ``min_epochs`` is no int.
        ValueError: An argument is out of its range.

    >>> rotation = {0: 0.0, 1: 0.2, 2: 0.4, 3: 0.45, 4: 0.46}
    >>> Slope(window=2)({e: rotation[e] for e in range(3)}, max_epochs=10)
    False
    >>> Slope(window=2)(rotation, max_epochs=10)
    True
    >>> Slope(window=2).why(rotation, max_epochs=10)
    'rose at 5.1 degrees, below 45'
    """

    window: int = 5
    max_angle: float = 45.0
    min_epochs: int | None = None

    def __post_init__(self) -> None:
        require_int("window", self.window, low=2)
        require_number("max_angle", self.max_angle, low=-90, high=math.nextafter(90, 91), open_low=True)
        require_min_epochs(self.min_epochs)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        if not may_judge(history, max_epochs, self.min_epochs) or len(measured(history)) < self.window:
            return False
        # 1e-9: float noise must not take a line of exactly max_angle below it.
        return self._angle(history, max_epochs) < self.max_angle - 1e-9

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        return f"rose at {self._angle(history, max_epochs):.1f} degrees, below {self.max_angle:g}"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The line whose angle is judged, half an epoch longer at both ends."""
        points = measured(history)[-self.window :]
        if len(points) < self.window:
            return {}
        slope, intercept = linear_regression(*zip(*points, strict=True))
        return {"fitted line": [(x, intercept + slope * x) for x in (points[0][0] - 0.5, points[-1][0] + 0.5)]}

    def _angle(self, history: History, max_epochs: int | None) -> float:
        epochs, values = zip(*measured(history)[-self.window :], strict=True)
        per_epoch = linear_regression(epochs, values).slope
        return math.degrees(math.atan(per_epoch * (require_last_epoch(self, max_epochs) - 1)))
