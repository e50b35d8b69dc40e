"""``critperiod inspect``: what the method would have done in a run that is over, read from its logs."""

from lightning_critperiod.inspection.command import inspect

__all__ = ["inspect"]
