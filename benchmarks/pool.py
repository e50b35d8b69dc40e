"""Images of a study in one file, as `headline.py pack` writes it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from lightning_critperiod.datamodules.base import ImageDataModule


class Pool(ImageDataModule):
    """Images that `headline.py pack` has put into one file; a fifth of the training images is for validation."""

    val_fraction = 0.2
    file: Path

    def load(self, train: bool) -> tuple[TensorDataset, Tensor]:
        arrays, part = np.load(self.file), "train" if train else "test"
        images = torch.from_numpy(arrays[part])
        images = images.reshape(*images.shape[:3], -1).permute(0, 3, 1, 2).contiguous()
        labels = torch.from_numpy(arrays[f"{part}_labels"].astype(np.int64))
        return TensorDataset(images, labels), labels


def pool(source: Any) -> type[Pool]:
    return type(source.__name__, (Pool,), {"mean": source.mean, "std": source.std})
