"""What a run costs: seconds by phase, energy, CO2 and money, measured, and projected for another volume."""

from typing import TYPE_CHECKING

from lightning_critperiod.costs.amounts import Costs, Energy
from lightning_critperiod.costs.ledger import PHASES, EpochCosts
from lightning_critperiod.costs.projection import PacedEpoch, Projection, project
from lightning_critperiod.lazy_names import lazily

if TYPE_CHECKING:
    from lightning_critperiod.costs.cost_meter import CostMeter

__getattr__ = lazily(__name__, {"cost_meter": ("CostMeter",)})  # it needs torch, a report does not

__all__ = ["PHASES", "CostMeter", "Costs", "Energy", "EpochCosts", "PacedEpoch", "Projection", "project"]
