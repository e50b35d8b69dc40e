"""``trainer.estimated_stepping_batches`` where epochs change their length."""

import math
from typing import Any


class StepTotal:
    """Lets one Trainer say how many optimizer steps its run takes where epochs change their length.

    The attribute is a property of the class, so the instance gets a class of its own until ``undo``.

    Args:
        trainer: The trainer of the run.

    Attributes:
        value: What the Trainer says; None is what Lightning says.
    """

    def __init__(self, trainer: Any) -> None:
        self.value: float | None = None
        self._trainer = trainer
        self._own: Any = type(trainer)

        def estimated_stepping_batches(trainer: Any) -> float:
            value: float = self._own.estimated_stepping_batches.fget(trainer) if self.value is None else self.value
            return value

        members = {"estimated_stepping_batches": property(estimated_stepping_batches)}
        trainer.__class__ = type(self._own.__name__, (self._own,), {**members, "__module__": self._own.__module__})

    def set(self, steps: float) -> None:
        """Say this many steps, or ``max_steps`` where it is less."""
        limit = self._trainer.max_steps
        total = steps if limit == -1 else min(steps, limit)
        self.value = total if total == math.inf else int(total)

    def undo(self) -> None:
        """Give the Trainer its own class back."""
        self._trainer.__class__ = self._own
