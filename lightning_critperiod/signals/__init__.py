"""What is measured once an epoch: the pure functions and the classes that hold what they compare with."""

from lightning_critperiod.signals.base import Signal

__all__ = ["Signal"]
