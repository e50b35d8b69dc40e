"""What the callback measures, decides and says of a run."""

from lightning_critperiod.watching.falling_rate import FallingRate
from lightning_critperiod.watching.logs import PREFIX, log_epoch, observer_prefix, show_verdict
from lightning_critperiod.watching.watch import Watch

__all__ = ["PREFIX", "FallingRate", "Watch", "log_epoch", "observer_prefix", "show_verdict"]
