"""How many batches an epoch of a loader has at a volume: computed, without changing anything."""

import math
from typing import Any

from torch.utils.data import BatchSampler, DataLoader

from lightning_critperiod.data.iterable import VolumeBatches
from lightning_critperiod.data.sampler import VolumeBatchSampler, VolumeSampler
from lightning_critperiod.recipe import Volume


def batches_at(loader: Any, volume: Volume | None) -> int | None:
    """Batches of an epoch.

    Args:
        loader: One of ours, from ``at_volume``.
        volume: The volume of the epoch; None is the user's loader as it is.

    Returns:
        The number, or None where the loader has no length.
    """
    if isinstance(loader, VolumeBatches):
        return loader.batches_at(volume)
    sampler = _volume_sampler(loader)
    n = len(sampler.base)
    items = n if volume is None else volume.samples(n)
    batches = loader.batch_sampler
    if isinstance(sampler, VolumeBatchSampler) or batches is None:
        return items
    size = int(batches.batch_size)
    return items // size if batches.drop_last else math.ceil(items / size)


def samples_of(loader: Any) -> int | None:
    """Samples of a pass over the user's loader where they are known, else None."""
    if isinstance(loader, VolumeBatches) or isinstance(_volume_sampler(loader), VolumeBatchSampler):
        return None
    return len(_volume_sampler(loader).base)


def _volume_sampler(loader: DataLoader[Any]) -> VolumeSampler:
    batches = loader.batch_sampler
    found = batches.sampler if type(batches) is BatchSampler else loader.sampler if batches is None else batches
    if not isinstance(found, VolumeSampler):
        raise TypeError(f"expected a loader of ours, got {loader!r}")
    return found
