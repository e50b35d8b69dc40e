"""The rule that belongs to each signal of ours: who reads logs knows them without torch."""

from collections.abc import Mapping

from lightning_critperiod.rules.base import Rule
from lightning_critperiod.rules.forecast import Forecast
from lightning_critperiod.rules.low_outlier import LowOutlier
from lightning_critperiod.rules.slope import Slope

OWN_RULES: Mapping[str, Rule] = {
    "layer_rotation": Slope(),
    "gradient_confusion": LowOutlier(),
    "training_gradient_confusion": LowOutlier(),
    "gradient_predictiveness": Forecast(mode="max"),
}
"""Name of a signal -> its rule."""
