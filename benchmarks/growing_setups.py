"""What the study of `GrowingImages` trains on what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pool import Pool, pool

from lightning_critperiod.datamodules import CIFAR10, CIFAR100, FashionMNIST


@dataclass(frozen=True)
class Setup:
    """What is trained on what.

    Args:
        data: The datamodule.
        depth: Of the residual network.
        classes: In the data.
        channels: Of an image.
        sizes: Pixels of a side, the full one last.
        images: For training.
        precision: Of the Trainer.
    """

    data: Any
    depth: int
    classes: int
    channels: int
    sizes: tuple[int, int, int]
    images: int = 2_000
    precision: Any = "32-true"


FAST = "bf16-mixed"
"""A step takes two thirds of the time on a CPU that has it; in every arm of the set-ups that were added later."""
SETUPS = {
    "fashion, ResNet-8": Setup(FashionMNIST, 8, 10, 1, (14, 21, 28)),
    "cifar10, ResNet-8": Setup(CIFAR10, 8, 10, 3, (16, 24, 32)),
    "cifar100, ResNet-8": Setup(pool(CIFAR100), 8, 100, 3, (16, 24, 32), 3_000, FAST),
    "fashion, ResNet-20": Setup(FashionMNIST, 20, 10, 1, (14, 21, 28), precision=FAST),
    "cifar10, ResNet-20": Setup(CIFAR10, 20, 10, 3, (16, 24, 32), precision=FAST),
    "cifar100, ResNet-20": Setup(pool(CIFAR100), 20, 100, 3, (16, 24, 32), 3_000, FAST),
}
FIRST = list(SETUPS)[:2]


def data_of(setup: Setup, batch: int, seed: int, root: Path) -> Any:
    options = {"batch_size": batch, "train_samples": setup.images, "num_workers": 0, "seed": seed}
    if issubclass(setup.data, Pool):
        datamodule = setup.data(augmentation_multiplier=1, pruning_ratio=0.0, **options)
        datamodule.file = root / "headline" / "CIFAR-100.npz"
        return datamodule
    return setup.data(root / "fashion-mnist" if setup.data is FashionMNIST else root, **options)
