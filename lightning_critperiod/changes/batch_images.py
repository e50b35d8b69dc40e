"""The images in a training batch: which they are, and the same batch with smaller ones."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_critperiod.changes.batch_parts import Key, described, leaves, part, parts

WHO = "GrowingImages"
Images = Tensor | list[Tensor]

_PLACES = {"boxes", "bboxes", "bbox", "masks", "keypoints"}
"""Names of targets whose numbers are places in the image."""


def find_key(batch: Any) -> Key:
    """Where the one image tensor of a batch is.

    Returns:
        Its index, key or attribute; None if the batch is the image tensor.

    Raises:
        ValueError: There is none, or more than one.
    """
    if isinstance(batch, Tensor):
        return None
    found = [key for key, value in parts(batch) if _is_image(value)]
    if len(found) != 1:
        what = "none" if not found else "several, at " + ", ".join(map(repr, found))
        raise ValueError(
            "GrowingImages needs to know which part of a batch is the image, a tensor (N, C, H, W) of floats or uint8, "
            f"and found {what} in {described(batch)}: give key=, the index, key or attribute of the one to resize."
        )
    return found[0]


def images_at(batch: Any, key: Key) -> Images:
    """The images of a batch.

    Returns:
        A tensor, or a list of them, such as two views.

    Raises:
        ValueError: The batch has no such key, or what is there is no image.
    """
    value = part(batch, key, WHO)
    images = list(value) if isinstance(value, list | tuple) else [value]
    if not images or not all(map(_is_image, images)):
        raise ValueError(
            f"GrowingImages needs images, a tensor (N, C, H, W) of floats or uint8, got {described(value)}"
            + ("." if key is None else f" at key={key!r}.")
        )
    return images if isinstance(value, list | tuple) else images[0]


def shorter_side(images: Images) -> int:
    """Pixels of the shorter side, of several views that of the largest."""
    return max(min(view.shape[-2:]) for view in ([images] if isinstance(images, Tensor) else images))


def check_targets(batch: Any, key: Key, images: Images) -> None:
    """Refuse, by a ValueError, a batch in which more than the images would have to be resized."""
    views = [images] if isinstance(images, Tensor) else images
    shapes = {(len(view), *view.shape[-2:]) for view in views}
    for name, value in leaves(batch):
        same = value.ndim > 2 and (len(value), *value.shape[-2:]) in shapes and not any(value is view for view in views)
        if same or name in _PLACES:
            raise ValueError(
                f"GrowingImages resizes the images of a batch and no target, but {name!r} with shape "
                f"{tuple(value.shape)} would have to be resized too: leave GrowingImages out of segmentation and "
                "detection, and change the size in the data pipeline, by Phased."
            )


def resized(images: Images, size: int) -> Images:
    """Images whose shorter side has ``size`` pixels, bilinear and antialiased; those that are no larger stay.

    Args:
        images: Tensors (N, C, H, W).
        size: Pixels.

    Returns:
        Tensors (N, C, h, w) of the same type, on the same device, with h / w as near to H / W as whole pixels allow.
    """
    if not isinstance(images, Tensor):
        return [_resized(view, size) for view in images]
    return _resized(images, size)


def _resized(images: Tensor, size: int) -> Tensor:
    height, width = images.shape[-2:]
    if size >= min(height, width):
        return images
    scale = size / min(height, width)
    shape = (round(height * scale), round(width * scale))
    exact = images.dtype in {torch.float32, torch.float64}
    small = interpolate(images if exact else images.float(), shape, mode="bilinear", antialias=True)
    if not images.is_floating_point():
        small = small.round()
    return small if exact else small.to(images.dtype)


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and (value.is_floating_point() or value.dtype == torch.uint8)
