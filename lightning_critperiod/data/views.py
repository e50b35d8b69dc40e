"""Datasets with many views of each sample."""

from abc import abstractmethod
from typing import Any

from torch.utils.data import Dataset


class ManyViews(Dataset[Any]):
    """A map-style dataset whose samples look different at every access: random augmentation.

    A key is the number of a sample, or a pair of it and the number of a view. ``dataset[i]`` is a random view, by the
    random state of the process that loads it. ``dataset[i, v]`` is always the same view, whichever process loads it
    and when: our samplers ask such a dataset for a pair whose v is a function of the run's seed, the epoch and the
    pass.
    """

    @abstractmethod
    def __getitem__(self, key: int | tuple[int, int]) -> Any:
        """The sample of a key."""
