"""Stop paying for the expensive recipe when the critical learning period is over: a PyTorch Lightning callback."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Where each name comes from. It is imported when it is asked for: a command line that trains nothing needs no torch,
# and the callback is one of the Lightning that is imported by then.
_ROOMS = {
    "callback": ("CriticalPeriodCallback",),
    "changes": ("Guard", "Phased"),
    "costs": ("CostMonitor",),
    "recipe": ("Budget", "Change", "Cooldown", "Recipe", "Volume"),
    "rules": ("AtEpoch", "Forecast", "LowOutlier", "Never", "Patient", "Plateau", "Slope"),
    "signals": (
        "GradientConfusion",
        "GradientPredictiveness",
        "LayerRotation",
        "MonitoredMetric",
        "TrainingGradientConfusion",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)


def _version() -> str:
    from importlib.metadata import version

    return version("lightning-critperiod")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
