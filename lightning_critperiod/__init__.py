"""Stop paying for the expensive recipe when the critical learning period is over: a PyTorch Lightning callback."""

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.changes import Guard, Phased, ValidateSparsely
from lightning_critperiod.early_cooldown import EarlyCooldown
from lightning_critperiod.recipe import Budget, Change, Cooldown, Recipe, Volume
from lightning_critperiod.report import CostMonitor, RunRecorder
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Never, Patient, Plateau, Slope, Worthwhile
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
    "EarlyCooldown",
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
    "RunRecorder",
    "Slope",
    "TrainingGradientConfusion",
    "ValidateSparsely",
    "Volume",
    "Worthwhile",
]
