"""The orders of torch's own samplers, computed where they are asked for: nothing is drawn in advance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DistributedSampler, RandomSampler, SequentialSampler

from lightning_critperiod.data.permutation import Indices, Permutation, Subset

FIRST_CHUNK, CHUNK = 2**8, 2**14
"""The first chunk is small so that the first index comes at once; the last ones fit a core's cache."""


@dataclass(frozen=True)
class Order:
    """What a sampler yields in one epoch, by position.

    Args:
        at: Maps positions, uint64, to what the sampler yields there.
        shuffled: Whether the order is random.
    """

    at: Callable[[Indices], Indices]
    shuffled: bool


def computed_order(sampler: Any, seed: int) -> Order | None:
    """The order of one epoch of a plain sampler: sequential, random without replacement, or distributed.

    Args:
        sampler: The user's sampler.
        seed: Selects the order of a RandomSampler. A DistributedSampler's follows from its own seed and epoch, which
            its ranks have in common.

    Returns:
        None for any other sampler: its order has to be drawn.
    """
    if type(sampler) is SequentialSampler:
        return Order(lambda positions: positions, shuffled=False)
    if type(sampler) is RandomSampler:
        n = len(sampler.data_source)
        whole = not sampler.replacement and sampler.num_samples == n
        return Order(Permutation(n, [seed]), shuffled=True) if whole else None
    if type(sampler) is DistributedSampler:
        return _sharded(sampler)
    return None


def _sharded(sampler: Any) -> Order:
    n = len(sampler.dataset)
    rank, ranks = np.uint64(sampler.rank), np.uint64(sampler.num_replicas)
    order = Permutation(n, [sampler.seed % 2**64, sampler.epoch]) if sampler.shuffle else lambda positions: positions

    def at(positions: Indices) -> Indices:
        # Positions past the end are padding, which begins again with the first ones.
        return order((positions * ranks + rank) % np.uint64(n))

    return Order(at, sampler.shuffle)


def pass_positions(begin: int, end: int, shuffle: Permutation | None, subset: Subset | None) -> Iterator[Indices]:
    """Positions in the user's stream that one pass over the kept samples visits.

    Args:
        begin: Where the pass begins, in kept samples.
        end: Where it ends.
        shuffle: The order in which it visits them. None: their own.
        subset: The kept positions. None: the first ones.

    Yields:
        Chunks of positions, uint64, that grow.
    """
    if subset is not None and shuffle is None:
        yield from subset.ascending(begin)
        return
    size = FIRST_CHUNK
    while begin < end:
        positions = np.arange(begin, min(begin + size, end), dtype=np.uint64)
        positions = positions if shuffle is None else shuffle(positions)
        yield positions if subset is None else subset(positions)
        begin, size = begin + size, min(size * 4, CHUNK)
