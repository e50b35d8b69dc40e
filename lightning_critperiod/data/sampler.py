"""The user's index stream at a given volume."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DistributedSampler, Sampler

from lightning_critperiod.data.draws import Draws, seeded
from lightning_critperiod.data.orders import Order, computed_order, pass_positions
from lightning_critperiod.data.permutation import Permutation, Subset
from lightning_critperiod.recipe import Volume

CHUNK = 2**16
"""A stream of so many samples or fewer is drawn outright, as is the stream of a sampler that is not torch's own."""


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
    sampler (ascending where that is; where it is random, any random order is as good), further passes are shuffled.
    Nothing is copied but indices.

    The order of torch's own samplers (sequential, random without replacement, distributed) over more than 2^16 samples
    is computed item by item: the first index, the memory and a resume in mid-epoch cost the same for any n. Any other
    stream is drawn whole, from the user's sampler, before its first index.

    Args:
        base: The user's sampler, already sharded.
        draws: What the run draws now.
        batch_size: Items a batch, to continue in mid-epoch.

    Attributes:
        skip: Batches that the next iteration leaves out.
        many_views: Whether the dataset is one of ``ManyViews``: it is asked for (index, view) pairs then, in which view
            is a function of the seed, the epoch and the pass.
    """

    def __init__(self, base: Any, draws: Draws, batch_size: int = 1) -> None:
        self.base = base
        self.draws = draws
        self.batch_size = batch_size
        self.skip = 0
        self.many_views = False

    def __len__(self) -> int:
        n = len(self.base)
        return self.draws.volume.samples(n) if self.draws.own else n

    def __iter__(self) -> Iterator[Any]:
        if not self.draws.own:
            return iter(self.base)
        skip, self.skip = self.skip, 0
        self.draws.begun += 1
        return itertools.chain.from_iterable(self._chunks(skip * self.batch_size))

    def set_epoch(self, epoch: int) -> None:
        """Hand the epoch on to the user's sampler (Lightning calls it on whatever the loader holds)."""
        forward_epoch(self.base, epoch)

    def _chunks(self, skip: int) -> Iterator[list[Any]]:
        self.set_epoch(self.draws.epoch())
        order = computed_order(self.base, self.draws.number(0)) if len(self.base) > CHUNK else None
        seed = self.draws.number(1)
        for number, chunk in self._drawn(skip) if order is None else self._computed(order, skip):
            yield _pairs(chunk, seed, number) if self.many_views else chunk

    def _computed(self, order: Order, skip: int) -> Iterator[tuple[int, list[Any]]]:
        """Chunks of the epoch, each with the number of its pass, computed from where they begin."""
        n, volume, seed = len(self.base), self.draws.volume, self.draws.number(1)
        count, total = max(kept(n, volume), 1), volume.samples(n)
        # The beginning of a random order is a random subset.
        every = count == n or order.shuffled or self.draws.first
        subset = None if every else Subset(n, count, [seed])
        for number in range(skip // count, -(-total // count)):
            begin, end = max(skip - number * count, 0), min(total - number * count, count)
            for positions in pass_positions(begin, end, Permutation(count, [seed, number]) if number else None, subset):
                yield number, order.at(positions).tolist()

    def _drawn(self, skip: int) -> Iterator[tuple[int, list[Any]]]:
        """Chunks of the epoch, each with the number of its pass, from a stream that is drawn first."""
        stream = self._stream()
        missing = self.draws.volume.samples(len(stream))
        for number, order in enumerate(self._passes(len(stream))):
            for chunk in torch.split(order[min(skip, len(order)) : missing], CHUNK):
                yield number, _take(stream, chunk)
            skip -= min(len(order), skip)
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
        with seeded(self.draws.number(0), getattr(self.base, "generator", None)):
            items = itertools.islice(self.base, len(self.base))
            chunks = [_compact(chunk) for chunk in iter(lambda: list(itertools.islice(items, CHUNK)), [])]
        tensors = [chunk for chunk in chunks if isinstance(chunk, torch.Tensor)]
        if len(tensors) == len(chunks):
            return torch.cat(tensors) if tensors else torch.empty(0)
        return [item for chunk in chunks for item in (chunk.tolist() if isinstance(chunk, torch.Tensor) else chunk)]


def _pairs(chunk: list[Any], seed: int, number: int) -> list[Any]:
    """The samples of a chunk, each with the number of the view, of 63 bits, that a pass shows of them."""
    words = np.random.SeedSequence([seed, number], spawn_key=(1,)).generate_state(1, np.uint64)
    view = int(words[0] >> np.uint64(1))
    # Where a sampler of the user's does not yield indices, it knows best what its dataset takes.
    return [(index, view) if type(index) is int else index for index in chunk]


def _compact(items: list[Any]) -> torch.Tensor | list[Any]:
    """Indices as a tensor, in a fifth of the memory; anything else that a sampler yields stays what it is."""
    return torch.from_numpy(np.fromiter(items, np.int64, len(items))) if set(map(type, items)) == {int} else items


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
