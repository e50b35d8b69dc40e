"""How a run ends: the learning rate decays to zero over a part of the epochs so far."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from lightning_critperiod.recipe.budget import Budget
from lightning_critperiod.recipe.number import require_int, require_number

Shape = Literal["sqrt", "linear"]


@dataclass(frozen=True)
class Cooldown:
    """Ends a run with a learning rate that decays to zero.

    When the critical period ends after c epochs, d = max(min_epochs, ceil(fraction c)) more epochs follow. With u in
    [0, 1] the fraction of their optimizer steps that is done, the learning rate of every parameter group is the one
    that it had at the start of the cooldown times 1 - sqrt(u) ("sqrt") or 1 - u ("linear"). The user's schedulers are
    paused. After the cooldown the run ends. In a run with ``max_epochs`` the cooldown begins in time to end with it,
    even if the rule never fires.

    Sources: Hägele et al. 2024, arXiv 2405.18392; Wen et al. 2024, arXiv 2410.05192.

    Args:
        fraction: Length of the cooldown as a part of the epochs before it, in (0, 1].
        min_epochs: Shortest cooldown in epochs, at least 1.
        shape: "sqrt" or "linear".
        budget: The cooldown begins early enough to end inside it; None is no limit.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range.

    >>> Cooldown(fraction=0.2).epochs(30), Cooldown(fraction=0.2).epochs(4)
    (6, 3)
    >>> Cooldown().start(max_epochs=12)
    9
    """

    fraction: float = 0.2
    min_epochs: int = 3
    shape: Shape = "sqrt"
    budget: Budget | None = None

    def __post_init__(self) -> None:
        require_number("fraction", self.fraction, low=0, high=1, open_low=True, closed=True)
        require_int("min_epochs", self.min_epochs, low=1)
        if self.shape not in get_args(Shape):
            raise ValueError(f"shape must be one of {get_args(Shape)}, got {self.shape!r}")
        if not isinstance(self.budget, Budget | None):
            raise TypeError(f"budget must be a Budget or None, got {self.budget!r}")

    def epochs(self, finished: int) -> int:
        """Length in epochs of a cooldown that begins after ``finished`` epochs."""
        # 1e-9: float noise in the product must not add an epoch.
        return max(self.min_epochs, math.ceil(self.fraction * finished - 1e-9))

    def start(self, max_epochs: int) -> int:
        """The first epoch of a cooldown that ends with ``max_epochs``: the last one from which it still fits.

        Returns:
            A 0-based epoch; 0 where not even the shortest fits, so that the whole run is a cooldown.
        """
        fitting = (epoch for epoch in range(max_epochs, 0, -1) if epoch + self.epochs(epoch) <= max_epochs)
        return next(fitting, 0)

    def factor(self, part: float) -> float:
        """What the learning rate is multiplied by when ``part`` (in [0, 1]) of the cooldown's steps is taken."""
        part = min(max(part, 0.0), 1.0)
        return 1 - (math.sqrt(part) if self.shape == "sqrt" else part)
