"""The callback: measure once an epoch, decide, apply. All hooks are in ``hooks``; what they leave is in ``state``."""

from lightning_critperiod.callback.hooks import CriticalPeriodCallback
from lightning_critperiod.callback.state import RunState

__all__ = ["CriticalPeriodCallback", "RunState"]
