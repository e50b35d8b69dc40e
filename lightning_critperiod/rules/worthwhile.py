"""A rule that estimates what more training is worth: the gain of one more doubling of the training."""

from dataclasses import dataclass
from typing import Literal

from lightning_critperiod.recipe import require_int, require_number
from lightning_critperiod.rules.base import History, Lines, Rule
from lightning_critperiod.rules.measured import last_epoch, require_mode
from lightning_critperiod.rules.outlook import LEAST_POINTS, Outlook, outlook

# The first t with four measured epochs since t / sqrt(2).
_LEAST_EPOCHS = 11


@dataclass(frozen=True)
class Worthwhile(Rule):
    """Over when going on is not worth it: even allowing for noise, less than ``min_gain`` is still to come.

    With t the number of epochs so far, the gain per doubling of the training is the slope of the least-squares line of
    the values over log2(epochs). Two such lines are fitted, through the epochs since t / 2 and since t / sqrt(2). Each
    slope has an upper limit (99%, one-sided, Student's t), and the larger limit counts. A curve that is concave in
    log(epochs), as a power law or one that saturates, gains at most that much per doubling from here on. The rule
    fires when the limit, times the doublings that are left, is below ``min_gain``. What is left is one doubling, or the
    doublings until ``horizon``. Noise makes the limit larger: it delays the verdict.

    There is no verdict while fewer than 4 epochs were measured since t / sqrt(2) (11 epochs, if every epoch is
    measured), and none after the last epoch of the run. Give it a metric that is smooth and that no schedule moves:
    that of averaged weights, at a constant learning rate. No curve predicts a drop of the learning rate. The rule is
    our own.

    False alarms (docs/calibration.md, 100 epochs): 0% of the runs on a steady fall with noise of 10% of it, 31% when
    that is correlated from epoch to epoch (AR(1), 0.9); 0% on a power law with noise of 1%, and 56% of the ends missed.
    On finished public runs (docs/worthwhile.md: the confirmation half, ``min_gain`` 2% of the whole gain,
    ``horizon`` the end of the run) 4% false alarms; it is late and saves 4% of the epochs, of 32% that were possible.

    Args:
        min_gain: The least gain that is worth going on for, in units of the metric, above 0.
        mode: "min" if lower is better, "max" if higher is.
        horizon: Number of epochs that the training would have if it went on, at least 1; None is twice as many as so
            far.

    Raises:
        TypeError: ``min_gain`` is not a number, or ``horizon`` is not an int.
        ValueError: An argument is out of its range.

    >>> accuracy = {epoch: 0.9 - 0.5 / (epoch + 1) for epoch in range(60)}
    >>> rule = Worthwhile(min_gain=0.015, mode="max")
    >>> rule({e: accuracy[e] for e in range(20)}, max_epochs=None), rule(accuracy, max_epochs=None)
    (False, True)
    >>> for part in rule.why(accuracy, max_epochs=None).split("; "):
    ...     print(part)
    improved by 0.00803 in the last doubling of the epochs
    going on to epoch 119 would bring at most 0.00837, below min_gain=0.015
    """

    min_gain: float
    mode: Literal["min", "max"]
    horizon: int | None = None

    open_ended = True

    def __post_init__(self) -> None:
        require_number("min_gain", self.min_gain, low=0, open_low=True)
        require_mode(self.mode)
        if self.horizon is not None:
            require_int("horizon", self.horizon, low=1)

    @property
    def least_epochs(self) -> int:
        """The first epochs of which the last half doubling has enough."""
        return _LEAST_EPOCHS

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        found = outlook(history, self.mode)
        is_last = max_epochs is not None and last_epoch(history) + 1 >= max_epochs
        return found is not None and not is_last and found.to_come(self._end(found)) < self.min_gain

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        return f"{self._expected(history)}, below min_gain={self.min_gain:g}"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """What is still to come, in words, for a history on which the rule did not fire."""
        found = outlook(history, self.mode)
        if found is None:
            return f"a verdict takes {LEAST_POINTS} measured epochs in the last half doubling of the epochs"
        side = "below" if found.to_come(self._end(found)) < self.min_gain else "not below"
        return f"the metric {self._expected(history)}, {side} min_gain={self.min_gain:g}"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The line through the last doubling, the most that may be to come, and the least that is worth it."""
        found = outlook(history, self.mode)
        if found is None:
            return {}
        end = self._end(found)
        return {**found.lines(end), "worth going on": found.above(self.min_gain, end)}

    def course(self, history: History, max_epochs: int | None) -> Lines:
        """After every epoch the gain of the last doubling, the most that may be to come, and ``min_gain``."""
        from lightning_critperiod.rules.outlook_estimate import outlooks  # which knows the rules

        found = [(now.now - 1.0, now) for now in outlooks(history, self.mode)]
        if not found:
            return {}
        return {
            "gain of the last doubling": [(epoch, now.gain) for epoch, now in found],
            "at most to come": [(epoch, now.to_come(self._end(now))) for epoch, now in found],
            "worth going on": [(found[i][0], self.min_gain) for i in (0, -1)],
        }

    def progress(self, history: History, max_epochs: int | None) -> dict[str, float]:
        """What the last doubling brought, and the most that may be to come: the rule fires below ``min_gain``."""
        found = outlook(history, self.mode)
        return (
            {} if found is None else {"last_doubling": found.gain, "at_most_to_come": found.to_come(self._end(found))}
        )

    def _end(self, found: Outlook) -> int:
        return max(self.horizon or 2 * found.now, found.now)

    def _expected(self, history: History) -> str:
        found = outlook(history, self.mode)
        if found is None:
            return "was measured too rarely"
        end = self._end(found)
        change = f"{'improved' if found.gain >= 0 else 'got worse'} by {abs(found.gain):.3g}"
        most = f"at most {found.to_come(end):.3g}" if found.to_come(end) > 0 else "nothing"
        return f"{change} in the last doubling of the epochs; going on to epoch {end - 1} would bring {most}"
