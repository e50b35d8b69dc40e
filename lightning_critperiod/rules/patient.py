"""A rule that asks another one several times."""

from dataclasses import dataclass

from lightning_critperiod.recipe import require_int
from lightning_critperiod.rules.base import History, Lines, Rule
from lightning_critperiod.rules.measured import last_epoch


@dataclass(frozen=True)
class Patient(Rule):
    """Over when another rule has fired after each of the last ``epochs`` epochs.

    The rule is asked after an epoch that was not measured, too, and its answer counts. A rule that looks only at every
    tenth epoch never fires twice in a row: ``Patient(LowOutlier(every_n_epochs=1), 2)``. Ours.

    False alarms (docs/calibration.md, 100 epochs): with ``LowOutlier(every_n_epochs=1)`` on stationary noise 57% of the
    runs at 1 epoch, 5% at 2, 0% at 3, and 32% at 3 when it is correlated from epoch to epoch (AR(1), 0.9). At 3 it
    misses 8% of drops by 4 standard deviations, and is 3 epochs late; the published ``LowOutlier()`` has 12% false
    alarms, misses 38% and is 10 late. For ``Slope`` a longer window does as well.

    Args:
        rule: The rule that is asked.
        epochs: How many times in a row it must say that the period is over, at least 1.

    Raises:
        TypeError: ``rule`` is not a Rule, or ``epochs`` is not an int.
        ValueError: ``epochs`` is below 1.

    >>> from lightning_critperiod.rules import LowOutlier
    >>> confusion = dict(enumerate([0.91, 0.93, 0.90, 0.92, 0.91, 0.94, 0.92, 0.93, 0.80, 0.81]))
    >>> rule = Patient(LowOutlier(every_n_epochs=1), epochs=2)
    >>> rule(confusion, max_epochs=50), rule(confusion | {9: 0.92}, max_epochs=50)
    (True, False)
    >>> rule.why(confusion, max_epochs=50)
    'fell to 0.81, below 0.88 (Q1 - 1.5 IQR of 8 epochs), 2 times in a row'
    """

    rule: Rule
    epochs: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.rule, Rule):
            raise TypeError(f"rule must be a Rule such as Slope(), got {self.rule!r}")
        require_int("epochs", self.epochs, low=1)

    @property
    def open_ended(self) -> bool:
        """Whether the other rule can judge a run without a last epoch."""
        return self.rule.open_ended

    @property
    def reads_signal(self) -> bool:
        """Whether the other rule goes by the signal."""
        return self.rule.reads_signal

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        ends = range(last_epoch(history), last_epoch(history) - self.epochs, -1)
        return all(self.rule({e: v for e, v in history.items() if e <= end}, max_epochs) for end in ends)

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        return f"{self.rule.why(history, max_epochs)}, {self.epochs} times in a row"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """The reason of the other rule."""
        return self.rule.why_not(history, max_epochs)

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """Those of the other rule."""
        return self.rule.lines(history, max_epochs)

    def course(self, history: History, max_epochs: int | None) -> Lines:
        """That of the other rule."""
        return self.rule.course(history, max_epochs)

    def progress(self, history: History, max_epochs: int | None) -> dict[str, float]:
        """That of the other rule."""
        return self.rule.progress(history, max_epochs)

    def check_run(self, max_epochs: int | None) -> None:
        """Refuse a run that the other rule can't work in."""
        self.rule.check_run(max_epochs)
