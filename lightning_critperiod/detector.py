"""The decision: a signal's history and a rule say when the critical period is over. No Trainer is needed."""

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from lightning_critperiod.rules import History, Lines, Rule
from lightning_critperiod.rules.replay import verdicts


@dataclass(frozen=True)
class Decision:
    """What a rule decided.

    Args:
        end_epoch: The first epoch after the critical period; None if the rule did not fire.
        why: Why the rule fired, in words that follow the signal's name; empty if it did not fire.
    """

    end_epoch: int | None = None
    why: str = ""


def filled(history: History, finished: int) -> History:
    """The history of the first ``finished`` epochs as a rule is asked about it: NaN where nothing was measured."""
    return {epoch: history.get(epoch, math.nan) for epoch in range(finished)}


def ask(rule: Rule, history: History, finished: int, max_epochs: int | None) -> Decision:
    """Ask a rule after ``finished`` epochs.

    Args:
        rule: The rule that is asked.
        history: 0-based epoch -> value; epochs may be missing.
        finished: Number of epochs that are over.
        max_epochs: Planned number of epochs; None for a run without a last epoch.

    Returns:
        The decision, without an end if the rule does not fire.
    """
    seen = filled(history, finished)
    return Decision(finished, rule.why(seen, max_epochs)) if rule(seen, max_epochs) else Decision()


def replay(rule: Rule, history: History, max_epochs: int | None) -> Decision:
    """Ask a rule as a run does: before the first epoch, then after every one until it fires.

    Args:
        rule: The rule that is asked.
        history: 0-based epoch -> value of the whole run; epochs may be missing.
        max_epochs: Planned number of epochs; None for a run without a last epoch.

    Returns:
        The first decision with an end, or one without if the rule never fires.
    """
    for finished, fires in enumerate(verdicts(rule, history, max_epochs)):
        if fires:
            return Decision(finished, rule.why(filled(history, finished), max_epochs))
    return Decision()


class Detector:
    """A signal's history and the rule that is asked about it, until the rule fires once.

    It needs no Trainer: ``record`` the value of every epoch, then ``ask``.

    >>> from lightning_critperiod.rules import Plateau
    >>> detector = Detector("val_loss", Plateau(patience=2), max_epochs=100)
    >>> for epoch, value in enumerate([1.0] * 20):
    ...     detector.record(epoch, value)
    ...     if detector.ask(epoch + 1):
    ...         break
    >>> detector.end_epoch
    10

    Args:
        name: Name of the signal.
        rule: The rule that is asked.
        max_epochs: Planned number of epochs; None for a run without a last epoch.

    Attributes:
        judges: Whether the rule is asked at all.
        armed: Whether its firing counts. After a firing was undone it does not, until the rule has not fired once.
        history: 0-based epoch -> value; epochs without a value are missing.
        end_epoch: The first epoch after the critical period; None while it is not over.
        reason: The decision in words; empty while there is none.
    """

    def __init__(self, name: str, rule: Rule, max_epochs: int | None) -> None:
        self.name = name
        self.rule = rule
        self.max_epochs = max_epochs
        self.judges = True
        self.armed = True
        self.history: History = {}
        self.end_epoch: int | None = None
        self.reason = ""

    def record(self, epoch: int, value: float | None) -> None:
        """Take the value of a 0-based epoch; None if it was not measured."""
        if value is not None:
            self.history[epoch] = float(value)

    def ask(self, finished: int) -> bool:
        """Ask the rule after ``finished`` epochs, unless the period is over already.

        Returns:
            Whether the rule fired now.
        """
        if self.end_epoch is not None or not self.judges:
            return False
        decision = ask(self.rule, self.history, finished, self.max_epochs)
        if decision.end_epoch is None or not self.armed:
            self.armed = self.armed or decision.end_epoch is None
            return False
        self.end_epoch = decision.end_epoch
        when = f"over after epoch {finished - 1}" if finished else "over before the first epoch"
        self.reason = f"critical period {when}: {self.name.replace('_', ' ')} {decision.why}"
        return True

    @contextmanager
    def undone(self) -> Generator[None]:
        """Inside, the rule has not fired, and this firing does not count any more: for the state of a checkpoint."""
        before = self.end_epoch, self.reason, self.armed
        if self.end_epoch is not None:
            self.end_epoch, self.reason, self.armed = None, "", False
        try:
            yield
        finally:
            self.end_epoch, self.reason, self.armed = before

    def load(self, history: History, end_epoch: int | None, reason: str) -> None:
        """Take back what a session that this one continues had found."""
        self.history, self.end_epoch, self.reason = dict(history), end_epoch, reason if end_epoch is not None else ""

    def why_not(self, finished: int) -> str:
        """Why the period is not over after ``finished`` epochs, in words."""
        length = f"{finished} epoch{'s' * (finished != 1)}"
        if not self.judges:
            return f"critical period not judged in {length}: {self.rule} needs a run with a last epoch"
        seen = filled(self.history, finished)
        return f"critical period not over in {length}: {self.rule.why_not(seen, self.max_epochs)}"

    def progress(self, epoch: int) -> dict[str, float]:
        """What the rule went by after a 0-based epoch: name -> number; nothing once the period was over."""
        if not self.judges or (self.end_epoch is not None and epoch >= self.end_epoch):
            return {}
        return self.rule.progress(filled(self.history, epoch + 1), self.max_epochs)

    @property
    def lines(self) -> Lines:
        """What the signal was compared with when the rule was last asked, for figures; nothing if it never is."""
        return self.rule.lines(self._asked_about, self.max_epochs) if self.judges else {}

    @property
    def course(self) -> Lines:
        """What the rule went by after every epoch until it fired, for a figure of its own; nothing if it never is."""
        return self.rule.course(self._asked_about, self.max_epochs) if self.judges else {}

    @property
    def _asked_about(self) -> History:
        finished = max(self.history, default=-1) + 1 if self.end_epoch is None else self.end_epoch
        return filled(self.history, finished)
