"""An arm of a study: overrides of its config, with ``$names`` for what only the runs themselves can tell."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_MOVED = ("lightning_critperiod.compare.", "lightning_critperiod.studies.baselines.")


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Args:
        name: Unique in its study.
        overrides: What it changes in the config, as read from YAML. A value ``$name`` stands for a quantity.
        description: What it does, in words.
        equal_cost: Whether it costs as much as the arm that it follows.
        budget: In what: "samples", "flops" or "seconds".
        follows: The arm whose runs say what this one may spend, if its quantities come from one.
    """

    name: str
    overrides: dict[str, Any]
    description: str
    equal_cost: bool = False
    budget: str = "samples"
    follows: str = "ours"

    @property
    def quantities(self) -> set[str]:
        """The names of the quantities in the overrides."""
        return {value[1:] for value in _values(self.overrides) if isinstance(value, str) and value[:1] == "$"}

    def filled(self, quantity: Callable[[str], Any]) -> dict[str, Any]:
        """The overrides with every ``$name`` replaced by what ``quantity`` answers for the name."""
        filled: dict[str, Any] = _replaced(self.overrides, lambda v: quantity(v[1:]) if v[:1] == "$" else v)
        return filled


def with_present_paths(overrides: Any) -> Any:
    """Overrides with the class paths of today, from a record or a file that has those of version 0.1."""
    old, new = _MOVED
    return _replaced(overrides, lambda value: new + value.removeprefix(old) if value.startswith(old) else value)


def _values(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _values(child)
    else:
        yield node


def _replaced(node: Any, value: Callable[[str], Any]) -> Any:
    """The same nested values with every string replaced by what ``value`` makes of it."""
    if isinstance(node, dict):
        return {key: _replaced(child, value) for key, child in node.items()}
    if isinstance(node, list):
        return [_replaced(child, value) for child in node]
    return value(node) if isinstance(node, str) else node
