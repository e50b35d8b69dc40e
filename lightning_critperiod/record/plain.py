"""Frozen dataclasses to plain JSON values and back; what has the wrong type is refused by its place in the file."""

import dataclasses
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def encode(value: Any) -> Any:
    """A value as ``json`` reads it back: dataclasses become dicts, tuples become lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: encode(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [encode(part) for part in value]
    return value


def decode(kind: Any, value: Any, place: str) -> Any:
    """The value of a type, from what JSON has of it.

    A field that is missing takes its default, one that the type does not have is ignored: an older file is read, and
    one with additions too.

    Args:
        kind: A dataclass, a scalar type, Literal, None, or a dict, tuple or union of these.
        value: What JSON has.
        place: Where it is, for the message, such as "epochs[3].samples".

    Returns:
        A value of ``kind``. What is of another type, or lacks a field without a default, raises a ValueError.
    """
    parts = get_args(kind)
    if get_origin(kind) in {Union, UnionType}:
        return _one_of(parts, value, place)
    if get_origin(kind) is Literal:
        return _expect(value in parts, value, f"one of {', '.join(map(repr, parts))}", place)
    if dataclasses.is_dataclass(kind):
        return _fields(kind, _expect(isinstance(value, dict), value, "an object", place), place)
    if get_origin(kind) is dict:
        _expect(isinstance(value, dict), value, "an object", place)
        return {key: decode(parts[1], part, f"{place}.{key}") for key, part in value.items()}
    if get_origin(kind) is tuple:
        return _items(parts, _expect(isinstance(value, list | tuple), value, "a list", place), place)
    return _scalar(kind, value, place)


def _one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    if len(kinds) == 1:
        return decode(kinds[0], value, place)
    return _expect(isinstance(value, kinds), value, " or ".join(kind.__name__ for kind in kinds), place)


def _items(kinds: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if kinds[-1] is ...:
        kinds = kinds[:1] * len(value)
    _expect(len(value) == len(kinds), value, f"{len(kinds)} values", place)
    return tuple(
        decode(kind, part, f"{place}[{number}]") for number, (kind, part) in enumerate(zip(kinds, value, strict=True))
    )


def _fields(kind: Any, value: dict[str, Any], place: str) -> Any:
    hints, known = get_type_hints(kind), dataclasses.fields(kind)
    optional = {f.name for f in known if (f.default, f.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)}
    missing = [field.name for field in known if field.name not in value and field.name not in optional]
    if missing:
        raise ValueError(f"{place or 'it'} has no {', '.join(map(repr, missing))}")
    inside = f"{place}." if place else ""
    return kind(**{f.name: decode(hints[f.name], value[f.name], inside + f.name) for f in known if f.name in value})


def _scalar(kind: Any, value: Any, place: str) -> Any:
    number = kind is float and isinstance(value, int) and not isinstance(value, bool)
    right = number or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))
    return kind(_expect(right, value, kind.__name__, place))


def _expect(right: bool, value: Any, expected: str, place: str) -> Any:
    if not right:
        raise ValueError(f"{place or 'it'} must be {expected}, got {value!r:.60}")
    return value
