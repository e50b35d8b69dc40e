"""What every datamodule of ours is: three sets of images kept apart, and a declared volume."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, v2  # type: ignore[import-untyped]
from typing_extensions import override

from lightning_critperiod.changes import declared_loader
from lightning_critperiod.lightning_seam.namespace import LightningDataModule
from lightning_critperiod.recipe import Volume


class Views(Dataset[tuple[Tensor, Any]]):
    """Chosen samples of a dataset, transformed anew at every access: the k views of a sample all differ.

    Args:
        dataset: Gives an (image, class) pair for an index; image is a uint8 tensor [channels, height, width].
        indices: The chosen samples, int64 tensor [n].
        transform: Maps such an image to a float tensor [channels, height, width].
    """

    def __init__(self, dataset: Dataset[Any], indices: Tensor, transform: Callable[[Any], Tensor]) -> None:
        self.dataset = dataset
        self.indices: list[int] = indices.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.indices)

    @override
    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        image, label = self.dataset[self.indices[index]]
        return self.transform(image), label


def draw(labels: Tensor, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw samples at random, every class in proportion to its size (a stratified draw).

    Args:
        labels: Classes, int64 tensor [n].
        samples: How many to draw, at most n.
        seed: Of the draw; the global random state is neither read nor changed.

    Returns:
        Indices drawn, int64 tensor [samples], and the other indices, both in random order.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = labels[shuffled].argsort(stable=True)
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    drawn[by_class[torch.arange(samples) * len(labels) // samples]] = True
    return shuffled[drawn], shuffled[~drawn]


class ImageDataModule(LightningDataModule, ABC):
    """Training, validation and test images that are never mixed, with the paper's augmentation in training.

    The validation images are cut from the training data, stratified; the test set is apart. Augmentation
    (Fukase et al. 2025, arXiv 2506.15954): rotation by up to 15 degrees, shift by up to 10% of the image,
    and, except for digits, horizontal flip. Batches are float images [batch, channels, height, width],
    normalised by channel, and classes [batch].

    A subclass gives ``load`` and the class attributes.

    Args:
        batch_size: Images in a batch.
        augmentation_multiplier: k, augmented views of each kept image in an epoch; above 0.
        pruning_ratio: r, the fraction of training images left out of an epoch, in [0, 1).
        train_samples: Use only so many of the training images, drawn stratified; None is all.
        num_workers: Processes that load and transform images; 0 does it in the training process, None is one
            per core, at most 4.
        seed: Of the draw of the validation images.

    Raises:
        TypeError: The multiplier or the ratio is no number.
        ValueError: The multiplier or the ratio is out of range; in ``setup``, ``train_samples``.
    """

    mean: ClassVar[tuple[float, ...]]
    """Mean of each channel, for images in [0, 1]."""
    std: ClassVar[tuple[float, ...]]
    """Standard deviation of each channel."""
    flip: ClassVar[bool] = True
    """Whether the mirror image of an image belongs to the same class."""
    val_fraction: ClassVar[float] = 0.1
    """The part of the training data that is for validation."""

    def __init__(
        self,
        batch_size: int,
        augmentation_multiplier: float,
        pruning_ratio: float,
        train_samples: int | None,
        num_workers: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        Volume(augmentation_multiplier, pruning_ratio)  # refuses values out of range
        self.batch_size = batch_size
        self.augmentation_multiplier = augmentation_multiplier
        self.pruning_ratio = pruning_ratio
        self.train_samples = train_samples
        self.num_workers = min(4, os.cpu_count() or 1) if num_workers is None else num_workers
        self.seed = seed

    @abstractmethod
    def load(self, train: bool) -> tuple[Dataset[Any], Tensor]:
        """The training or the test data.

        Returns:
            A dataset of (image, class) pairs, each image a uint8 tensor [channels, height, width], and the
            class of every image, int64 tensor [n].
        """

    @override
    def setup(self, stage: str) -> None:
        if stage in {"fit", "validate"}:
            dataset, labels = self.load(train=True)
            val, rest = draw(labels, max(1, round(len(labels) * self.val_fraction)), self.seed)
            train = self._drawn_for_training(labels, rest)
            self.train_set = Views(dataset, train, self._transform(augment=True))
            self.val_set = Views(dataset, val, self._transform(augment=False))
        else:
            dataset, labels = self.load(train=False)
            self.test_set = Views(dataset, torch.arange(len(labels)), self._transform(augment=False))

    @override
    def train_dataloader(self) -> DataLoader[Any]:
        return self._at_declared_volume(self._loader(self.train_set, shuffle=True))

    @override
    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.val_set, shuffle=False)

    @override
    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.test_set, shuffle=False)

    @override
    def predict_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.test_set, shuffle=False)

    def _at_declared_volume(self, loader: DataLoader[Any]) -> DataLoader[Any]:
        volume = Volume(self.augmentation_multiplier, self.pruning_ratio)
        if volume == Volume():
            return loader
        # Where a callback drives, it asks for the loader while the attributes read 1 and 0, and draws itself.
        return declared_loader(loader, volume, self.trainer)  # type: ignore[no-any-return]

    def _drawn_for_training(self, labels: Tensor, rest: Tensor) -> Tensor:
        if self.train_samples is None:
            return rest
        if not 1 <= self.train_samples <= len(rest):
            raise ValueError(f"train_samples must be from 1 to {len(rest)} (what there is), got {self.train_samples}")
        return rest[draw(labels[rest], self.train_samples, self.seed)[0]]

    def _transform(self, augment: bool) -> v2.Compose:
        to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(self.mean, self.std)]
        return v2.Compose([*(self._augmentation() if augment else []), *to_float])

    def _augmentation(self) -> list[v2.Transform]:
        turn = v2.RandomAffine(15, translate=(0.1, 0.1), interpolation=InterpolationMode.BILINEAR)
        return [turn, v2.RandomHorizontalFlip()] if self.flip else [turn]

    def _loader(self, dataset: Dataset[Any], shuffle: bool) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=shuffle,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
