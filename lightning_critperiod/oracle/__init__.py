"""The oracle: what a switch at each of a grid of epochs keeps, beside what the rule would have chosen."""

from lightning_critperiod.oracle.command import Oracle, prepare
from lightning_critperiod.oracle.figures import figure1, figure2
from lightning_critperiod.oracle.pages import redraw
from lightning_critperiod.oracle.sweep import Sweep, load
from lightning_critperiod.oracle.trunk import Trunk

__all__ = ["Oracle", "Sweep", "Trunk", "figure1", "figure2", "load", "prepare", "redraw"]
