"""Overrides on single objects that are gone when they are undone."""

from typing import Any


class Overrides:
    """Attributes put on instances, never on classes, and taken off again.

    What an instance got from its class is visible again after ``undo``; what it had of its own is put back.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, bool, Any]] = []

    def put(self, target: Any, name: str, value: Any) -> None:
        """Put ``value`` on the instance until ``undo``."""
        own = vars(target)
        self._before.append((target, name, name in own, own.get(name)))
        own[name] = value

    def undo(self) -> None:
        """Take every override off, the latest first. Doing it twice does nothing more."""
        while self._before:
            target, name, had, value = self._before.pop()
            if had:
                vars(target)[name] = value
            else:
                vars(target).pop(name, None)
