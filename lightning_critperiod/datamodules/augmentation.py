"""The paper's augmentation of a whole batch at once, each image by random numbers of its own."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2  # type: ignore[import-untyped]

from lightning_critperiod.data import seeded

DEGREES = 15.0
SHIFT = 0.1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Augmentation:
    """Random rotation by up to 15 degrees, shift by up to 10% of a side, and flip.

    Source: Fukase et al. 2025, arXiv 2506.15954.

    Args:
        flip: Whether half of the images are mirrored.
        randaugment_magnitude: Apply RandAugment (Cubuk et al. 2020, arXiv 1909.13719; two operations) of this
            magnitude, from 0 to 30, before that. It works image by image and takes many times as long. None: no.
    """

    flip: bool
    randaugment_magnitude: int | None = None

    @property
    def works_one_by_one(self) -> bool:
        """Whether it takes as long for one image of many as for one alone."""
        return self.randaugment_magnitude is not None

    def __call__(self, images: Tensor, views: NDArray[np.uint64], samples: NDArray[np.uint64]) -> Tensor:
        """Views of images, each a function of the image, the number of its view and that of the sample.

        Args:
            images: uint8 tensor [n, channels, height, width].
            views: uint64 [n].
            samples: uint64 [n].

        Returns:
            uint8 tensor [n, channels, height, width].
        """
        numbers = random_numbers(views, samples, 5)
        if self.randaugment_magnitude is not None:
            randaugment = v2.RandAugment(magnitude=self.randaugment_magnitude)
            seeds = (numbers[:, 4] * 2**53).astype(np.int64).tolist()
            images = torch.stack([_with_seed(*each, randaugment) for each in zip(seeds, images, strict=True)])
        return moved(images, random_moves(numbers, images.shape[-2], images.shape[-1], self.flip))


def _with_seed(seed: int, image: Tensor, randaugment: v2.RandAugment) -> Tensor:
    with seeded(seed):
        return randaugment(image)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Moves:
    """What happens to each image of a batch.

    Args:
        degrees: How far it is turned about its centre, clockwise, float64 [n].
        pixels: How far it is shifted then, right and down, whole numbers in float64 [n, 2].
        mirrored: Whether left and right are exchanged at the end, bool [n].
    """

    degrees: NDArray[np.float64]
    pixels: NDArray[np.float64]
    mirrored: NDArray[np.bool_]


def random_numbers(views: NDArray[np.uint64], samples: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """Numbers that look random and are a function of a view and a sample, whatever batch the sample is in.

    Hashes of 64 bits (the finalizer of SplitMix64, Steele, Lea & Flood 2014), of which the upper 53 are used.

    Args:
        views: Any number for each sample, uint64 [n].
        samples: The samples' own numbers, uint64 [n].
        count: How many random numbers each sample gets.

    Returns:
        Uniform in [0, 1), float64 [n, count].
    """
    keys = _hashed(_hashed(views) ^ samples)[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    return (_hashed(keys) >> np.uint64(11)) / 2**53


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def random_moves(numbers: NDArray[np.float64], height: int, width: int, flip: bool) -> Moves:
    """Rotations by up to 15 degrees, shifts by up to 10% of a side in whole pixels, and a flip with probability 1/2.

    The distribution is that of torchvision's ``RandomAffine(15, translate=(0.1, 0.1))`` and ``RandomHorizontalFlip()``.

    Args:
        numbers: Uniform in [0, 1), float64 [n, 4].
        height: The height of the images, in pixels.
        width: The width of the images, in pixels.
        flip: Whether images are mirrored at all.

    Returns:
        The moves of n images.
    """
    symmetric = 2 * numbers - 1
    pixels = np.rint(symmetric[:, 1:3] * (SHIFT * width, SHIFT * height))
    return Moves(DEGREES * symmetric[:, 0], pixels, (symmetric[:, 3] < 0) & flip)


def moved(images: Tensor, moves: Moves) -> Tensor:
    """Turned, shifted and mirrored images, as torchvision does it to one image.

    That is ``affine(image, degrees, pixels, scale=1, shear=[0, 0], BILINEAR, fill=[0])`` and ``horizontal_flip``.

    Args:
        images: uint8 tensor [n, channels, height, width].
        moves: The moves of n images.

    Returns:
        uint8 tensor [n, channels, height, width].
    """
    n, _, height, width = images.shape
    grid = _pixels(height, width).expand(n, -1, -1).bmm(_back(moves, height, width)).view(n, height, width, 2)
    inside = functional.pad(images.float(), (0, 0, 0, 0, 0, 1), value=1.0)  # one more channel
    sampled = functional.grid_sample(inside, grid, align_corners=False)
    # What comes from outside is black, and torchvision blends the edge into it once more.
    return (sampled[:, :-1] * sampled[:, -1:]).round_().to(torch.uint8)


def _back(moves: Moves, height: int, width: int) -> Tensor:
    """From where in an image, -1 to 1, a pixel (x, y, 1) of the moved one comes: float32 matrices [n, 3, 2]."""
    angle = np.radians(moves.degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    right, down = moves.pixels.T
    matrices = np.empty((len(angle), 3, 2), np.float32)
    matrices[:, 0, 0], matrices[:, 0, 1] = cos, -sin
    matrices[:, 1, 0], matrices[:, 1, 1] = sin, cos
    matrices[:, 2, 0], matrices[:, 2, 1] = -cos * right - sin * down, sin * right - cos * down
    matrices /= np.array([0.5 * width, 0.5 * height], np.float32)
    matrices[moves.mirrored, 0] *= -1
    return torch.from_numpy(matrices)


@lru_cache(maxsize=8)
def _pixels(height: int, width: int) -> Tensor:
    """The pixels of an image as (x, y, 1) from its centre, float32 [1, height * width, 3]."""
    x = torch.linspace((1 - width) / 2, (width - 1) / 2, width).expand(height, width)
    y = torch.linspace((1 - height) / 2, (height - 1) / 2, height)[:, None].expand(height, width)
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).view(1, -1, 3)
