"""Overrides on single objects that are gone when they are undone."""

from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class _Layer:
    target: Any
    name: str
    had: bool
    before: Any


_LAYERS: dict[tuple[int, str], list[_Layer]] = {}
"""The overrides in place of an attribute of an object, the latest last; a layer keeps its object alive."""


class Overrides:
    """Attributes put on instances, never on classes, and taken off again.

    What an instance got from its class is visible again after ``undo``; what it had of its own is put back. Several may
    override one attribute and be undone in any order.
    """

    def __init__(self) -> None:
        self._ours: list[_Layer] = []

    def put(self, target: Any, name: str, value: Any) -> None:
        """Put ``value`` on the instance until ``undo``."""
        own = vars(target)
        layer = _Layer(target, name, name in own, own.get(name))
        _LAYERS.setdefault((id(target), name), []).append(layer)
        self._ours.append(layer)
        own[name] = value

    def undo(self) -> None:
        """Take every override off, the latest first. Doing it twice does nothing more."""
        while self._ours:
            layer = self._ours.pop()
            key = id(layer.target), layer.name
            layers = _LAYERS[key]
            _take_off(layer, layers)
            if not layers:
                del _LAYERS[key]


def _take_off(layer: _Layer, layers: list[_Layer]) -> None:
    position = layers.index(layer)
    del layers[position]
    if position < len(layers):  # another one lies on top: it puts back what we would have
        layers[position].had, layers[position].before = layer.had, layer.before
    elif layer.had:
        vars(layer.target)[layer.name] = layer.before
    else:
        vars(layer.target).pop(layer.name, None)
