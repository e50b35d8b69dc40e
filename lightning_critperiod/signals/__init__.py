"""What is measured once an epoch: the pure functions and the classes that hold what they compare with."""

from lightning_critperiod.signals.base import Signal
from lightning_critperiod.signals.layer_rotation import LayerRotation, layer_rotation

__all__ = ["LayerRotation", "Signal", "layer_rotation"]
