"""Amounts of time, energy, CO2 and money that can be added."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)


def plus(first: Number | None, second: Number | None) -> Number | None:
    """The sum, or None ("not measured") if one of the two was not measured."""
    return None if first is None or second is None else first + second


def total(amounts: Iterable[float | None]) -> float | None:
    """The sum, or None ("not measured") if one of them was not measured."""
    found: float | None = 0.0
    for amount in amounts:
        found = plus(found, amount)
    return found


@dataclass(frozen=True)
class Costs:
    """What a run cost. None means "not measured"; CO2 means CO2-equivalent.

    Costs of the same currency can be added: ``first + second``.

    Args:
        seconds: Wall-clock time in s.
        energy_kwh: Electricity in kWh.
        co2_kg: Emissions in kg CO2-equivalent.
        money: Price of energy and machine time, in ``currency``.
        currency: Name of the currency, such as "USD".
    """

    seconds: float = 0.0
    energy_kwh: float | None = 0.0
    co2_kg: float | None = 0.0
    money: float | None = 0.0
    currency: str = "USD"

    def __add__(self, other: "Costs") -> "Costs":
        if not isinstance(other, Costs):
            return NotImplemented
        if self.currency != other.currency:
            raise ValueError(f"costs in {self.currency} and in {other.currency} cannot be added")
        return Costs(
            seconds=self.seconds + other.seconds,
            energy_kwh=plus(self.energy_kwh, other.energy_kwh),
            co2_kg=plus(self.co2_kg, other.co2_kg),
            money=plus(self.money, other.money),
            currency=self.currency,
        )


@dataclass(frozen=True)
class Energy:
    """Electricity of processor, graphics cards and memory in kWh, and their emissions in kg CO2."""

    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    co2_kg: float = 0.0

    @property
    def kwh(self) -> float:
        """All three together."""
        return self.cpu_kwh + self.gpu_kwh + self.ram_kwh

    def times(self, factor: float) -> "Energy":
        """So many times as much of each."""
        return Energy(*(factor * amount for amount in astuple(self)))

    def __add__(self, other: "Energy") -> "Energy":
        if not isinstance(other, Energy):
            return NotImplemented
        return Energy(
            cpu_kwh=self.cpu_kwh + other.cpu_kwh,
            gpu_kwh=self.gpu_kwh + other.gpu_kwh,
            ram_kwh=self.ram_kwh + other.ram_kwh,
            co2_kg=self.co2_kg + other.co2_kg,
        )
