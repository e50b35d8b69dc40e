"""What an epoch draws: a volume, and the recipe of volumes around the end of the critical period."""

import math
from dataclasses import dataclass, field


def require_number(
    name: str, value: object, *, low: float, high: float = math.inf, open_low: bool = False, closed: bool = False
) -> None:
    """Refuse a value that is not a finite real number in [low, high), or as the flags say.

    Args:
        name: The argument's name, for the message.
        value: What the user gave. A bool is no number.
        low: Lower limit, included unless ``open_low``.
        high: Upper limit, excluded unless ``closed``.
        open_low: Exclude the lower limit too.
        closed: Include the upper limit.

    Raises:
        TypeError: ``value`` is not an int or a float.
        ValueError: ``value`` is not finite or out of range.
    """
    expected = f"{name} must be a number {'above' if open_low else 'from'} {low:g}"
    if high < math.inf:
        expected += f" to {high:g}" if closed else f" and below {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{expected}, got {value!r}")
    inside = low <= value < high or (closed and value == high)
    if not inside or not math.isfinite(value) or (open_low and value == low):
        raise ValueError(f"{expected}, got {value!r}")


@dataclass(frozen=True)
class Volume:
    """How much of the training data one epoch draws: round(k (1 - r) n) samples of the n that the user's loader draws.

    The kept subset is re-drawn every epoch; each kept sample is seen k times. ``round`` is Python's.

    Args:
        augmentation_multiplier: k, augmented views of each kept sample in an epoch; finite and > 0, may be fractional.
        pruning_ratio: r, the fraction of samples left out of an epoch, in [0, 1).

    Raises:
        TypeError: An argument is not a number (a bool is none).
        ValueError: An argument is out of its range.
    """

    augmentation_multiplier: float = 1.0
    pruning_ratio: float = 0.0

    def __post_init__(self) -> None:
        require_number("augmentation_multiplier", self.augmentation_multiplier, low=0, open_low=True)
        require_number("pruning_ratio", self.pruning_ratio, low=0, high=1)

    @property
    def fraction(self) -> float:
        """Samples drawn per sample of the user's own loader: k (1 - r)."""
        return self.augmentation_multiplier * (1 - self.pruning_ratio)

    def samples(self, n: int) -> int:
        """How many samples an epoch draws from a loader of ``n``: round(k (1 - r) n)."""
        return round(self.fraction * n)


@dataclass(frozen=True)
class Recipe:
    """The volumes of a training run: the full recipe, a cheaper one after the period, the full one again at the end.

    Annealing (InfoBatch, Qin et al. 2024, arXiv 2303.04947; Fukase et al. 2025, arXiv 2506.15954): with c the first
    epoch after the period and E the number of epochs, the full recipe is back from epoch c + ceil((E - c) (1 - a)).

    Args:
        during: The full recipe. None is the volume that the datamodule declares, or the user's own loader as it is.
        after: What an epoch draws after the critical period.
        annealing_fraction: a, the last part of the remaining epochs that has the full recipe again, in [0, 1].

    Raises:
        TypeError: ``annealing_fraction`` is not a number, or a volume is no Volume.
        ValueError: ``annealing_fraction`` is outside [0, 1].
    """

    during: Volume | None = None
    after: Volume = field(default_factory=lambda: Volume(pruning_ratio=0.3))
    annealing_fraction: float = 0.125

    def __post_init__(self) -> None:
        if not isinstance(self.during, Volume | None):
            raise TypeError(f"during must be a Volume or None, got {self.during!r}")
        if not isinstance(self.after, Volume):
            raise TypeError(f"after must be a Volume, got {self.after!r}")
        require_number("annealing_fraction", self.annealing_fraction, low=0, high=1, closed=True)

    def volume(self, epoch: int, end_epoch: int | None, max_epochs: int) -> Volume:
        """The volume of a 0-based epoch. Pure; an unset ``during`` answers ``Volume()``."""
        during = self.during or Volume()
        if end_epoch is None or epoch < end_epoch:
            return during
        # 1e-9: float noise in (E - c) (1 - a) must not add an epoch.
        annealing = end_epoch + math.ceil((max_epochs - end_epoch) * (1 - self.annealing_fraction) - 1e-9)
        return during if epoch >= annealing else self.after
