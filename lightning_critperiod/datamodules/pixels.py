"""The size and the scale of images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2  # type: ignore[import-untyped]

to_tensor = v2.PILToTensor()  # leaves tensors alone


class Normalise:
    """Float images of uint8 images: (image / 255 - mean) / standard deviation, by channel.

    Args:
        mean: The mean of each channel, for images in [0, 1].
        std: Standard deviation of each channel.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        means, deviations = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
        self._scale, self._shift = (1 / 255 / deviations).float(), (means / deviations).float()

    def __call__(self, images: Tensor) -> Tensor:
        """Images [batch, channels, height, width] as float32."""
        return (images * self._scale).sub_(self._shift)


def square(images: Any, size: int | None) -> Any:
    """Images whose shorter side is made ``size`` pixels long (bilinear, antialiased) and whose centre is cut out.

    Args:
        images: uint8 tensor [..., channels, height, width], or one image of Pillow's.
        size: Pixels of a side. None leaves the images as they are.

    Returns:
        The same kind of images, ``size`` by ``size``.
    """
    if size is None or v2.functional.get_size(images) == [size, size]:
        return images
    return v2.functional.center_crop(v2.functional.resize(images, [size]), [size, size])
