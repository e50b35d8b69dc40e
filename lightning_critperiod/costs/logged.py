"""What a training logged in an epoch."""

import math
from typing import Any


class LoggedMetrics:
    """Tells the metrics of this epoch from those that Lightning still shows from an earlier one."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self.validation: dict[str, float | None] = {}
        self._validated = False

    def before_validation(self, trainer: Any) -> None:
        """Remember what was there: validation replaces the values that it logs."""
        self._before = dict(trainer.callback_metrics)

    def of_validation(self, trainer: Any) -> dict[str, float | None]:
        """What the validation that just ended logged."""
        self._validated = True
        now = trainer.callback_metrics
        fresh = {name: finite(value) for name, value in now.items() if self._before.get(name) is not value}
        self.validation.update(fresh)
        return fresh

    def of_epoch(self, trainer: Any) -> dict[str, float | None]:
        """What the epoch that just ended logged, without the values of an earlier epoch's validation."""
        stale = () if self._validated else self.validation
        self._validated = False
        return {name: finite(value) for name, value in trainer.callback_metrics.items() if name not in stale}


def finite(value: Any) -> float | None:
    """A float, or None if the value is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None
