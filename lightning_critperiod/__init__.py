"""Stop paying for the expensive recipe when the critical learning period is over: a PyTorch Lightning callback."""

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.changes import Guard, Phased
from lightning_critperiod.costs import CostMonitor
from lightning_critperiod.recipe import Budget, Change, Cooldown, Recipe, Volume
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Never, Patient, Plateau, Slope
from lightning_critperiod.signals import (
    GradientConfusion,
    GradientPredictiveness,
    LayerRotation,
    MonitoredMetric,
    TrainingGradientConfusion,
)

__all__ = [
    "AtEpoch",
    "Budget",
    "Change",
    "Cooldown",
    "CostMonitor",
    "CriticalPeriodCallback",
    "Forecast",
    "GradientConfusion",
    "GradientPredictiveness",
    "Guard",
    "LayerRotation",
    "LowOutlier",
    "MonitoredMetric",
    "Never",
    "Patient",
    "Phased",
    "Plateau",
    "Recipe",
    "Slope",
    "TrainingGradientConfusion",
    "Volume",
]
