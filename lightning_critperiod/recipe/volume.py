"""How much of the training data an epoch draws."""

from dataclasses import dataclass

from lightning_critperiod.recipe.number import require_number


@dataclass(frozen=True)
class Volume:
    """How much of the training data one epoch draws: round(k (1 - r) n) samples of the n that the user's loader draws.

    The kept subset is re-drawn every epoch; each kept sample is seen k times. ``round`` is Python's.

    Args:
        augmentation_multiplier: k, augmented views of each kept sample in an epoch; finite and > 0, may be fractional.
        pruning_ratio: r, the fraction of samples left out of an epoch, in [0, 1).

    Raises:
        TypeError: An argument is not a number (a bool does not count).
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
