"""The parts of a training batch: what is where, and the same batch with another part."""

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def as_keys(name: str, key: Any) -> list[Key]:
    """One key as an argument, or several: a list whose elements are all lists. Refuse what can't be that."""
    lists = [isinstance(each, list | tuple) for each in key] if isinstance(key, list | tuple) else []
    if any(lists) and not all(lists):
        raise TypeError(
            f"{name} must be one path into a batch, such as ['labelled', 0], or a list of paths, such as "
            f"[['labelled', 0], ['unlabelled']], got {key!r}, which mixes both."
        )
    keys = [as_key(name, each) for each in key] if any(lists) else [as_key(name, key)]
    for first, second in itertools.permutations(keys, 2):
        if isinstance(first, tuple) and isinstance(second, tuple) and first == second[: len(first)]:
            raise ValueError(
                f"{name} names {list(second)} twice, as {list(first)} is named too: leave one of them out."
            )
    return keys


def as_path(key: Key) -> tuple[int | str, ...]:
    """All that leads to a part."""
    return () if key is None else key if isinstance(key, tuple) else (key,)


def as_argument(keys: Iterable[Key]) -> str:
    """Several keys, as somebody would write them."""
    return repr([list(as_path(key)) for key in keys])


def part(batch: Any, key: Key, who: str) -> Any:
    """What is at a key.

    Args:
        batch: Of the user.
        key: Where.
        who: The class that asks, for the message.

    Returns:
        It; the batch itself at None. What is in None is None: a CombinedLoader has that for a loader at its end.

    Raises:
        ValueError: The batch has no such key.
    """
    if key is None or batch is None:
        return batch
    if isinstance(key, tuple):
        return functools.reduce(lambda found, each: part(found, each, who), key, batch)
    inside = {} if isinstance(batch, Tensor) else batch  # its attributes, such as real, are no parts
    try:
        by_key = isinstance(inside, Mapping) or (isinstance(key, int) and isinstance(inside, Sequence))
        return inside[key] if by_key else getattr(inside, str(key))
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
