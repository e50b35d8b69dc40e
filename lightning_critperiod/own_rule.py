"""Which rule belongs to which signal."""

from lightning_critperiod.rules import Forecast, LowOutlier, Rule, Slope
from lightning_critperiod.signals import (
    GradientConfusion,
    GradientPredictiveness,
    LayerRotation,
    Signal,
    TrainingGradientConfusion,
)

OWN_RULES: dict[type[Signal], Rule] = {
    LayerRotation: Slope(),
    GradientConfusion: LowOutlier(),
    TrainingGradientConfusion: LowOutlier(),
    GradientPredictiveness: Forecast(mode="max"),
}


def own_rule(signal: Signal) -> Rule:
    """The rule that belongs to a signal.

    Returns:
        The published one, or ours where there is none (gradient predictiveness).

    Raises:
        ValueError: The signal has none.
    """
    for kind, rule in OWN_RULES.items():
        if isinstance(signal, kind):
            return rule
    raise ValueError(f"rule must be given for {type(signal).__name__}, which has none of its own: Plateau or Forecast.")
