"""How many samples a batch holds: counted where the indices are known, not guessed from its tensors."""

import math
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from lightning_critperiod.lightning_seam import is_cyclic, train_loaders


def samples_in_batch(trainer: Any, batch_idx: int) -> float:
    """Samples of a training batch of one rank, all of its loaders together.

    A ``DataLoader`` over indices with a plain batch sampler is known to draw ``batch_size`` of them, and what is left
    in the last batch. A custom batch sampler, an iterable dataset and an iterable of batches do not tell.

    Args:
        trainer: That fits.
        batch_idx: 0-based number of the batch in its epoch.

    Returns:
        The number; NaN where it is not known.
    """
    cyclic = is_cyclic(trainer)
    return math.fsum(_samples(loader, batch_idx, cyclic) for loader in train_loaders(trainer))


def _samples(loader: Any, batch_idx: int, cyclic: bool) -> float:
    batches = loader.batch_sampler if isinstance(loader, DataLoader) else None
    if type(batches) is not BatchSampler or isinstance(loader.dataset, IterableDataset):
        return math.nan
    try:
        n, count = len(batches.sampler), len(batches)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        return math.nan
    index = batch_idx % count if cyclic and count else batch_idx
    return min(batches.batch_size, max(0, n - index * batches.batch_size)) if index < count else 0
