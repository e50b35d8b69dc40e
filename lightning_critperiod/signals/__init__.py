"""What is measured once an epoch: the pure functions and the classes that hold what they compare with."""

from lightning_critperiod.signals.base import Signal
from lightning_critperiod.signals.gradient_confusion import GradientConfusion
from lightning_critperiod.signals.gradient_predictiveness import GradientPredictiveness
from lightning_critperiod.signals.gradients import gradient_cosines
from lightning_critperiod.signals.layer_rotation import LayerRotation, layer_rotation
from lightning_critperiod.signals.monitored_metric import MonitoredMetric
from lightning_critperiod.signals.training_gradient_confusion import TrainingGradientConfusion

__all__ = [
    "GradientConfusion",
    "GradientPredictiveness",
    "LayerRotation",
    "MonitoredMetric",
    "Signal",
    "TrainingGradientConfusion",
    "gradient_cosines",
    "layer_rotation",
]
