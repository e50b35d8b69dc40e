"""What a run cost, measured, and what another recipe would have cost, projected."""

from dataclasses import dataclass, field

from lightning_critperiod.costs import Energy


@dataclass(frozen=True)
class Measured:
    """What a run cost. None means "not measured"; CO2 means CO2-equivalent.

    Args:
        seconds: Wall-clock time in s.
        energy_kwh: Electricity in kWh.
        co2_kg: Emissions in kg CO2-equivalent.
        money: Price of energy and machine time, in ``currency``.
        currency: Name of the currency, such as "USD".
        samples: Training samples drawn, on all ranks together.
        flops: Floating-point operations of the training steps.
        flops_exact: Whether they are no estimate from some of the steps.
        seconds_by_phase: Where the time went -> s, see ``costs.PHASES``.
        energy_by_part: Energy of processor, graphics cards and memory.
        price_per_kwh: Price of electricity per kWh.
        price_per_hour: Price of the machines per hour.
        country_iso_code: The country of the machines.
        region: A state or province of that country.
        assumed: Those of the last four that were not given.
        obtained: Part of the machine -> how its energy was obtained.
    """

    seconds: float
    energy_kwh: float | None = None
    co2_kg: float | None = None
    money: float | None = None
    currency: str = "USD"
    samples: int | None = None
    flops: float | None = None
    flops_exact: bool = True
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    energy_by_part: Energy | None = None
    price_per_kwh: float = 0.0
    price_per_hour: float = 0.0
    country_iso_code: str = ""
    region: str | None = None
    assumed: tuple[str, ...] = ()
    obtained: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Projected:
    """What another recipe would have cost. None means "not known".

    Args:
        seconds: Wall-clock time in s.
        seconds_low: Lower end of its 95% interval.
        seconds_high: Upper end.
        samples: Training samples that would have been drawn.
        flops: Floating-point operations of the training steps.
        energy_kwh: In proportion to time, as are the next two.
        co2_kg: In kg CO2-equivalent.
        money: In the currency of the run.
        seconds_by_phase: Where the time would have gone -> s; the detector is not charged.
        epochs_projected: Epochs of the run that are projected; the others count as they were measured.
        epochs_left_out: Planned epochs that a cooldown left out.
        basis: What it is projected from, in words.
        recipe: Which recipe it is, in words; empty in older records.
    """

    seconds: float
    seconds_low: float | None = None
    seconds_high: float | None = None
    samples: int | None = None
    flops: float | None = None
    energy_kwh: float | None = None
    co2_kg: float | None = None
    money: float | None = None
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    epochs_projected: int = 0
    epochs_left_out: int = 0
    basis: str = ""
    recipe: str = ""
