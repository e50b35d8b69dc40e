"""The parts of a training batch: what is where, and the same batch with another part."""

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from torch import Tensor

Key = int | str | tuple[int | str, ...] | None
"""Where a part is: a key of a dict, an index of a tuple, an attribute; several lead into a nested batch. None is the
whole batch."""


def as_key(name: str, key: Any) -> Key:
    """A key as an argument, in which a list is as good as a tuple; refuse, by a TypeError, what can't be one."""
    path = key if isinstance(key, list | tuple) else [] if key is None else [key]
    if key == [] or key == () or not all(isinstance(each, int | str) and not isinstance(each, bool) for each in path):
        raise TypeError(
            f"{name} must be a key, index or attribute of a batch, a list of them that leads into a nested batch, or "
            f"None, got {key!r}"
        )
    return tuple(key) if isinstance(key, list) else key


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
    if isinstance(key, tuple):
        return functools.reduce(lambda found, each: part(found, each, who), key, batch)
    try:
        by_key = isinstance(batch, Mapping) or (isinstance(key, int) and isinstance(batch, Sequence))
        return batch[key] if by_key else getattr(batch, str(key))
    except (KeyError, IndexError, AttributeError):
        raise ValueError(f"{who}(key={key!r}) is not in the batch, which is {described(batch)}.") from None


def with_part(batch: Any, key: Key, value: Any) -> Any:
    """A copy of a batch with another value at a key; the rest is the same objects."""
    if key is None or key == ():
        return value
    if isinstance(key, tuple):
        first, *rest = key
        return with_part(batch, first, with_part(part(batch, first, ""), tuple(rest), value))
    if isinstance(batch, tuple):
        place = batch._fields.index(key) if isinstance(key, str) else range(len(batch))[key]  # type: ignore[attr-defined]
        values = [value if i == place else each for i, each in enumerate(batch)]
        return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)
    other = copy.copy(batch)
    if isinstance(other, Mapping | Sequence):
        other[key] = value  # type: ignore[index]
    else:
        _set(other, str(key), value)
    return other


def _set(batch: Any, name: str, value: Any) -> None:
    try:
        setattr(batch, name, value)
    except AttributeError:  # a frozen dataclass, say; this one is a copy that nobody knows
        object.__setattr__(batch, name, value)


def parts(batch: Any) -> list[tuple[int | str, Any]]:
    """The keys of a batch, and what is there."""
    if isinstance(batch, Mapping):
        return list(batch.items())
    if isinstance(batch, list | tuple):
        return list(enumerate(batch))
    if callable(batch) or isinstance(batch, Enum):  # a class, a function or a constant is no part of the data
        return []
    if hasattr(batch, "__dict__"):
        return list(vars(batch).items())
    return [(field.name, getattr(batch, field.name)) for field in fields(batch)] if is_dataclass(batch) else []


def leaves(
    value: Any, path: tuple[int | str, ...] = (), around: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[int | str, ...], Tensor]]:
    """Every tensor of a batch, with the keys that lead to it; ``around`` is what it is in, which it may refer to."""
    if isinstance(value, Tensor):
        yield path, value
    elif not any(value is each for each in around):
        for key, each in parts(value):
            yield from leaves(each, (*path, key), (*around, value))


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A copy of a batch in which every tensor is what ``change`` returns for it."""
    if isinstance(value, Tensor):
        return change(value)
    for key, each in parts(value):
        if any(leaves(each)):
            value = with_part(value, key, mapped(each, change))
    return value


def described(value: Any, around: tuple[Any, ...] = ()) -> str:
    """The shapes and types in a batch, in words; ``around`` is what it is in, which it may refer to."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    inside = [] if any(value is each for each in around) else parts(value)
    found = [f"{key!r}: {described(each, (*around, value))}" for key, each in inside]
    return f"{type(value).__name__} of {', '.join(found)}" if found else type(value).__name__
