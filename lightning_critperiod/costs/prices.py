"""What electricity and machines cost."""

from dataclasses import dataclass

from lightning_critperiod.costs.amounts import Costs, Energy
from lightning_critperiod.recipe import require_number


@dataclass(frozen=True)
class Prices:
    """Prices of electricity and of the machines.

    Args:
        per_kwh: Price of electricity per kWh.
        per_hour: Price of all machines together per hour.
        currency: Currency of both prices.

    Raises:
        TypeError: A price is not a number, or the currency no string.
        ValueError: A price is negative or not finite.
    """

    per_kwh: float
    per_hour: float
    currency: str

    def __post_init__(self) -> None:
        require_number("price_per_kwh", self.per_kwh, low=0)
        require_number("price_per_hour", self.per_hour, low=0)
        if not isinstance(self.currency, str):
            raise TypeError(f"currency must be a string such as 'EUR', got {self.currency!r}")

    def costs(self, seconds: float, energy: Energy | None) -> Costs:
        """The costs of a training, whose energy is None where it was not measured."""
        machines = self.per_hour * seconds / 3600
        if energy is None:  # the price of the machines is known all the same
            return Costs(seconds, None, None, machines if self.per_hour else None, self.currency)
        return Costs(seconds, energy.kwh, energy.co2_kg, self.per_kwh * energy.kwh + machines, self.currency)
