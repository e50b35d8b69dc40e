"""What a guard asks: has the metric dropped since the run switched?"""

from dataclasses import dataclass
from typing import Literal

from lightning_critperiod.recipe import require_int, require_number
from lightning_critperiod.rules.base import History
from lightning_critperiod.rules.measured import measured, require_mode


@dataclass(frozen=True)
class Dropped:
    """Whether each of the last ``patience`` measured values is worse than the best before it by over ``max_drop``.

    Only values at epochs from ``since`` on can have dropped; the best may be older. It is no ``Rule``: it judges what
    follows a decision.

    Args:
        max_drop: In units of the metric, from 0.
        mode: "min" if lower is better, "max" if higher is.
        patience: Measured values in a row, at least 1.

    Raises:
        TypeError: ``max_drop`` is not a number, or ``patience`` is not an int.
        ValueError: An argument is out of its range.

    >>> accuracy = {0: 0.6, 1: 0.7, 2: 0.66, 3: 0.65}
    >>> dropped = Dropped(max_drop=0.03, mode="max", patience=2)
    >>> dropped.fired(accuracy, since=2), dropped.fired(accuracy, since=3)
    (True, False)
    >>> dropped.why(accuracy)
    'fell to 0.65, more than 0.03 below its best 0.7'
    """

    max_drop: float
    mode: Literal["min", "max"]
    patience: int = 1

    def __post_init__(self) -> None:
        require_number("max_drop", self.max_drop, low=0)
        require_mode(self.mode)
        require_int("patience", self.patience, low=1)

    def fired(self, history: History, since: int) -> bool:
        """Whether the metric has dropped.

        Args:
            history: 0-based epoch -> value; epochs may be missing, a value that is not finite counts as not measured.
            since: The first epoch at which a value can have dropped.

        Returns:
            False where fewer than ``patience`` values were measured since.
        """
        points = measured(history)
        judged = range(len(points) - self.patience, len(points))
        return all(i > 0 and points[i][0] >= since and self._is_low(points, i) for i in judged)

    def why(self, history: History) -> str:
        """The verdict in words that follow the metric's name, for a history on which it fired."""
        points = measured(history)
        value, best = points[-1][1], self._best(points[:-1])
        moved, side = ("rose", "above") if self.mode == "min" else ("fell", "below")
        return f"{moved} to {value:.4g}, more than {self.max_drop:g} {side} its best {best:.4g}"

    def _best(self, points: list[tuple[int, float]]) -> float:
        return (min if self.mode == "min" else max)(value for _, value in points)

    def _is_low(self, points: list[tuple[int, float]], i: int) -> bool:
        drop = points[i][1] - self._best(points[:i])
        return (drop if self.mode == "min" else -drop) > self.max_drop
