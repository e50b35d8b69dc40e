"""The parts of a training batch: what is where, and the same batch with another part."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

Key = int | str | None
"""Where a part is: a key of a dict, an index of a tuple, an attribute. None is the whole batch."""


def require_key(name: str, key: Any) -> None:
    """Refuse, by a TypeError, what can't be a key."""
    if isinstance(key, bool) or not isinstance(key, Key):
        raise TypeError(f"{name} must be a key, index or attribute of a batch, or None, got {key!r}")


def part(batch: Any, key: Key, who: str) -> Any:
    """What is at a key.

    Args:
        batch: Of the user.
        key: Where.
        who: The class that asks, for the message.

    Returns:
        It; the batch itself at None.

    Raises:
        ValueError: The batch has no such key.
    """
    if key is None:
        return batch
    try:
        by_key = isinstance(batch, Mapping) or (isinstance(key, int) and isinstance(batch, Sequence))
        return batch[key] if by_key else getattr(batch, str(key))
    except (KeyError, IndexError, AttributeError):
        raise ValueError(f"{who}(key={key!r}) is not in the batch, which is {described(batch)}.") from None


def with_part(batch: Any, key: Key, value: Any) -> Any:
    """A copy of a batch with another value at a key; the rest is the same objects."""
    if key is None:
        return value
    if isinstance(batch, tuple):
        place = batch._fields.index(key) if isinstance(key, str) else range(len(batch))[key]  # type: ignore[attr-defined]
        values = [value if i == place else each for i, each in enumerate(batch)]
        return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)
    other = copy.copy(batch)
    if isinstance(other, Mapping | Sequence):
        other[key] = value  # type: ignore[index]
    else:
        setattr(other, str(key), value)
    return other


def parts(batch: Any) -> list[tuple[int | str, Any]]:
    """The keys of a batch, and what is there."""
    if isinstance(batch, Mapping):
        return list(batch.items())
    if isinstance(batch, list | tuple):
        return list(enumerate(batch))
    return list(vars(batch).items()) if hasattr(batch, "__dict__") else []


def leaves(value: Any, name: Any = "the batch") -> Iterator[tuple[Any, Tensor]]:
    """Every tensor of a batch, with the key or index by which it is reached."""
    if isinstance(value, Tensor):
        yield name, value
    else:
        for key, each in parts(value):
            yield from leaves(each, key)


def described(value: Any) -> str:
    """The shapes and types in a batch, in words."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    found = [f"{key!r}: {described(each)}" for key, each in parts(value)]
    return f"{type(value).__name__} of {', '.join(found)}" if found else type(value).__name__
