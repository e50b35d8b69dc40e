"""The recipe of a run: what holds in each phase."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_critperiod.recipe.change import Change
from lightning_critperiod.recipe.cooldown import Cooldown
from lightning_critperiod.recipe.number import require_number
from lightning_critperiod.recipe.volume import Volume
from lightning_critperiod.timeline import Phase, Timeline


@dataclass(frozen=True)
class Recipe:
    """What a run does during the critical period and after it.

    Args:
        during: The full recipe's volume. None is the volume that the datamodule declares; if it declares none, the
            user's own loader is used as it is.
        after: What an epoch draws after the critical period, in a cooldown too.
        annealing_fraction: The last fraction of the remaining epochs, which has the full recipe again, in [0, 1]. A
            cooldown takes its place.
        changes: What else changes, such as ``Phased``.
        cooldown: Ends the run with a decayed learning rate; None leaves the end to the Trainer.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: ``annealing_fraction`` is outside [0, 1], two changes have one name, or a change has a setting for a
            cooldown that the recipe does not have.
    """

    during: Volume | None = None
    after: Volume = field(default_factory=lambda: Volume(pruning_ratio=0.3))
    annealing_fraction: float = 0.125
    changes: Sequence[Change] = ()
    cooldown: Cooldown | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.during, Volume | None):
            raise TypeError(f"during must be a Volume or None, got {self.during!r}")
        if not isinstance(self.after, Volume):
            raise TypeError(f"after must be a Volume, got {self.after!r}")
        if not isinstance(self.cooldown, Cooldown | None):
            raise TypeError(f"cooldown must be a Cooldown or None, got {self.cooldown!r}")
        require_number("annealing_fraction", self.annealing_fraction, low=0, high=1, closed=True)
        self._check_changes()

    def _check_changes(self) -> None:
        if isinstance(self.changes, str) or not isinstance(self.changes, Sequence):
            raise TypeError(f"changes must be a list of changes such as Phased, got {self.changes!r}")
        for change in self.changes:
            if not isinstance(change, Change):
                raise TypeError(f"changes must be a list of changes such as Phased, got {change!r} in it")
            if change.needs_cooldown and self.cooldown is None:
                raise ValueError(
                    f"the change {change.name!r} has a setting for the cooldown, but the recipe has no cooldown: give "
                    "cooldown=Cooldown(), or leave the setting out"
                )
        names = [change.name for change in self.changes]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"changes must have different names, got two of {twice!r}: give one all its settings")
        object.__setattr__(self, "changes", tuple(self.changes))  # a config gives a list: equal recipes are equal

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The volumes of the phases after the critical period."""
        return (self.after,)

    def volume_in(self, phase: Phase) -> Volume:
        """The volume of a phase; an unset ``during`` answers ``Volume()``."""
        return self.after if phase in {"after", "cooldown"} else self.during or Volume()

    def volume(self, epoch: int, end_epoch: int | None, max_epochs: int) -> Volume:
        """The volume of a 0-based epoch of a run without cooldown and guard. Pure."""
        timeline = Timeline(max_epochs, end_epoch, annealing_fraction=self.annealing_fraction)
        return self.volume_in(timeline.phase(epoch))
