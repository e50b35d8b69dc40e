"""Chosen images of a dataset, a batch at a time: fetched, brought to one size, transformed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from torchvision.transforms import v2  # type: ignore[import-untyped]
from typing_extensions import override

from lightning_critperiod.data import ManyViews
from lightning_critperiod.datamodules.augmentation import Augmentation


class Views(ManyViews):
    """Chosen samples of a dataset, transformed anew at every access: the k views of a sample all differ.

    ``views[i, v]`` is view v of sample i, always the same one. ``views[i]`` is a view whose number is drawn from
    torch's global generator (in a worker process the worker's). Without augmentation all views are the same.

    Args:
        dataset: Gives an (image, class) pair for an index; image is a uint8 tensor [channels, height, width] or an
            image of Pillow's.
        indices: The chosen samples, int64 tensor [n].
        size: Pixels of a side: the shorter side is made so long and the centre is cut out. None: as they are.
        normalise: What makes float images of uint8 images, [batch, channels, height, width] both.
        augmentation: What makes views of images. None for evaluation.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        indices: Tensor,
        size: int | None,
        normalise: v2.Transform,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.dataset = dataset
        self.indices: list[int] = indices.tolist()
        self.size = size
        self.normalise = normalise
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.indices)

    @override
    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Any]:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[int | tuple[int, int]]) -> list[tuple[Tensor, Any]]:
        """All samples of a batch at once: torch's DataLoader asks for them so.

        Returns:
            An (image, class) pair for each key.
        """
        samples = [key[0] if isinstance(key, tuple) else key for key in keys]
        images, labels = self._fetched([self.indices[sample] for sample in samples])
        if self.augmentation is not None:
            drawn = iter(torch.randint(2**62, (sum(not isinstance(key, tuple) for key in keys),)).tolist())
            views = [key[1] if isinstance(key, tuple) else next(drawn) for key in keys]
            images = self.augmentation(images, np.array(views, np.uint64), np.array(samples, np.uint64))
        return list(zip(self.normalise(images), labels, strict=True))

    def _fetched(self, indices: list[int]) -> tuple[Tensor, list[Any]]:
        if isinstance(self.dataset, TensorDataset):
            images, labels = self.dataset[indices]
            return square(images, self.size), labels.tolist()
        each, labels = zip(*(self.dataset[index] for index in indices), strict=True)
        tensors = [_TO_TENSOR(square(image, self.size)) for image in each]
        shapes = {tuple(tensor.shape) for tensor in tensors}
        if len(shapes) > 1:
            raise ValueError(f"images must be of one size where image_size is None, got {sorted(shapes)}")
        return torch.stack(tensors), list(labels)


_TO_TENSOR = v2.PILToTensor()  # leaves tensors alone


def square(images: Any, size: int | None) -> Any:
    """Images whose shorter side is made ``size`` pixels long (bilinear, antialiased) and whose centre is cut out.

    Args:
        images: uint8 tensor [..., channels, height, width], or one image of Pillow's.
        size: Pixels of a side. None leaves the images as they are.

    Returns:
        The same kind of images, ``size`` by ``size``.
    """
    if size is None or v2.functional.get_size(images) == [size, size]:
        return images
    return v2.functional.center_crop(v2.functional.resize(images, [size]), [size, size])
