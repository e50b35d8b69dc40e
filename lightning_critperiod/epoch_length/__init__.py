"""The one seam to Lightning's loops and loaders: where a run stands, and how long its epochs are."""

from lightning_critperiod.epoch_length.declared import declared_loader
from lightning_critperiod.epoch_length.length import EpochLength
from lightning_critperiod.epoch_length.progress import (
    begin_next_epoch,
    finished_epochs,
    last_epoch_again,
    unfinished_batches,
)

__all__ = [
    "EpochLength",
    "begin_next_epoch",
    "declared_loader",
    "finished_epochs",
    "last_epoch_again",
    "unfinished_batches",
]
