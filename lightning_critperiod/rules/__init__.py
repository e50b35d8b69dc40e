"""When the critical period is over: pure functions of a signal's history. Standard library only."""

from lightning_critperiod.rules.base import History, Rule

__all__ = ["History", "Rule"]
