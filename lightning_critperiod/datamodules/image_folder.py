"""Any folder of images."""

from pathlib import Path
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from typing_extensions import override

from lightning_critperiod.datamodules.base import ImageDataModule


class ImageFolder(ImageDataModule):
    """Images in ``data_dir/train/<class>/`` and, for the test, in ``data_dir/test/<class>/``.

    A tenth of the training images is for validation; without a test folder there is nothing to test. Images are
    read from disk at every access and made square by resizing the shorter side and cutting the centre.

    Args:
        data_dir: Folder that holds train/ and, for the test, test/, each with one folder of images a class.
        image_size: Pixels of a side of the images that the network sees; None is as they are, if all are of one size.
            See ImageDataModule.
        batch_size: Images in a batch.
        augmentation_multiplier: k, augmented views of each kept image in an epoch; above 0.
        pruning_ratio: r, the fraction of training images left out of an epoch, in [0, 1).
        num_workers: Processes that load and transform images; 0 does it in the training process, None is one
            per core, at most 4.
        seed: Seed of the draw of the validation images.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range; in ``setup``: a folder is missing or holds no images, or the two
            folders differ in classes.
    """

    # ImageNet's, as is usual for photographs.
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        data_dir: str | Path,
        image_size: int | None = 64,
        batch_size: int = 128,
        augmentation_multiplier: float = 1.0,
        pruning_ratio: float = 0.0,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, augmentation_multiplier, pruning_ratio, None, num_workers, seed)
        self.data_dir = data_dir
        self.image_size = image_size
        self._require_valid_images()

    @override
    def load(self, train: bool) -> tuple[Dataset[Any], Tensor]:
        has_test = (Path(self.data_dir) / "test").is_dir()
        if not train and not has_test:
            nothing = torch.empty(0, dtype=torch.long)
            return TensorDataset(nothing, nothing), nothing
        dataset = self._folder("train" if train else "test")
        if has_test:
            self._require_equal_classes()
        return dataset, torch.tensor(dataset.targets)

    def _folder(self, name: str) -> Any:
        folder = Path(self.data_dir) / name
        try:
            return torchvision.datasets.ImageFolder(folder)
        except OSError as error:
            raise ValueError(
                f"data_dir must hold images in {name}/<class>/, got data_dir={str(self.data_dir)!r}: {error}"
            ) from error

    def _require_equal_classes(self) -> None:
        train, test = (
            sorted(entry.name for entry in (Path(self.data_dir) / name).iterdir() if entry.is_dir())
            for name in ("train", "test")
        )
        if train != test:
            differing = sorted({*train} ^ {*test})
            raise ValueError(
                f"train/ and test/ in data_dir={str(self.data_dir)!r} must hold the same classes, but only one has "
                f"{differing}"
            )
