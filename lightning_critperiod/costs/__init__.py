"""What a run costs: seconds by phase, energy, CO2 and money, measured, and projected for another volume."""

from lightning_critperiod.costs.amounts import Costs, Energy
from lightning_critperiod.costs.ledger import PHASES, EpochCosts
from lightning_critperiod.costs.monitor import CostMonitor
from lightning_critperiod.costs.projection import PacedEpoch, Projection, project

__all__ = ["PHASES", "CostMonitor", "Costs", "Energy", "EpochCosts", "PacedEpoch", "Projection", "project"]
