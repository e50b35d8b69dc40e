"""Chosen images of a dataset, a batch at a time: fetched, brought to one size, transformed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from torchvision.transforms import v2  # type: ignore[import-untyped]
from typing_extensions import override

from lightning_critperiod.data.views import ManyViews

Key = int | tuple[int, int]
Transform = Callable[[Tensor, NDArray[np.uint64], NDArray[np.uint64]], Tensor]


class Views(ManyViews):
    """Chosen samples of a dataset, transformed anew at every access: the k views of a sample all differ.

    ``views[i, v]`` is view v of sample i and always the same; ``views[i]`` is a view whose number is drawn from
    torch's global generator (in a worker process that of the worker).

    Args:
        dataset: Gives an (image, class) pair for an index; image is a uint8 tensor [channels, height, width].
        indices: The chosen samples, int64 tensor [n].
        size: Pixels of a side: the shorter side is made so long and the centre is cut out. None: as they are.
        transform: Maps images, uint8 tensor [batch, channels, height, width], and the numbers of their views and of
            the samples, uint64 [batch], to a float tensor [batch, channels, height, width].
    """

    def __init__(self, dataset: Dataset[Any], indices: Tensor, size: int | None, transform: Transform) -> None:
        self.dataset = dataset
        self.indices: list[int] = indices.tolist()
        self.size = size
        self.transform = transform

    def __len__(self) -> int:
        return len(self.indices)

    @override
    def __getitem__(self, key: Key) -> tuple[Tensor, Any]:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[Key]) -> list[tuple[Tensor, Any]]:
        """All samples of a batch at once: what torch's loader asks for where it can.

        Returns:
            An (image, class) pair for each key.
        """
        pairs = [key if isinstance(key, tuple) else (key, int(torch.randint(2**62, ()))) for key in keys]
        samples, views = np.array(pairs, np.uint64).reshape(-1, 2).T
        images, labels = self._fetched([self.indices[sample] for sample, _ in pairs])
        return list(zip(self.transform(images, views, samples), labels, strict=True))

    def _fetched(self, indices: list[int]) -> tuple[Tensor, list[Any]]:
        if isinstance(self.dataset, TensorDataset):
            images, labels = self.dataset[indices]
            return square(images, self.size), labels.tolist()
        each, labels = zip(*(self.dataset[index] for index in indices), strict=True)
        images = [square(image, self.size) for image in each]
        if len({image.shape for image in images}) > 1:
            raise ValueError(
                f"images must be of one size where image_size is None, got {sorted({tuple(i.shape) for i in images})}"
            )
        return torch.stack(images), list(labels)


def square(images: Tensor, size: int | None) -> Tensor:
    """Images whose shorter side is made ``size`` pixels long (bilinear, antialiased) and whose centre is cut out.

    Args:
        images: uint8 tensor [..., channels, height, width].
        size: Pixels of a side. None leaves the images as they are.

    Returns:
        uint8 tensor [..., channels, size, size].
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    return v2.functional.center_crop(v2.functional.resize(images, [size]), [size, size])  # type: ignore[no-any-return]
