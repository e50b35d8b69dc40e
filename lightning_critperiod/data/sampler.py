"""The user's index stream at a given volume."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DistributedSampler, Sampler

from lightning_critperiod.data.draws import Draws, seeded
from lightning_critperiod.recipe import Volume

CHUNK = 2**16


def kept(n: int, volume: Volume) -> int:
    """How many of ``n`` samples an epoch keeps, so that each is seen floor(k) to ceil(k) times.

    round((1 - r) n), moved by what the rounding of the total needs; all different for k <= 1. Where no number of kept
    samples fits the total exactly, one that leaves some samples a pass short.

    Returns:
        A number of samples from 0 to ``n``.
    """
    total, k = volume.samples(n), volume.augmentation_multiplier
    if k <= 1:
        return min(total, n)
    fewest, most = math.ceil(total / math.ceil(k)), total // math.floor(k)
    return max(min(round((1 - volume.pruning_ratio) * n), most), fewest)


class VolumeSampler(Sampler[Any]):
    """The user's index stream at the volume of ``draws``: exactly round(k (1 - r) n) items, n = ``len(base)``.

    The kept subset is one set within an epoch, re-drawn every epoch. The first pass has the order of the user's own
    sampler, further passes are shuffled. Nothing is copied but indices.

    Args:
        base: The user's sampler, already sharded.
        draws: What the run draws now.
        batch_size: Items a batch, to continue in mid-epoch.

    Attributes:
        skip: Batches that the next iteration leaves out.
    """

    def __init__(self, base: Any, draws: Draws, batch_size: int = 1) -> None:
        self.base = base
        self.draws = draws
        self.batch_size = batch_size
        self.skip = 0

    def __len__(self) -> int:
        n = len(self.base)
        return self.draws.volume.samples(n) if self.draws.own else n

    def __iter__(self) -> Iterator[Any]:
        if not self.draws.own:
            return iter(self.base)
        skip, self.skip = self.skip, 0
        return itertools.islice(self._items(), skip * self.batch_size, None)

    def set_epoch(self, epoch: int) -> None:
        """Hand the epoch on to the user's sampler (Lightning calls it on whatever the loader holds)."""
        forward_epoch(self.base, epoch)

    def _items(self) -> Iterator[Any]:
        stream = self._stream()
        missing = self.draws.volume.samples(len(self.base))
        for order in self._passes(len(stream)):
            for chunk in torch.split(order[:missing], CHUNK):
                yield from _take(stream, chunk)
            missing -= min(len(order), missing)
            if not missing:
                return

    def _passes(self, n: int) -> Iterator[torch.Tensor]:
        """Positions in the stream, pass after pass: the kept ones in their own order, then shuffled."""
        generator = torch.Generator().manual_seed(self.draws.number(1))
        count = max(kept(n, self.draws.volume), min(n, 1))
        positions = torch.arange(count if self.draws.first else n)
        if count < len(positions):
            positions = torch.randperm(n, generator=generator)[:count].sort().values
        while n:
            yield positions
            positions = positions[torch.randperm(count, generator=generator)]

    def _stream(self) -> torch.Tensor | list[Any]:
        """The user's stream of this epoch, drawn with seeded numbers; all generators are as before afterwards."""
        self.set_epoch(self.draws.epoch())
        with seeded(self.draws.number(0), getattr(self.base, "generator", None)):
            stream = list(itertools.islice(self.base, len(self.base)))
        # Indices take a fifth of the memory as a tensor; anything else that a sampler yields stays what it is.
        return torch.tensor(stream) if all(type(index) is int for index in stream) else stream


def _take(stream: torch.Tensor | list[Any], positions: torch.Tensor) -> list[Any]:
    if isinstance(stream, torch.Tensor):
        return stream[positions].tolist()
    return [stream[position] for position in positions.tolist()]


class ShardedVolumeSampler(VolumeSampler, DistributedSampler[Any]):
    """A VolumeSampler over a stream that is sharded already: Lightning does not shard a DistributedSampler again."""


class VolumeBatchSampler(VolumeSampler):
    """A custom batch sampler at the volume of ``draws``, by whole batches."""

    @property
    def sampler(self) -> Any:
        """The sampler inside the user's batch sampler, where Lightning looks for ``set_epoch``."""
        return getattr(self.base, "sampler", None)


def forward_epoch(sampler: Any, epoch: int) -> None:
    """Call ``set_epoch`` where a sampler, or the sampler inside a batch sampler, has one."""
    for target in (sampler, getattr(sampler, "sampler", None)):
        set_epoch = getattr(target, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)
