"""Samples that are a batch already when a dataset hands them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate
from typing_extensions import override


@dataclass(frozen=True)
class Batch(Sequence[tuple[Tensor, int]]):
    """(image, class) pairs that are together already, for ``together``; any other collate function takes the pairs.

    Args:
        images: float32 tensor [n, channels, height, width].
        labels: Classes, int64 tensor [n].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @override
    def __getitem__(self, index: Any) -> Any:
        return self.images[index], int(self.labels[index])


def together(batch: Any) -> Any:
    """Torch's default collate function, without taking a ``Batch`` apart first.

    Returns:
        Images and classes of a batch.
    """
    return [batch.images, batch.labels] if isinstance(batch, Batch) else default_collate(batch)
