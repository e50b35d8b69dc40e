"""The record of a run: what it was, decided, drew, cost and logged, as frozen dataclasses and as JSON."""

from typing import TYPE_CHECKING

from lightning_critperiod.lazy_names import lazily
from lightning_critperiod.record.decision import Decision, PlannedRecipe, Span
from lightning_critperiod.record.files import as_json, load, read, write
from lightning_critperiod.record.measured import Measured, Projected
from lightning_critperiod.record.record import FORMAT, Record
from lightning_critperiod.record.run import Epoch, Metrics, Run, Setting

if TYPE_CHECKING:
    from lightning_critperiod.record.from_trainer import collect

__getattr__ = lazily(__name__, {"from_trainer": ("collect",)})  # it needs torch, who reads records does not

__all__ = [
    "FORMAT",
    "Decision",
    "Epoch",
    "Measured",
    "Metrics",
    "PlannedRecipe",
    "Projected",
    "Record",
    "Run",
    "Setting",
    "Span",
    "as_json",
    "collect",
    "load",
    "read",
    "write",
]
