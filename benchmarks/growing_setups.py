"""What the study of `GrowingImages` trains on what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_models import small_resnet18
from pool import Pool, pool
from torch import nn

from lightning_critperiod.datamodules import CIFAR10, CIFAR100, FashionMNIST
from lightning_critperiod.models import CifarResNet

PEAK = 0.1
"""Of the learning rate: the best of those that were tried on the development seed, with ResNet-8 and with ResNet-18."""


@dataclass(frozen=True)
class Setup:
    """What is trained on what.

    Args:
        data: The datamodule.
        depth: Of the residual network; 18 is the wide one of ImageNet, with a stem for small images.
        classes: In the data.
        channels: Of an image.
        sizes: Pixels of a side, the full one last.
        images: For training.
        precision: Of the Trainer.
        batch: Images in a batch.
        accelerator: Of the Trainer.
        file: Of the images, as `headline.py pack` writes it; "" is that of the set-up's name.
    """

    data: Any
    depth: int
    classes: int
    channels: int
    sizes: tuple[int, int, int]
    images: int = 2_000
    precision: Any = "32-true"
    batch: int = 32
    accelerator: str = "cpu"
    file: str = ""

    def network(self) -> nn.Module:
        if self.depth == 18:
            return small_resnet18(self.classes).to(memory_format=torch.channels_last)
        return CifarResNet(self.depth, self.classes, self.channels)


FAST = "bf16-mixed"
"""A step takes two thirds of the time on a CPU that has it; in every arm of the set-ups that were added later."""
SETUPS = {
    "fashion, ResNet-8": Setup(FashionMNIST, 8, 10, 1, (14, 21, 28)),
    "cifar10, ResNet-8": Setup(CIFAR10, 8, 10, 3, (16, 24, 32)),
    "cifar100, ResNet-8": Setup(pool(CIFAR100), 8, 100, 3, (16, 24, 32), 3_000, FAST, file="CIFAR-100"),
    "fashion, ResNet-20": Setup(FashionMNIST, 20, 10, 1, (14, 21, 28), precision=FAST),
    "cifar10, ResNet-20": Setup(CIFAR10, 20, 10, 3, (16, 24, 32), precision=FAST),
    "cifar100, ResNet-20": Setup(pool(CIFAR100), 20, 100, 3, (16, 24, 32), 3_000, FAST, file="CIFAR-100"),
    "cifar10, ResNet-18": Setup(pool(CIFAR10), 18, 10, 3, (16, 24, 32), 4_000, FAST, 128, "gpu", file="CIFAR-10 large"),
}
FIRST = list(SETUPS)[:2]


def data_of(setup: Setup, seed: int, root: Path) -> Any:
    options = {"batch_size": setup.batch, "train_samples": setup.images, "num_workers": 0, "seed": seed}
    if issubclass(setup.data, Pool):
        datamodule = setup.data(augmentation_multiplier=1, pruning_ratio=0.0, **options)
        datamodule.file = root / "headline" / f"{setup.file}.npz"
        return datamodule
    return setup.data(root / "fashion-mnist" if setup.data is FashionMNIST else root, **options)
