"""What every rule is."""

from abc import ABC, abstractmethod

History = dict[int, float]
"""0-based epoch -> value of the signal; epochs may be missing, the order of insertion does not matter."""


class Rule(ABC):
    """Says from the history of a signal whether the critical period is over. A pure function: it keeps no state.

    Write your own as a frozen dataclass:

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

    def check_run(self, max_epochs: int) -> None:
        """Refuse, before training starts, a run of ``max_epochs`` that the rule can't work in; by default none."""
        return
