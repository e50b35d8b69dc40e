"""The images in a training batch: which they are, and the same batch with smaller ones."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Key = int | str | None
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
    found = [key for key, value in _parts(batch) if _is_image(value)]
    if len(found) != 1:
        what = "none" if not found else "several, at " + ", ".join(map(repr, found))
        raise ValueError(
            "GrowingImages needs to know which part of a batch is the image, a tensor (N, C, H, W) of floats or uint8, "
            f"and found {what} in {_described(batch)}: give key=, the index, key or attribute of the one to resize."
        )
    return found[0]


def images_at(batch: Any, key: Key) -> Images:
    """The images of a batch.

    Returns:
        A tensor, or a list of them, such as two views.

    Raises:
        ValueError: The batch has no such key, or what is there is no image.
    """
    value = batch if key is None else _get(batch, key)
    images = list(value) if isinstance(value, list | tuple) else [value]
    if not images or not all(map(_is_image, images)):
        raise ValueError(
            f"GrowingImages needs images, a tensor (N, C, H, W) of floats or uint8, got {_described(value)}"
            + ("." if key is None else f" at key={key!r}.")
        )
    return images if isinstance(value, list | tuple) else images[0]


def with_images(batch: Any, key: Key, images: Images) -> Any:
    """A copy of a batch with other images; the rest is the same objects."""
    if key is None:
        return images
    if isinstance(batch, tuple):
        place = batch._fields.index(key) if isinstance(key, str) else range(len(batch))[key]  # type: ignore[attr-defined]
        parts = [images if i == place else part for i, part in enumerate(batch)]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    other = copy.copy(batch)
    if isinstance(other, Mapping | Sequence):
        other[key] = images  # type: ignore[index]
    else:
        setattr(other, str(key), images)
    return other


def shorter_side(images: Images) -> int:
    """Pixels of the shorter side, of several views that of the largest."""
    return max(min(view.shape[-2:]) for view in ([images] if isinstance(images, Tensor) else images))


def check_targets(batch: Any, key: Key, images: Images) -> None:
    """Refuse, by a ValueError, a batch in which more than the images would have to be resized."""
    views = [images] if isinstance(images, Tensor) else images
    shapes = {(len(view), *view.shape[-2:]) for view in views}
    for name, value in _leaves(batch):
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


def _parts(batch: Any) -> list[tuple[int | str, Any]]:
    if isinstance(batch, Mapping):
        return list(batch.items())
    if isinstance(batch, list | tuple):
        return list(enumerate(batch))
    return list(vars(batch).items()) if hasattr(batch, "__dict__") else []


def _get(batch: Any, key: Any) -> Any:
    try:
        by_key = isinstance(batch, Mapping) or (isinstance(key, int) and isinstance(batch, Sequence))
        return batch[key] if by_key else getattr(batch, str(key))
    except (KeyError, IndexError, AttributeError):
        raise ValueError(f"GrowingImages(key={key!r}) is not in the batch, which is {_described(batch)}.") from None


def _leaves(value: Any, name: Any = "the batch") -> Iterator[tuple[Any, Tensor]]:
    """Every tensor of a batch, with the key or index by which it is reached."""
    if isinstance(value, Tensor):
        yield name, value
    else:
        for key, part in _parts(value):
            yield from _leaves(part, key)


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    parts = [f"{key!r}: {_described(part)}" for key, part in _parts(value)]
    return f"{type(value).__name__} of {', '.join(parts)}" if parts else type(value).__name__
