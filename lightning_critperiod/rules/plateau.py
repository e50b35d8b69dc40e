"""Lightning's EarlyStopping as a rule: the metric has not improved for a while."""

import math
from dataclasses import dataclass
from typing import Literal

from lightning_critperiod.recipe import require_int, require_number
from lightning_critperiod.rules.base import History, Lines, Rule
from lightning_critperiod.rules.measured import last_epoch, may_judge, measured, require_min_epochs, require_mode


@dataclass(frozen=True)
class Plateau(Rule):
    """Over when ``patience`` measurements in a row did not improve on the best by over ``min_delta``.

    ``Plateau(min_epochs=0)`` fires at the check at which Lightning's ``EarlyStopping`` with the same words
    would stop: a value improves when value + min_delta < best (mode "min") or value - min_delta > best
    ("max"), and only a value that improves becomes the best. Patience counts measurements, not epochs: with
    ``check_val_every_n_epoch=5`` a patience of 3 is 15 epochs. Measurements before ``min_epochs`` count,
    but the rule cannot fire yet. One difference: a value that is not finite counts as not measured, while
    ``EarlyStopping`` stops at it (``check_finite=True``) or counts it as no improvement (False).

    False alarms (docs/calibration.md, 100 epochs): at the default patience, on a steady fall 0% of the runs with noise
    of 0.1% of that fall, 39% with 1%, 100% with 10%; on a flat signal 100%. Noise asks for more patience, which does
    more than smoothing the signal first (same page).

    Args:
        patience: Measurements without improvement, from 0; as in Lightning, 0 means the same as 1.
        min_delta: What an improvement must exceed, from 0, in units of the signal or, if ``relative``, of the best.
        mode: "min" if lower is better, "max" if higher is.
        min_epochs: No verdict while fewer epochs are over; None is a tenth of the run, rounded up, or 10
            where the run has no last epoch.
        relative: An improvement must exceed ``min_delta`` times the absolute value of the best, whatever the scale
            of the signal: ``min_delta=0.01`` is one percent. Lightning has no such thing.

    Raises:
        TypeError: A number is none, ``patience`` or ``min_epochs`` is not an int, or ``relative`` is not a bool.
        ValueError: An argument is out of its range.

    >>> val_loss = {0: 2.0, 1: 1.0, 2: 1.1, 3: 1.2}
    >>> Plateau(patience=3)(val_loss, max_epochs=10), Plateau(patience=2)(val_loss, max_epochs=10)
    (False, True)
    >>> Plateau(patience=2).why(val_loss, max_epochs=10)
    'did not improve on 1 in 2 measurements'
    >>> Plateau(patience=1, min_delta=0.1, relative=True).why({0: 40.0, 1: 37.0}, max_epochs=10)
    'did not improve on 40 by more than 10% in 1 measurement'
    """

    patience: int = 3
    min_delta: float = 0.0
    mode: Literal["min", "max"] = "min"
    min_epochs: int | None = None
    relative: bool = False
    open_ended = True

    def __post_init__(self) -> None:
        require_int("patience", self.patience, low=0)
        require_number("min_delta", self.min_delta, low=0)
        require_mode(self.mode)
        require_min_epochs(self.min_epochs)
        if not isinstance(self.relative, bool):
            raise TypeError(f"relative must be True or False, got {self.relative!r}")

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        waited = self._best_and_waited(history)[1]
        return may_judge(history, max_epochs, self.min_epochs) and waited >= max(self.patience, 1)

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        best, waited = self._best_and_waited(history)
        amount = f"{100 * self.min_delta:g}%" if self.relative else f"{self.min_delta:g}"
        by = f" by more than {amount}" if self.min_delta else ""
        return f"did not improve on {best:.4g}{by} in {waited} measurement{'s' * (waited != 1)}"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """How long ago the best value was, for a history on which the rule did not fire."""
        best, waited = self._best_and_waited(history)
        if not math.isfinite(best):
            return "nothing was measured"
        ago = f"{waited} measurement{'s' * (waited != 1)} ago"
        return f"the best, {best:.4g}, was {ago}, and the patience is {max(self.patience, 1)}"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """The best value, from where it was reached."""
        best, waited = self._best_and_waited(history)
        points = measured(history)
        if not math.isfinite(best):
            return {}
        return {"best": [(float(epoch), best) for epoch in (points[-1 - waited][0], last_epoch(history))]}

    def _best_and_waited(self, history: History) -> tuple[float, int]:
        sign = 1 if self.mode == "min" else -1
        best, waited = math.inf, 0
        for _, value in measured(history):
            margin = self.min_delta * abs(best) if self.relative and best < math.inf else self.min_delta
            improved = sign * value + margin < best
            best, waited = (sign * value, 0) if improved else (best, waited + 1)
        return sign * best, waited
