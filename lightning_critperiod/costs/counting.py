"""How many samples a training step trains on: counted where its indices are drawn, or where its items are collated."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from torch.utils.data import IterableDataset

from lightning_critperiod.costs.counted_batch import (
    CountingCollate,
    NotedIndices,
    Unpack,
    unpack_counted,
    unpack_unknown,
)
from lightning_critperiod.lightning_seam import Fetches


class SampleCounter:
    """Counts the samples of every batch that a fit trains on, all loaders of one rank together.

    A map-style dataset is asked for indices: their number is that of the samples, whatever sampler they come from and
    whatever the batch looks like. A stream hands its items to ``collate_fn``, in the workers if there are any: the
    items are counted there. What is fetched ahead and never trained on does not count.

    Not known is the number of samples of an iterable that is no DataLoader, of a DataLoader with iterators of its own,
    of workers that may deliver in any order (``in_order=False``) from a map-style dataset, and, without automatic
    batching (``batch_size=None``), of a single index or item, which may be a sample or a whole batch.

    Args:
        trainer: Before it has set up its loaders.
    """

    def __init__(self, trainer: Any) -> None:
        self._fetched: deque[float] = deque()
        self._arrived: list[float] = []
        self._fetches = Fetches(trainer, self)

    def take(self) -> float:
        """Samples of the training step that just ended; NaN where they are not known."""
        steps = len(self._fetched) if self._fetches.step_fetches else 1
        return math.fsum(self._fetched.popleft() if self._fetched else math.nan for _ in range(steps))

    def stop(self) -> None:
        """Leave no trace. A second call does nothing."""
        self._fetches.undo()

    def parts(self, loader: Any) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """See ``Listener``."""
        parts, unpack = _counting(loader)

        def arrive(batch: Any) -> Any:
            samples, itself = unpack(batch)
            self._arrived.append(samples)
            return itself

        return parts, arrive

    def iteration_begins(self) -> None:
        """See ``Listener``."""
        self._fetched.clear()

    def fetch_begins(self) -> None:
        """See ``Listener``."""
        self._arrived.clear()

    def fetch_ends(self, complete: bool) -> None:
        """See ``Listener``."""
        self._fetched.append(math.fsum(self._arrived) if complete and self._arrived else math.nan)


def _counting(loader: Any) -> tuple[Mapping[str, Any], Unpack]:
    """The parts with which a loader counts, and what takes the number off a batch."""
    batched = loader.batch_sampler is not None
    if isinstance(loader.dataset, IterableDataset):
        return ({"collate_fn": CountingCollate(loader.collate_fn)}, unpack_counted) if batched else ({}, unpack_unknown)
    if loader.num_workers and not getattr(loader, "in_order", True):
        return {}, unpack_unknown
    name = "batch_sampler" if batched else "sampler"
    noted = NotedIndices(getattr(loader, name), batched)
    return {name: noted}, noted.unpack
