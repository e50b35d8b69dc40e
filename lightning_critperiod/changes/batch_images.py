"""The images in a training batch: which they are, and the same batch with smaller ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_critperiod.changes.batch_parts import (
    Key,
    as_argument,
    as_path,
    described,
    leaves,
    mapped,
    part,
    with_part,
)

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
    found: list[Key] = [path[0] if len(path) == 1 else path for path, value in leaves(batch) if _is_image(value)]
    if len(found) != 1:
        what = "none" if not found else "several, at " + ", ".join(map(repr, found))
        several = f", or key={as_argument(found)} if all of these are images to resize" if found else ""
        raise ValueError(
            "GrowingImages needs to know which part of a batch is the image, a tensor (N, C, H, W) of floats or uint8, "
            f"and found {what} in {described(batch)}: give key=, the index, key or attribute of the one to "
            f"resize{several}."
        )
    return found[0]


def images_at(batch: Any, keys: Sequence[Key]) -> dict[Key, Any]:
    """The images of a batch; refuse, by a ValueError, keys that it does not have, and what is no image.

    Returns:
        Key -> a tensor, or a collection of them, such as two views. A key at which the batch has None is left out.
    """
    found = {key: images for key in keys if (images := _part(batch, key, keys)) is not None}
    for key, images in found.items():
        _check_images(images, key)
    return found


def _part(batch: Any, key: Key, keys: Sequence[Key]) -> Any:
    try:
        return part(batch, key, WHO)
    except ValueError as error:
        if len(keys) > 1 or not isinstance(key, tuple) or len(key) < 2:
            raise
        raise ValueError(
            f"{error} A flat list such as key={list(key)} is one path, which leads to {key[1]!r} inside {key[0]!r}. To "
            f"name several parts of the batch give a list of lists: key={as_argument(key)}."
        ) from None


def _check_images(images: Any, key: Key) -> None:
    start = as_path(key)
    tensors = [((*start, *path), _is_image(each)) for path, each in leaves(images)]
    alone = [path for path, is_image in tensors if is_image]
    if not alone or len(alone) < len(tensors):
        where = "" if key is None else f" at key={list(key) if isinstance(key, tuple) else key!r}"
        raise ValueError(
            f"GrowingImages needs images, a tensor (N, C, H, W) of floats or uint8, got {described(images)}{where}"
            + (f": name the images alone, key={as_argument(alone)}." if alone else ".")
        )


def full_size(images: Mapping[Key, Any]) -> int:
    """The size of the images at all keys of the first batch.

    Returns:
        Pixels of the shorter side; 0 if there are none.

    Raises:
        ValueError: They differ from key to key.
    """
    sizes = {key: shorter_side(each) for key, each in images.items()}
    if len(set(sizes.values())) > 1:
        got = ", ".join(f"{size} px at {list(as_path(key))}" for key, size in sizes.items())
        raise ValueError(
            f"key={as_argument(sizes)} must name images of one size, measured by their shorter sides, got {got}: name "
            "those of one size only, or change the sizes in the data pipeline instead, by Phased."
        )
    return max(sizes.values(), default=0)


def shorter_side(images: Any) -> int:
    """Pixels of the shorter side, of several views that of the largest; 0 if there are none."""
    return max((min(view.shape[-2:]) for _, view in leaves(images)), default=0)


def check_place(batch: Any, images: Mapping[Key, Any]) -> None:
    """Refuse, by a ValueError, images that can't be replaced in a copy of their batch."""
    for key, each in images.items():
        try:
            with_part(batch, key, each)
        except Exception as error:  # whatever the user's class raises
            raise ValueError(
                f"GrowingImages puts smaller images at key={as_argument([key])} of a copy of the batch, which is "
                f"{described(batch)}, and that fails ({error}): name a place that can be set."
            ) from error


def check_targets(batch: Any, images: Mapping[Key, Any]) -> None:
    """Refuse, by a ValueError, a batch in which more than the images would have to be resized."""
    views = [view for _, view in leaves(images)]
    shapes = {(len(view), *view.shape[-2:]) for view in views}
    for path, value in leaves(batch):
        if any(value is view for view in views):
            continue
        names = [each for each in path if each in _PLACES]
        if names or any(_lies_on(value, shape) for shape in shapes):
            where = names[-1] if names else path[0] if len(path) == 1 else list(path)
            is_another = not names and _is_image(value) and shorter_side(value) == shorter_side(images)
            raise ValueError(
                f"GrowingImages resizes the images of a batch and nothing else, but {where!r} with shape "
                f"{tuple(value.shape)} would have to be resized too, as in segmentation, detection or a batch of "
                "several data sets: change the size in the data pipeline instead, by Phased"
                + (f", or give key={as_argument([*images, path])} if it is an image too." if is_another else ".")
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
