"""``critperiod inspect``: what the method would have done in a finished run, read from its logs."""

from lightning_critperiod.inspection.command import inspect

__all__ = ["inspect"]
