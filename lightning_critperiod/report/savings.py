"""What a run saved against the full recipe."""

from dataclasses import dataclass
from typing import Any

from lightning_critperiod.report.files import Record

QUANTITIES = ("seconds", "energy_kwh", "co2_kg", "money", "samples")


@dataclass(frozen=True)
class Saving:
    """One quantity, measured, beside the projected full recipe. None is "not known".

    Args:
        measured: What this run took.
        projected: What the full recipe would have taken.
        low: Lower end of the projection's 95% interval.
        high: Its upper end.
    """

    measured: float | None
    projected: float | None
    low: float | None = None
    high: float | None = None

    @property
    def saved(self) -> float | None:
        """Projected - measured, in the quantity's unit."""
        return None if self.measured is None or self.projected is None else self.projected - self.measured

    @property
    def fraction(self) -> float | None:
        """Saved / projected; negative where the run took more."""
        return self._fraction(self.projected)

    @property
    def is_uncertain(self) -> bool:
        """Whether the projection has an interval that says anything."""
        return self.low is not None and self.high is not None and self.low != self.high

    @property
    def interval(self) -> tuple[float, float] | None:
        """The fraction at both ends of the projection's interval."""
        low, high = self._fraction(self.low), self._fraction(self.high)
        return None if low is None or high is None else (low, high)

    def _fraction(self, projected: float | None) -> float | None:
        known = self.measured is not None and projected is not None and projected > 0
        return 1 - self.measured / projected if known else None  # type: ignore[operator]


def savings(record: Record) -> dict[str, Saving]:
    """Quantity -> its saving against the projected full recipe.

    Args:
        record: Of a run.

    Returns:
        ``seconds``, ``energy_kwh``, ``co2_kg``, ``money`` and ``samples``, those that were measured at all.
    """
    measured, projected = record["measured"] or {}, record["projected"] or {}
    return {name: _saving(name, measured, projected) for name in QUANTITIES if measured.get(name) is not None}


def _saving(name: str, measured: dict[str, Any], projected: dict[str, Any]) -> Saving:
    low, high = projected.get("seconds_low"), projected.get("seconds_high")
    value = projected.get(name)
    if name == "samples" or value is None or low is None or high is None or not projected["seconds"]:
        return Saving(measured[name], value)
    # Energy, CO2 and money are projected in proportion to the time.
    return Saving(measured[name], value, value * low / projected["seconds"], value * high / projected["seconds"])
