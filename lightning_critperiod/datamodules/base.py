"""What every datamodule of ours is: three sets of images kept apart, and a declared volume."""

import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from lightning_critperiod.changes import declared_loader
from lightning_critperiod.datamodules.augmentation import Augmentation
from lightning_critperiod.datamodules.batch import together
from lightning_critperiod.datamodules.pixels import Normalise
from lightning_critperiod.datamodules.views import Views
from lightning_critperiod.lightning_seam.namespace import LightningDataModule
from lightning_critperiod.recipe import Volume, require_int


def draw(labels: Tensor, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw samples at random, every class in proportion to its size (a stratified draw).

    Args:
        labels: Classes, int64 tensor [n].
        samples: How many to draw, at most n.
        seed: The seed of the draw; the global random state is neither read nor changed.

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

    Whole batches are augmented at once, each image by random numbers of its own. Where a volume is drawn (declared, or
    by the callback), the view of an image is a function of the run's seed, the epoch, the pass and the image: the same
    with any batch size and any number of workers, and after a resume. Where the loader is torch's own (k = 1, r = 0,
    nothing switched), views are random by torch's global generator, as torchvision's transforms are.

    Args:
        batch_size: Images in a batch.
        augmentation_multiplier: k, augmented views of each kept image in an epoch; above 0.
        pruning_ratio: r, the fraction of training images left out of an epoch, in [0, 1).
        train_samples: Use only so many of the training images, drawn stratified; None is all.
        num_workers: Processes that load and transform images; 0 does it in the training process, None is one
            per core, at most 4.
        seed: Seed of the draw of the validation images.

    Attributes:
        image_size: Pixels of a side: images are made square and so large (bilinear, antialiased) before they are
            augmented; None leaves them as they are. Validation and test images have the size that it says at
            ``setup``, training images the one that it says when ``train_dataloader`` is called: a change during
            training changes what is trained on, and the metrics of all epochs are of the same images.
        randaugment_magnitude: RandAugment of this magnitude, 0 to 30, before the augmentation above; None is without.
            It is read when ``train_dataloader`` is called.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range; ``train_samples`` in ``setup``.
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
        require_int("batch_size", batch_size, low=1)
        self.batch_size = batch_size
        self.augmentation_multiplier = augmentation_multiplier
        self.pruning_ratio = pruning_ratio
        self.train_samples = train_samples
        self.num_workers = min(4, os.cpu_count() or 1) if num_workers is None else num_workers
        require_int("num_workers", self.num_workers, low=0)
        self.seed = seed
        self.image_size: int | None = None
        self.randaugment_magnitude: int | None = None

    @abstractmethod
    def load(self, train: bool) -> tuple[Dataset[Any], Tensor]:
        """The training or the test data.

        Returns:
            A dataset of (image, class) pairs, each image a uint8 tensor [channels, height, width] or one of Pillow's,
            and the class of every image, int64 tensor [n].
        """

    @override
    def setup(self, stage: str) -> None:
        if stage in {"fit", "validate"}:
            dataset, labels = self.load(train=True)
            val, rest = draw(labels, max(1, round(len(labels) * self.val_fraction)), self.seed)
            self._training = dataset, self._drawn_for_training(labels, rest)
            self.train_set = self._views(*self._training, self._augmentation())
            self.val_set = self._views(dataset, val)
        else:
            dataset, labels = self.load(train=False)
            self.test_set = self._views(dataset, torch.arange(len(labels)))

    @override
    def train_dataloader(self) -> DataLoader[Any]:
        self.train_set = self._views(*self._training, self._augmentation())
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

    def _views(self, dataset: Dataset[Any], indices: Tensor, augmentation: Augmentation | None = None) -> Views:
        self._require_valid_images()
        return Views(dataset, indices, self.image_size, Normalise(self.mean, self.std), augmentation)

    def _augmentation(self) -> Augmentation:
        return Augmentation(self.flip, self.randaugment_magnitude)

    def _require_valid_images(self) -> None:
        if self.image_size is not None:
            require_int("image_size", self.image_size, low=1)
        magnitude = self.randaugment_magnitude
        if magnitude is not None:
            require_int("randaugment_magnitude", magnitude, low=0)
            if magnitude > 30:
                raise ValueError(f"randaugment_magnitude must be an int from 0 to 30, got {magnitude!r}")

    def _loader(self, dataset: Dataset[Any], shuffle: bool) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=shuffle,
            collate_fn=together,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
