"""Chosen images of a dataset, a batch at a time: fetched, brought to one size, transformed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from typing_extensions import override

from lightning_critperiod.data import ManyViews
from lightning_critperiod.datamodules.augmentation import Augmentation
from lightning_critperiod.datamodules.batch import Batch
from lightning_critperiod.datamodules.pixels import Normalise, square, to_tensor

Key = int | tuple[int, int]
_SMALL = 2**20  # brightness values in all images of a set


class Views(ManyViews):
    """Chosen samples of a dataset, transformed at every access: the k views of a sample all differ.

    ``views[i, v]`` is view v of sample i, always the same one. ``views[i]`` is a view whose number is drawn from
    torch's global generator (in a worker process the worker's). Without augmentation all views are the same.

    Args:
        dataset: Gives an (image, class) pair for an index; image is a uint8 tensor [channels, height, width] or an
            image of Pillow's.
        indices: The chosen samples, int64 tensor [n].
        size: Pixels of a side: the shorter side is made so long and the centre is cut out. None: as they are.
        normalise: Makes float images of uint8 images.
        augmentation: Makes views of images. None for evaluation.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        indices: Tensor,
        size: int | None,
        normalise: Normalise,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.dataset = dataset
        self.indices: list[int] = indices.tolist()
        self.size = size
        self.normalise = normalise
        self.augmentation = augmentation
        self._pass: tuple[int, Batch] | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @override
    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        sample: tuple[Tensor, int] = self._made([key])[0]
        return sample

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """All samples of a batch at once: torch's DataLoader asks for them so.

        Where all images together are small, a pass is made at once: a batch of tiny images takes longer to start than
        to compute.

        Returns:
            An (image, class) pair for each key.
        """
        view = self._common_view(keys) if self._is_small else None
        if view is None:
            return self._made(keys)
        if self._pass is None or self._pass[0] != view:
            self._pass = view, self._made([(sample, view) for sample in range(len(self))])
        chosen, whole = torch.tensor([_sample(key) for key in keys]), self._pass[1]
        return Batch(whole.images[chosen], whole.labels[chosen])

    @property
    def _is_small(self) -> bool:
        if not isinstance(self.dataset, TensorDataset) or (self.augmentation and self.augmentation.works_one_by_one):
            return False
        channels, *sides = self.dataset.tensors[0].shape[1:] or (1, 0)
        return len(self) * channels * (math.prod(sides) if self.size is None else self.size**2) <= _SMALL

    def _common_view(self, keys: Sequence[Key]) -> int | None:
        """The one view that all keys name, or that there is."""
        if self.augmentation is None:
            return 0
        named = {key[1] if isinstance(key, tuple) else None for key in keys}
        return named.pop() if len(named) == 1 else None

    def _made(self, keys: Sequence[Key]) -> Batch:
        samples = [_sample(key) for key in keys]
        images, labels = self._fetched([self.indices[sample] for sample in samples])
        if self.augmentation is not None:
            images = self.augmentation(images, _view_numbers(keys), np.array(samples, np.uint64))
        return Batch(self.normalise(images), labels)

    def _fetched(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        if isinstance(self.dataset, TensorDataset):
            images, labels = self.dataset[torch.tensor(indices)]
            return square(images, self.size), labels
        each, classes = zip(*(self.dataset[index] for index in indices), strict=True)
        tensors = [to_tensor(square(image, self.size)) for image in each]
        shapes = {tuple(tensor.shape) for tensor in tensors}
        if len(shapes) > 1:
            raise ValueError(f"images must be of one size where image_size is None, got {sorted(shapes)}")
        return torch.stack(tensors), torch.tensor(classes)


def _sample(key: Key) -> int:
    return key[0] if isinstance(key, tuple) else key


def _view_numbers(keys: Sequence[Key]) -> NDArray[np.uint64]:
    """The view that each key names; a random one where it names none."""
    views = [key[1] if isinstance(key, tuple) else None for key in keys]
    if None in views:
        drawn = torch.randint(2**62, (len(keys),)).tolist()
        views = [number if view is None else view for view, number in zip(views, drawn, strict=True)]
    return np.array(views, np.uint64)
