"""When the critical period is over: pure functions of a signal's history. Standard library only."""

from lightning_critperiod.rules.base import History, Lines, Rule, require_fit
from lightning_critperiod.rules.fixed import AtEpoch, Never
from lightning_critperiod.rules.forecast import Forecast
from lightning_critperiod.rules.low_outlier import LowOutlier
from lightning_critperiod.rules.patient import Patient
from lightning_critperiod.rules.plateau import Plateau
from lightning_critperiod.rules.slope import Slope
from lightning_critperiod.rules.worthwhile import Worthwhile

__all__ = [
    "AtEpoch",
    "Forecast",
    "History",
    "Lines",
    "LowOutlier",
    "Never",
    "Patient",
    "Plateau",
    "Rule",
    "Slope",
    "Worthwhile",
    "require_fit",
]
