"""What every rule is."""

from abc import ABC, abstractmethod

History = dict[int, float]
"""0-based epoch -> value of the signal; epochs may be missing, the order of insertion does not matter."""

Lines = dict[str, list[tuple[float, float]]]
"""Label -> (epoch, value) points of a line in a figure of the signal."""


class Rule(ABC):
    """Says from the history of a signal whether the critical period is over. A pure function: it keeps no state.

    ``max_epochs`` is the planned number of epochs, or None in a run without a last epoch, ``Trainer(max_epochs=-1)``.
    Only a rule whose ``open_ended`` is True is asked in such a run; any other is refused before training starts.

    Write your own as a frozen dataclass; ``why``, ``lines``, ``course`` and
    ``progress`` are for those who read the report and the log:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Below(Rule):
    ...     level: float
    ...     def __call__(self, history, max_epochs):
    ...         return bool(history) and history[max(history)] < self.level
    ...     def why(self, history, max_epochs):
    ...         return f"fell below {self.level}"
    >>> Below(level=0.5)({0: 0.9, 1: 0.4}, max_epochs=10)
    True
    """

    @property
    def open_ended(self) -> bool:
        """Whether it can judge a run without a last epoch; a rule of your own that can says ``open_ended = True``."""
        return False

    @property
    def reads_signal(self) -> bool:
        """Whether it goes by the signal; one that does not can drive a run in which nothing can be measured."""
        return True

    @property
    def least_epochs(self) -> int:
        """Finished epochs without which the rule can't fire, so that a shorter run is told so when it starts."""
        return 0

    @abstractmethod
    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over, given the history so far (empty before the first epoch)."""

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name, for a history on which the rule fired."""
        return f"satisfied {self}"

    def why_not(self, history: History, max_epochs: int | None) -> str:
        """Why the period is not over, in words, for a history on which the rule did not fire."""
        return f"{self} never fired"

    def lines(self, history: History, max_epochs: int | None) -> Lines:
        """What the signal was compared with when the rule was last asked, for figures; by default nothing."""
        return {}

    def course(self, history: History, max_epochs: int | None) -> Lines:
        """What the rule went by after every epoch, for a figure of its own; by default nothing."""
        return {}

    def progress(self, history: History, max_epochs: int | None) -> dict[str, float]:
        """What the rule goes by now, to be logged after every epoch: name -> number; by default nothing."""
        return {}

    def check_run(self, max_epochs: int | None) -> None:
        """Refuse, before training starts, a run of ``max_epochs`` that the rule can't work in; by default none."""
        return


def require_last_epoch(rule: Rule, max_epochs: int | None) -> int:
    """The number of epochs of a run that must have a last one.

    Args:
        rule: Needs it.
        max_epochs: Planned number of epochs; None if the run has no last epoch.

    Returns:
        ``max_epochs``.

    Raises:
        ValueError: The run has no last epoch.
    """
    if max_epochs is None:
        raise ValueError(
            f"{rule} needs a run with a last epoch, and max_epochs=-1 has none: give Trainer(max_epochs=...), or a "
            "rule that needs none, such as Worthwhile, Plateau or AtEpoch."
        )
    return max_epochs


def require_fit(rule: Rule, max_epochs: int | None) -> None:
    """Refuse, by a ValueError and before training starts, a run that a rule can't work in.

    The rule's own ``check_run`` comes second: one that was written for an int is not asked about None.
    """
    if not rule.open_ended:
        require_last_epoch(rule, max_epochs)
    rule.check_run(max_epochs)
