"""The phases of a run: a pure function of what has been decided so far."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

Phase = Literal["during", "after", "annealing", "cooldown"]
"""During the critical period, after it, the last part of training that has the full recipe again, the cooldown."""

PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(frozen=True)
class Timeline:
    """Which phase each 0-based epoch of a run is in.

    With c = ``end_epoch``, E = ``max_epochs`` and a = ``annealing_fraction``, annealing begins at epoch
    c + ceil((E - c) (1 - a)). It lasts at least one epoch where a > 0 and two epochs or more follow the period. A
    cooldown takes the place of annealing.

    Sources: Qin et al. 2024, arXiv 2303.04947; Fukase et al. 2025, arXiv 2506.15954.

    Args:
        max_epochs: The planned number of epochs; None for a run without a last epoch, which has no annealing.
        end_epoch: The first epoch after the critical period; None while it is not over.
        back_epoch: The first epoch for which a guard has taken the changes back: from there on it is "during" again.
        cooldown_epoch: The first epoch of the cooldown; None while there is none.
        last_epoch: The last epoch of the run, once a cooldown has decided it.
        full_epoch: The first epoch for which a budget has ended the growth of images or sequences; None as long as it
            has not.
        annealing_fraction: a, in [0, 1].
    """

    max_epochs: int | None
    end_epoch: int | None = None
    back_epoch: int | None = None
    cooldown_epoch: int | None = None
    last_epoch: int | None = None
    full_epoch: int | None = None
    annealing_fraction: float = 0.0

    def phase(self, epoch: int) -> Phase:
        """The phase of a 0-based epoch, by what is decided so far."""
        if self.back_epoch is not None and epoch >= self.back_epoch:
            return "during"
        if self.cooldown_epoch is not None and epoch >= self.cooldown_epoch:
            return "cooldown"
        if self.end_epoch is None or epoch < self.end_epoch:
            return "during"
        annealing = self.annealing_epoch
        return "after" if annealing is None or epoch < annealing else "annealing"

    def spans(self, first: int, stop: int) -> list[range]:
        """The epochs from ``first`` up to ``stop`` in parts of one phase, however many they are."""
        begins = (self.end_epoch, self.annealing_epoch, self.cooldown_epoch, self.back_epoch)
        inside = {epoch for epoch in begins if epoch is not None and first < epoch < stop}
        return [range(*ends) for ends in pairwise([first, *sorted(inside), stop]) if ends[0] < ends[1]]

    @property
    def end(self) -> int | None:
        """The number of epochs of the run, by what is decided so far; None for one without a last epoch."""
        return self.max_epochs if self.last_epoch is None else self.last_epoch + 1

    @property
    def annealing_epoch(self) -> int | None:
        """The first epoch of annealing; None where the run has none."""
        if self.end_epoch is None or self.max_epochs is None or not self.annealing_fraction:
            return None
        left = self.max_epochs - self.end_epoch
        # 1e-9: float noise in (E - c) (1 - a) must not add an epoch.
        after = math.ceil(left * (1 - self.annealing_fraction) - 1e-9)
        return self.end_epoch + (min(after, left - 1) if left > 1 else after)
