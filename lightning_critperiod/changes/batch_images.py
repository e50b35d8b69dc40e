"""The images in a training batch: which they are, and the same batch with smaller ones."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_critperiod.changes.batch_parts import Key, described, leaves, mapped, part

WHO = "GrowingImages"

_PLACES = {"boxes", "bboxes", "bbox", "masks", "keypoints"}
"""Names of targets whose numbers are places in the image."""

_SCALES, _LEAST = (2, 4), 8
"""By which a target map is coarser or finer than the image, and its least side: a smaller one may be a matrix."""


def find_key(batch: Any) -> Key:
    """Where the one image tensor of a batch is.

    Returns:
        Its index, key or attribute, or several that lead to it; None if the batch is the image tensor.

    Raises:
        ValueError: There is none, or more than one.
    """
    if isinstance(batch, Tensor):
        return None
    found = [path[0] if len(path) == 1 else path for path, value in leaves(batch) if _is_image(value)]
    if len(found) != 1:
        what = "none" if not found else "several, at " + ", ".join(map(repr, found))
        raise ValueError(
            "GrowingImages needs to know which part of a batch is the image, a tensor (N, C, H, W) of floats or uint8, "
            f"and found {what} in {described(batch)}: give key=, the index, key or attribute of the one to resize. "
            "Several views of a sample must be in one list or dict there, such as [[first, second], label]."
        )
    return found[0]


def images_at(batch: Any, key: Key) -> Any:
    """The images of a batch.

    Returns:
        A tensor, or a collection of them, such as two views.

    Raises:
        ValueError: The batch has no such key, or what is there is no image.
    """
    images = part(batch, key, WHO)
    found = [_is_image(each) for _, each in leaves(images)]
    if not found or not all(found):
        raise ValueError(
            f"GrowingImages needs images, a tensor (N, C, H, W) of floats or uint8, got {described(images)}"
            + ("." if key is None else f" at key={key!r}.")
        )
    return images


def shorter_side(images: Any) -> int:
    """Pixels of the shorter side, of several views that of the largest."""
    return max(min(view.shape[-2:]) for _, view in leaves(images))


def check_targets(batch: Any, images: Any) -> None:
    """Refuse, by a ValueError, a batch in which more than the images would have to be resized."""
    views = [view for _, view in leaves(images)]
    shapes = {(len(view), *view.shape[-2:]) for view in views}
    for path, value in leaves(batch):
        if any(value is view for view in views):
            continue
        names = [each for each in path if each in _PLACES]
        if names or any(_lies_on(value, shape) for shape in shapes):
            where = names[-1] if names else path[0] if len(path) == 1 else list(path)
            raise ValueError(
                f"GrowingImages resizes the images of a batch and nothing else, but {where!r} with shape "
                f"{tuple(value.shape)} would have to be resized too, as in segmentation, detection or a batch of "
                "several data sets: change the size in the data pipeline instead, by Phased."
            )


def resized(images: Any, size: int) -> Any:
    """Images whose shorter side has ``size`` pixels, bilinear and antialiased; those that are no larger stay.

    Args:
        images: A tensor (N, C, H, W), or a collection of them.
        size: Pixels.

    Returns:
        The same with (N, C, h, w), of the same type, on the same device, with h / w as near to H / W as whole pixels
        allow.
    """
    return mapped(images, lambda each: _resized(each, size))


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


def _lies_on(value: Tensor, shape: tuple[int, int, int]) -> bool:
    """Whether the numbers of a target belong to places in images of shape (N, height, width)."""
    number, height, width = shape
    if value.ndim < 3 or len(value) != number:
        return False
    found = tuple(value.shape[-2:])
    scaled = {pair for n in _SCALES for pair in ((height // n, width // n), (height * n, width * n))}
    return found == (height, width) or (min(found) >= _LEAST and found in scaled)


def _is_image(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and (value.is_floating_point() or value.dtype == torch.uint8)
