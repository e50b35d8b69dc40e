"""Stop paying for the expensive recipe when the critical learning period is over: a PyTorch Lightning callback."""

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Never, Plateau, Slope
from lightning_critperiod.signals import LayerRotation

__all__ = [
    "AtEpoch",
    "CriticalPeriodCallback",
    "Forecast",
    "LayerRotation",
    "LowOutlier",
    "Never",
    "Plateau",
    "Recipe",
    "Slope",
    "Volume",
]
