"""Batches that carry the number of their samples from where that is known to where they arrive."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

Unpack = Callable[[Any], tuple[float, Any]]
"""What arrives -> number of samples (NaN where it is not known), batch."""


class CountedBatch(tuple[float, Any]):
    """A number of samples and their batch. Being a tuple, it is pinned as any batch is."""


class CountingCollate:
    """Collates as the user does, and counts the items first. Workers unpickle it, so this file imports little.

    Args:
        collate: The user's function.
    """

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, items: Any) -> CountedBatch:
        """Count, then collate."""
        samples = size(items)
        return CountedBatch((samples, self.collate(items)))


class NotedIndices:
    """The user's sampler or batch sampler; notes how many indices each batch has, in their order.

    Args:
        indices: Yields what a DataLoader asks its dataset for, one batch after another.
        batched: Whether all that it yields are batches of indices. Else a list is one, and anything else a single
            index, which may stand for a sample or for a whole batch.
    """

    def __init__(self, indices: Any, batched: bool) -> None:
        self.indices = indices
        self.batched = batched
        self.sizes: deque[float] = deque()

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        self.sizes.clear()
        return map(self._note, iter(self.indices))

    def unpack(self, batch: Any) -> tuple[float, Any]:
        """See ``Unpack``."""
        return (self.sizes.popleft() if self.sizes else math.nan), batch

    def _note(self, index: Any) -> Any:
        self.sizes.append(size(index) if self.batched or isinstance(index, list) else math.nan)
        return index


def unpack_counted(batch: Any) -> tuple[float, Any]:
    """See ``Unpack``."""
    samples, itself = batch
    return samples, itself


def unpack_unknown(batch: Any) -> tuple[float, Any]:
    """See ``Unpack``."""
    return math.nan, batch


def size(items: Any) -> float:
    """How many there are; NaN where they do not tell."""
    try:
        return len(items)
    except (TypeError, NotImplementedError):
        return math.nan
