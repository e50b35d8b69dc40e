"""The handwritten digits that scikit-learn ships."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from typing_extensions import override

from lightning_critperiod.datamodules.base import ImageDataModule, draw

_TEST_SAMPLES = 360
_TEST_SEED = 0


class Digits(ImageDataModule):
    """1797 grey images of handwritten digits, 8 x 8, 10 classes; they are part of scikit-learn.

    A fifth (360) is for test, the same whatever the seed; of the rest a fifth (287) is for validation and
    1150 are for training. Augmentation is rotation by up to 15 degrees and shift by up to 10%; no flip.

    Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository.
    The arguments are ImageDataModule's and its attribute ``image_size``.
    """

    mean = (0.3053,)
    std = (0.3760,)
    flip = False
    val_fraction = 0.2

    def __init__(
        self,
        batch_size: int = 64,
        augmentation_multiplier: float = 1.0,
        pruning_ratio: float = 0.0,
        num_workers: int | None = 0,
        seed: int = 0,
        image_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, augmentation_multiplier, pruning_ratio, None, num_workers, seed)
        self.image_size = image_size
        self._require_valid_images()

    @override
    def load(self, train: bool) -> tuple[Dataset[Any], Tensor]:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]

        digits = load_digits()
        images = torch.from_numpy(digits.images / 16 * 255).round().to(torch.uint8).unsqueeze(1)
        labels = torch.from_numpy(digits.target).long()
        test, rest = draw(labels, _TEST_SAMPLES, _TEST_SEED)
        chosen = rest if train else test
        return TensorDataset(images[chosen], labels[chosen]), labels[chosen]
