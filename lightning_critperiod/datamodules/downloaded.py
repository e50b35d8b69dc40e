"""The datasets that torchvision downloads."""

from pathlib import Path
from typing import Any, ClassVar

import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from typing_extensions import override

from lightning_critperiod.datamodules.base import ImageDataModule


class Downloaded(ImageDataModule):
    """A dataset of torchvision's that fits in memory; it is downloaded where it is missing.

    Args:
        data_dir: Folder that holds the data as torchvision stores it.
        batch_size: Images in a batch.
        augmentation_multiplier: k, augmented views of each kept image in an epoch; above 0.
        pruning_ratio: r, the fraction of training images left out of an epoch, in [0, 1).
        image_size: Pixels of a side of the images that the network sees; None is as they are. See ImageDataModule.
        train_samples: Use only so many of the training images, drawn stratified; None is all.
        num_workers: Processes that load and transform images; 0 does it in the training process, None is one
            per core, at most 4.
        seed: Seed of the draw of the validation images.
        randaugment_magnitude: RandAugment of this magnitude, 0 to 30, in training; None is without.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range, or the data is neither there nor can be downloaded.
    """

    source: ClassVar[Any]
    """torchvision's dataset class."""

    def __init__(
        self,
        data_dir: str | Path = "data",
        batch_size: int = 128,
        augmentation_multiplier: float = 1.0,
        pruning_ratio: float = 0.0,
        image_size: int | None = None,
        train_samples: int | None = None,
        num_workers: int | None = None,
        seed: int = 0,
        randaugment_magnitude: int | None = None,
    ) -> None:
        super().__init__(batch_size, augmentation_multiplier, pruning_ratio, train_samples, num_workers, seed)
        self.data_dir = data_dir
        self.image_size = image_size
        self.randaugment_magnitude = randaugment_magnitude
        self._require_valid_images()

    @override
    def prepare_data(self) -> None:
        for train in (True, False):
            self._source(train, download=True)

    @override
    def load(self, train: bool) -> tuple[Dataset[Any], Tensor]:
        dataset = self._source(train, download=False)
        pixels = torch.as_tensor(dataset.data)
        images = pixels.reshape(*pixels.shape[:3], -1).permute(0, 3, 1, 2).contiguous()
        labels = torch.as_tensor(dataset.targets)
        return TensorDataset(images, labels), labels

    def _source(self, train: bool, download: bool) -> Any:
        try:
            return self.source(self.data_dir, train=train, download=download)
        except (OSError, RuntimeError) as error:
            name = self.source.__name__
            raise ValueError(
                f"{name} must be in data_dir or be downloadable, got data_dir={str(self.data_dir)!r}: {error}"
            ) from error


class FashionMNIST(Downloaded):
    """70,000 grey images of clothes, 28 x 28, 10 classes: 54,000 for training, 6,000 validation, 10,000 test.

    Source: Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747. The arguments are Downloaded's.
    """

    source = torchvision.datasets.FashionMNIST
    mean = (0.2860,)
    std = (0.3530,)


class CIFAR10(Downloaded):
    """60,000 colour images, 32 x 32, 10 classes: 45,000 for training, 5,000 validation, 10,000 test.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". The arguments are
    Downloaded's.
    """

    source = torchvision.datasets.CIFAR10
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)


class CIFAR100(Downloaded):
    """60,000 colour images, 32 x 32, 100 classes: 45,000 for training, 5,000 validation, 10,000 test.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". The arguments are
    Downloaded's.
    """

    source = torchvision.datasets.CIFAR100
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)
