"""What a run saved against the full recipe."""

from dataclasses import dataclass

from lightning_critperiod.record import Measured, Projected, Record


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
    projected: float | None = None
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
        if self.measured is None or projected is None or projected <= 0:
            return None
        return 1 - self.measured / projected


def savings(record: Record) -> dict[str, Saving]:
    """Quantity -> its saving against the projected full recipe.

    Args:
        record: The record of a run.

    Returns:
        ``seconds``, ``energy_kwh``, ``co2_kg``, ``money``, ``samples`` and, where they were counted, ``flops``; nothing
        for a run without a CostMonitor.
    """
    measured = record.measured
    if measured is None:
        return {}
    other = record.projected or Projected(seconds=0.0)
    found = {
        "seconds": time_saving(measured, record.projected),
        "energy_kwh": _like_time(measured.energy_kwh, other.energy_kwh, other),
        "co2_kg": _like_time(measured.co2_kg, other.co2_kg, other),
        "money": _like_time(measured.money, other.money, other),
        "samples": Saving(measured.samples, other.samples),
    }
    return found if measured.flops is None else {**found, "flops": Saving(measured.flops, other.flops)}


def time_saving(measured: Measured, other: Projected | None) -> Saving:
    """The time of a run beside that of another recipe."""
    if other is None:
        return Saving(measured.seconds)
    return Saving(measured.seconds, other.seconds, other.seconds_low, other.seconds_high)


def _like_time(measured: float | None, projected: float | None, other: Projected) -> Saving:
    """Energy, CO2 and money are projected in proportion to the time, with its interval."""
    if projected is None or other.seconds_low is None or other.seconds_high is None or not other.seconds:
        return Saving(measured, projected)
    low, high = (projected * end / other.seconds for end in (other.seconds_low, other.seconds_high))
    return Saving(measured, projected, low, high)
