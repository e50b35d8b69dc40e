"""The user's loader at a given volume."""

import copy
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset

from lightning_critperiod.data.draws import Draws
from lightning_critperiod.data.iterable import VolumeBatches, VolumeIterable, iterable_loader, length
from lightning_critperiod.data.sampler import ShardedVolumeSampler, VolumeBatchSampler, VolumeSampler
from lightning_critperiod.data.views import ManyViews
from lightning_critperiod.lightning_seam import forget_workers, replace_parts


def has_index_sampler(loader: Any) -> bool:
    """Whether a loader is driven by a stream of indices (or batches of them) of known length."""
    # A class that iterates by itself may keep an iterator over the user's own stream.
    if not isinstance(loader, DataLoader) or type(loader).__iter__ is not DataLoader.__iter__:
        return False
    return not isinstance(loader.dataset, IterableDataset) and length(loader) is not None


def at_volume(loader: Any, draws: Draws) -> Any:
    """A loader like the user's that draws what ``draws`` says. The user's own object is not touched.

    Acts on samples where there is an index sampler; on whole batches for a custom batch sampler, iterable data, and
    a sampler without a length. A loader that has a volume already gets this one instead, never both.

    Returns:
        A shallow copy of a DataLoader, or a proxy for any other iterable.
    """
    if not isinstance(loader, DataLoader):
        return VolumeIterable(loader, draws)
    if not has_index_sampler(loader):
        return iterable_loader(loader, draws)
    new = copy.copy(loader)
    forget_workers(new)  # persistent ones that the user has started keep their old order
    batches = loader.batch_sampler
    if batches is None:
        replace_parts(new, sampler=_sampler(loader, loader.sampler, draws, 1))
    elif type(batches) is BatchSampler:
        inner = _sampler(loader, batches.sampler, draws, batches.batch_size)
        replace_parts(new, sampler=inner, batch_sampler=BatchSampler(inner, batches.batch_size, batches.drop_last))
    else:
        replace_parts(new, batch_sampler=VolumeBatchSampler(_unwrapped(batches), draws))
    return new


def skip(loader: Any, batches: int) -> None:
    """Let the next iteration over a loader of ours, and only that one, leave out its first batches.

    Nothing is loaded for them where there is an index sampler.
    """
    if isinstance(loader, VolumeBatches):
        loader.skip = batches
    elif isinstance(loader, DataLoader):
        for stream in (loader.batch_sampler, loader.sampler):
            if isinstance(stream, VolumeSampler):
                stream.skip = batches


def _unwrapped(sampler: Any) -> Any:
    return sampler.base if isinstance(sampler, VolumeSampler) else sampler


def _sampler(loader: Any, sampler: Any, draws: Draws, batch_size: int) -> VolumeSampler:
    base = _unwrapped(sampler)
    kind = ShardedVolumeSampler if isinstance(base, DistributedSampler) else VolumeSampler
    ours = kind(base, draws, batch_size)
    ours.many_views = isinstance(loader.dataset, ManyViews)
    return ours
