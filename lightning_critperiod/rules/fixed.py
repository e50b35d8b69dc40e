"""The baselines: an end that is set in advance, and no end at all. Neither reads the signal."""

from dataclasses import dataclass

from lightning_critperiod.recipe import require_int
from lightning_critperiod.rules.base import History, Rule
from lightning_critperiod.rules.measured import last_epoch


@dataclass(frozen=True)
class AtEpoch(Rule):
    """The period ends at an epoch that was chosen in advance: the oracle, or the baseline for a signal.

    ``epoch`` is the first epoch after the period, so with 0 the run never has the full recipe.

    Args:
        epoch: 0-based, below the number of epochs of the run.

    Raises:
        TypeError: ``epoch`` is not an int.
        ValueError: ``epoch`` is negative.

    >>> AtEpoch(0)({}, max_epochs=10)
    True
    >>> AtEpoch(2)({0: 0.5}, max_epochs=10), AtEpoch(2)({0: 0.5, 1: float("nan")}, max_epochs=10)
    (False, True)
    """

    epoch: int
    open_ended = True
    reads_signal = False

    def __post_init__(self) -> None:
        require_int("epoch", self.epoch, low=0)

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        return last_epoch(history) + 1 >= self.epoch

    def why(self, history: History, max_epochs: int | None) -> str:
        """The verdict in words that follow the signal's name."""
        return f"was not used: epoch {self.epoch} was set beforehand"

    def check_run(self, max_epochs: int | None) -> None:
        """Refuse a run that ends before the epoch comes.

        Args:
            max_epochs: Length of the run; None if it has no last epoch.

        Raises:
            ValueError: The run has no such epoch.
        """
        if max_epochs is not None and self.epoch >= max_epochs:
            raise ValueError(
                f"AtEpoch(epoch={self.epoch}) is past the end: max_epochs={max_epochs} has the epochs 0 to "
                f"{max_epochs - 1}; choose one of them, or Never()"
            )


@dataclass(frozen=True)
class Never(Rule):
    """The period never ends: the full recipe throughout, measured and logged like any other run.

    >>> Never()({0: 0.5}, max_epochs=10)
    False
    """

    open_ended = True
    reads_signal = False

    def __call__(self, history: History, max_epochs: int | None) -> bool:
        """Whether the critical period is over."""
        return False
