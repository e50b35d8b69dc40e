"""Baselines that train in a way of their own, and the callbacks that compare them fairly."""

from lightning_critperiod.studies.baselines.held_rate import HeldRate
from lightning_critperiod.studies.baselines.infobatch import InfoBatch
from lightning_critperiod.studies.baselines.not_applicable import NotApplicable
from lightning_critperiod.studies.baselines.placebo import NoSignal, Replayed
from lightning_critperiod.studies.baselines.rates import FollowRates, RecordRates, SqueezedRates
from lightning_critperiod.studies.baselines.scheduled import Scheduled

__all__ = [
    "FollowRates",
    "HeldRate",
    "InfoBatch",
    "NoSignal",
    "NotApplicable",
    "RecordRates",
    "Replayed",
    "Scheduled",
    "SqueezedRates",
]
