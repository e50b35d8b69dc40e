"""What a run may spend."""

from dataclasses import dataclass, fields

from lightning_critperiod.recipe.number import require_number

_UNITS = {
    "hours": "hours",
    "kwh": "kWh",
    "co2_kg": "kg CO2",
    "money": "(money)",
    "samples": "samples",
    "flops": "FLOPs",
}


def limit_in_words(name: str, limit: float) -> str:
    """A limit with its unit: "3 hours", "5,000,000 samples", "1e+15 FLOPs"."""
    return f"{limit:,.0f} {_UNITS[name]}" if 1000 <= limit < 1e12 else f"{limit:.4g} {_UNITS[name]}"


@dataclass(frozen=True)
class Budget:
    """Limits of a run; None is no limit. The run ends within all of them, with its learning rate decayed to zero.

    Args:
        hours: Wall-clock time of the training in h.
        kwh: Electricity in kWh; needs ``CostMonitor``.
        co2_kg: Emissions in kg CO2-equivalent; needs ``CostMonitor``.
        money: Price in the currency of ``CostMonitor``, which it needs.
        samples: Training samples drawn, on all processes together; needs ``CostMonitor``.
        flops: Floating-point operations of the training steps, on all processes together; needs ``CostMonitor``.

    Raises:
        TypeError: A limit is not a number.
        ValueError: A limit is not above 0, or no limit is given.
    """

    hours: float | None = None
    kwh: float | None = None
    co2_kg: float | None = None
    money: float | None = None
    samples: float | None = None
    flops: float | None = None

    def __post_init__(self) -> None:
        if not self.limits:
            raise ValueError(f"Budget needs at least one limit of {', '.join(f.name for f in fields(self))}, got none")
        for name, limit in self.limits.items():
            require_number(name, limit, low=0, open_low=True)

    @property
    def limits(self) -> dict[str, float]:
        """Name -> limit, of those that are given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
