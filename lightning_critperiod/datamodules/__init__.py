"""Image data for the configs and notebooks; each datamodule declares a volume by its two attributes."""

from lightning_critperiod.datamodules.base import ImageDataModule
from lightning_critperiod.datamodules.digits import Digits
from lightning_critperiod.datamodules.downloaded import CIFAR10, CIFAR100, FashionMNIST
from lightning_critperiod.datamodules.image_folder import ImageFolder

__all__ = ["CIFAR10", "CIFAR100", "Digits", "FashionMNIST", "ImageDataModule", "ImageFolder"]
