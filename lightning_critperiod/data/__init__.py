"""What an epoch draws from the user's loader at a given volume: an index stream, or else whole batches."""

from lightning_critperiod.data.draws import Draws, seeded
from lightning_critperiod.data.epoch_batches import batches_at, samples_of
from lightning_critperiod.data.iterable import VolumeBatches, length
from lightning_critperiod.data.loader import at_volume, has_index_sampler, skip
from lightning_critperiod.data.sampler import VolumeSampler
from lightning_critperiod.data.views import ManyViews

__all__ = [
    "Draws",
    "ManyViews",
    "VolumeBatches",
    "VolumeSampler",
    "at_volume",
    "batches_at",
    "has_index_sampler",
    "length",
    "samples_of",
    "seeded",
    "skip",
]
