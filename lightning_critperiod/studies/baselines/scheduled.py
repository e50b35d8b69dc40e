"""A volume for every epoch, written down beforehand."""

from collections.abc import Sequence

from typing_extensions import override

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.rules import AtEpoch
from lightning_critperiod.studies.baselines.placebo import NoSignal
from lightning_critperiod.timeline import Timeline


class _EpochByEpoch(Timeline):
    """Of a run in which the epochs of one phase differ."""

    @override
    def spans(self, first: int, stop: int) -> list[range]:
        return [range(epoch, epoch + 1) for epoch in range(first, stop)]


class Scheduled(CriticalPeriodCallback):
    """Drives a run by a list of multipliers, whatever any signal says.

    Args:
        multipliers: Samples of each epoch per sample of the user's own loader, above 0.

    Raises:
        ValueError: The list is empty, or holds a number that is not above 0.
    """

    def __init__(self, multipliers: Sequence[float]) -> None:
        if not multipliers:
            raise ValueError("multipliers must hold one number for each epoch, got none")
        self.multipliers = tuple(multipliers)
        # Over before it begins: from the first epoch on it is the list that says what is drawn.
        recipe = Recipe(Volume(max(multipliers)), Volume(min(multipliers)), 0.0)
        super().__init__(NoSignal(), AtEpoch(0), recipe)

    @property
    @override
    def timeline(self) -> Timeline:
        return _EpochByEpoch(**vars(super().timeline))

    @override
    def volume_at(self, epoch: int) -> Volume:
        """The volume of a 0-based epoch; the last one's beyond the list."""
        return Volume(self.multipliers[min(epoch, len(self.multipliers) - 1)])
