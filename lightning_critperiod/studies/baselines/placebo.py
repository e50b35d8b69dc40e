"""Signals for arms that measure nothing."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from lightning_critperiod.signals.base import Signal


class NoSignal(Signal):
    """Measures nothing and costs nothing: for a rule that reads no signal."""

    name = "no_signal"

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        return None


class Replayed(Signal):
    """Values that were measured elsewhere; shuffled ones are a placebo.

    Args:
        values: The values of the epochs in their order; later epochs have none.
    """

    name = "replayed"

    def __init__(self, values: Sequence[float]) -> None:
        self.values = values

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        epoch = trainer.current_epoch
        return self.values[epoch] if epoch < len(self.values) else None
