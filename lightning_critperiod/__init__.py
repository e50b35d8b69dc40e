"""A PyTorch Lightning callback: a cheaper recipe once the critical learning period is over, and what that saved."""

from typing import TYPE_CHECKING, Any

from lightning_critperiod.lazy_names import lazily

if TYPE_CHECKING:
    from lightning_critperiod.callback import CriticalPeriodCallback
    from lightning_critperiod.changes import GrowingImages, GrowingLength, Guard, Phased, ValidateSparsely
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

# A command line that trains nothing needs no torch, and the callback is one of the Lightning that is imported by then.
ROOMS = {
    "callback": ("CriticalPeriodCallback",),
    "changes": ("GrowingImages", "GrowingLength", "Guard", "Phased", "ValidateSparsely"),
    "early_cooldown": ("EarlyCooldown",),
    "recipe": ("Budget", "Change", "Cooldown", "Recipe", "Volume"),
    "report": ("CostMonitor", "RunRecorder"),
    "rules": ("AtEpoch", "Forecast", "LowOutlier", "Never", "Patient", "Plateau", "Slope", "Worthwhile"),
    "signals": (
        "GradientConfusion",
        "GradientPredictiveness",
        "LayerRotation",
        "MonitoredMetric",
        "TrainingGradientConfusion",
    ),
}
_get = lazily(__name__, ROOMS)

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
    "GrowingImages",
    "GrowingLength",
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


def __getattr__(name: str) -> Any:
    return _version() if name == "__version__" else _get(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    from importlib.metadata import version

    return version("lightning-critperiod")
