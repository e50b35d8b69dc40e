"""What every rule is."""

from abc import ABC, abstractmethod

History = dict[int, float]
"""0-based epoch -> value of the signal; epochs may be missing, the order of insertion does not matter."""

Lines = dict[str, list[tuple[float, float]]]
"""Label -> (epoch, value) points of a line in a figure of the signal."""


class Rule(ABC):
    """Says from the history of a signal whether the critical period is over. A pure function: it keeps no state.

    Write your own as a frozen dataclass; ``why`` and ``lines`` are for those who read the report:

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

    @abstractmethod
    def __call__(self, history: History, max_epochs: int) -> bool:
        """Whether the critical period is over, given the history so far (empty before the first epoch)."""

    def why(self, history: History, max_epochs: int) -> str:
        """The verdict in words that follow the signal's name, for a history on which the rule fired."""
        return f"satisfied {self}"

    def why_not(self, history: History, max_epochs: int) -> str:
        """Why the rule did not fire, as a clause of its own, for the history of a run that ended without a verdict."""
        return f"{self} never fired"

    def lines(self, history: History, max_epochs: int) -> Lines:
        """What the signal was compared with when the rule was last asked, for figures; by default nothing."""
        return {}

    def check_run(self, max_epochs: int) -> None:
        """Refuse, before training starts, a run of ``max_epochs`` that the rule can't work in; by default none."""
        return
