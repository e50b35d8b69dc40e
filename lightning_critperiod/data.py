"""What an epoch draws from the user's loader at a given volume: an index stream, or whole batches where there is none."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset, Sampler

from lightning_critperiod.recipe import Volume

CHUNK = 2**16


@dataclass
class Draws:
    """What all samplers of one run share: the volume of the next epoch, and where its random numbers come from.

    Args:
        volume: The volume that an epoch has which starts now.
        seed: With the epoch, decides every draw: f(seed, epoch). The global generators are never touched.
        epoch: Answers the 0-based epoch that starts now.
        own: False as long as the user's loader passes through untouched; True once the draws are ours.
        resumed: (epoch, batches of it that are already done) after a resume in mid-epoch.
    """

    volume: Volume
    seed: int
    epoch: Callable[[], int]
    own: bool = False
    resumed: tuple[int, int] = (-1, 0)

    def done_batches(self) -> int:
        """Batches of the epoch that starts now which an interrupted session has already trained on."""
        epoch, batches = self.resumed
        return batches if self.own and self.epoch() == epoch else 0

    def number(self, stream: int) -> int:
        """A seed for one stream of random numbers of the epoch that starts now."""
        return (self.seed * 1_000_003 + self.epoch() * 2 + stream) % 2**63


def kept(n: int, volume: Volume) -> int:
    """How many of ``n`` samples an epoch keeps, so that each is seen floor(k) to ceil(k) times.

    round((1 - r) n), moved by what the rounding of the total needs; all different for k <= 1. Where no number of kept
    samples fits the total exactly, one that leaves some samples a pass short.
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
    """

    def __init__(self, base: Any, draws: Draws, batch_size: int = 1) -> None:
        self.base = base
        self.draws = draws
        self.batch_size = batch_size

    def __len__(self) -> int:
        n = len(self.base)
        return self.draws.volume.samples(n) if self.draws.own else n

    def __iter__(self) -> Iterator[Any]:
        if not self.draws.own:
            return iter(self.base)
        return itertools.islice(self._items(), self.draws.done_batches() * self.batch_size, None)

    def set_epoch(self, epoch: int) -> None:
        """Hand the epoch on to the user's sampler (Lightning calls it on whatever the loader holds)."""
        forward_epoch(self.base, epoch)

    def _items(self) -> Iterator[Any]:
        stream = self._stream()
        missing = self.draws.volume.samples(len(self.base))
        for order in self._passes(len(stream)):
            for chunk in order[:missing].split(CHUNK):
                for position in chunk.tolist():
                    yield stream[position]
            missing -= min(len(order), missing)
            if not missing:
                return

    def _passes(self, n: int) -> Iterator[torch.Tensor]:
        """Positions in the stream, pass after pass: the kept ones in their own order, then shuffled."""
        generator = torch.Generator().manual_seed(self.draws.number(1))
        count = kept(n, self.draws.volume)
        positions = torch.arange(n)
        if count < n:
            positions = torch.randperm(n, generator=generator)[:count].sort().values
        while n:
            yield positions
            positions = positions[torch.randperm(count, generator=generator)]

    def _stream(self) -> list[Any]:
        """The user's stream of this epoch, drawn with seeded numbers; all generators are as before afterwards."""
        self.set_epoch(self.draws.epoch())
        with seeded(self.draws.number(0), getattr(self.base, "generator", None)):
            return list(itertools.islice(self.base, len(self.base)))


class ShardedVolumeSampler(VolumeSampler, DistributedSampler[Any]):
    """A VolumeSampler over a stream that is sharded already: Lightning does not shard a DistributedSampler again."""


class VolumeBatchSampler(VolumeSampler):
    """A custom batch sampler at the volume of ``draws``, by whole batches."""

    @property
    def sampler(self) -> Any:
        """The sampler inside the user's batch sampler, where Lightning looks for ``set_epoch``."""
        return getattr(self.base, "sampler", None)


@contextmanager
def seeded(number: int, generator: object = None) -> Iterator[None]:
    """Torch's global CPU generator (and one more) start from ``number`` inside and are as before afterwards."""
    generators = [g for g in (torch.default_generator, generator) if isinstance(g, torch.Generator)]
    states = [g.get_state() for g in generators]
    for g in generators:
        g.manual_seed(number)  # torch.manual_seed would reach the GPUs too
    try:
        yield
    finally:
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)


def forward_epoch(sampler: Any, epoch: int) -> None:
    """Call ``set_epoch`` where a sampler, or the sampler inside a batch sampler, has one."""
    for target in (sampler, getattr(sampler, "sampler", None)):
        set_epoch = getattr(target, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)


class VolumeIterable:
    """Any iterable of batches at the volume of ``draws``: passes one after another, the last one cut short.

    An iterable without a length stays without one: how many batches it has is learned from its first complete pass.
    """

    def __init__(self, base: Iterable[Any], draws: Draws) -> None:
        self.base = base
        self.draws = draws
        self._learned: int | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "base":
            raise AttributeError(name)
        return getattr(self.base, name)

    def __len__(self) -> int:
        n = self._base_length()
        if n is None:
            raise TypeError(f"{type(self.base).__name__} has no len()")
        return round(self.draws.volume.fraction * n) if self.draws.own else n

    def __iter__(self) -> Iterator[Any]:
        return self._epoch(self._one_pass())  # the user's own __iter__ runs now, as it would without us

    def _one_pass(self) -> Iterator[Any]:
        return iter(self.base)

    def _base_length(self) -> int | None:
        return length(self.base)

    def _epoch(self, batches: Iterator[Any]) -> Iterator[Any]:
        own, fraction = self.draws.own, self.draws.volume.fraction if self.draws.own else 1.0
        done, drawn = self.draws.done_batches(), 0
        while True:
            n = self._base_length() if self._base_length() is not None else self._learned
            wanted = math.inf if n is None or not own else round(fraction * n)
            before = drawn
            for batch in batches:
                drawn += 1
                if drawn > done:
                    yield batch
                if drawn >= wanted:
                    return
            self._learned = drawn - before
            if drawn >= round(fraction * self._learned):
                return
            batches = self._one_pass()


class _VolumeLoader(VolumeIterable):
    """VolumeIterable mixed into a copy of the user's own DataLoader, so that it stays the loader that it was."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _one_pass(self) -> Iterator[Any]:
        return super(VolumeIterable, self).__iter__()  # type: ignore[misc, no-any-return]

    def _base_length(self) -> int | None:
        try:
            return super(VolumeIterable, self).__len__()  # type: ignore[misc, no-any-return]
        except (TypeError, NotImplementedError):
            return None


def length(data: Any) -> int | None:
    """``len(data)``, or None where there is none."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def has_index_sampler(loader: Any) -> bool:
    """Whether a loader is driven by a stream of indices (or batches of them) of known length."""
    return (
        isinstance(loader, DataLoader)
        and not isinstance(loader.dataset, IterableDataset)
        and isinstance(loader.batch_sampler or loader.sampler, Sized)
        and length(loader) is not None
    )


def at_volume(loader: Any, draws: Draws) -> Any:
    """A loader like the user's that draws what ``draws`` says. The user's own object is not touched.

    Acts on samples where there is an index sampler; on whole batches for a custom batch sampler, iterable data, and
    a sampler without a length. A loader that has a volume already gets this one instead, never both.

    Returns:
        A shallow copy of a DataLoader, or a proxy for any other iterable.
    """
    if not isinstance(loader, DataLoader):
        return VolumeIterable(loader.base if isinstance(loader, VolumeIterable) else loader, draws)
    new = copy.copy(loader)
    object.__setattr__(new, "_iterator", None)  # persistent workers that the user has started keep their old order
    if not has_index_sampler(loader):
        return _iterable_loader(new, draws)
    batches = loader.batch_sampler
    if batches is None:
        _replace(new, sampler=_sampler(loader.sampler, draws, 1))
    elif type(batches) is BatchSampler:
        inner = _sampler(batches.sampler, draws, batches.batch_size)
        _replace(new, sampler=inner, batch_sampler=BatchSampler(inner, batches.batch_size, batches.drop_last))
    else:
        _replace(new, batch_sampler=VolumeBatchSampler(_unwrapped(batches), draws))
    return new


def _iterable_loader(new: Any, draws: Draws) -> Any:
    if not isinstance(new, _VolumeLoader):
        new.__class__ = type(f"Volume{type(new).__name__}", (_VolumeLoader, type(new)), {})
    new.draws, new._learned = draws, None
    return new


def _unwrapped(sampler: Any) -> Any:
    return sampler.base if isinstance(sampler, VolumeSampler) else sampler


def _sampler(sampler: Any, draws: Draws, batch_size: int) -> VolumeSampler:
    base = _unwrapped(sampler)
    kind = ShardedVolumeSampler if isinstance(base, DistributedSampler) else VolumeSampler
    return kind(base, draws, batch_size)


def _replace(loader: Any, **attributes: Any) -> None:
    for name, value in attributes.items():
        object.__setattr__(loader, name, value)  # DataLoader forbids it by setattr, for users
