"""The referee: arms of one config side by side, on the same seeds and splits, and what they gained or lost."""

from lightning_critperiod.compare.command import Comparison, prepare
from lightning_critperiod.compare.infobatch import InfoBatch
from lightning_critperiod.compare.pages import redraw
from lightning_critperiod.compare.placebo import NoSignal, Replayed
from lightning_critperiod.compare.rates import FollowRates, RecordRates
from lightning_critperiod.compare.scheduled import Scheduled

__all__ = [
    "Comparison",
    "FollowRates",
    "InfoBatch",
    "NoSignal",
    "RecordRates",
    "Replayed",
    "Scheduled",
    "prepare",
    "redraw",
]
