"""An arm of a comparison: overrides of one config, with ``$names`` for what only the runs themselves can tell."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightning_critperiod.compare.quantities import KNOWN, OF_OURS, SPENT

FOLDER = Path(__file__).parent / "arms"


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Args:
        name: Of the arm; the file's name.
        overrides: What it changes in the config, as read from YAML. A value ``$name`` stands for a quantity.
        description: The file's first comment.
    """

    name: str
    overrides: dict[str, Any]
    description: str

    def __post_init__(self) -> None:
        unknown = sorted(self.quantities - set(KNOWN))
        if unknown:
            raise ValueError(f"arm {self.name!r}: ${unknown[0]} is not known, expected one of ${', $'.join(KNOWN)}")

    @property
    def quantities(self) -> set[str]:
        """The names of the quantities in the overrides."""
        return {value[1:] for value in _values(self.overrides) if isinstance(value, str) and value[:1] == "$"}

    @property
    def follows_ours(self) -> bool:
        """Whether it can only run when the arm ``ours`` of its seed has run."""
        return bool(self.quantities & set(OF_OURS))

    @property
    def equal_cost(self) -> bool:
        """Whether it draws as much as ours did."""
        return bool(self.quantities & set(SPENT))

    def filled(self, quantity: Callable[[str], Any]) -> dict[str, Any]:
        """The overrides with every ``$name`` replaced by what ``quantity`` answers for the name."""
        return {key: _fill(value, quantity) for key, value in self.overrides.items()}


def _values(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _values(child)
    else:
        yield node


def _fill(node: Any, quantity: Callable[[str], Any]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, quantity) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, quantity) for value in node]
    return quantity(node[1:]) if isinstance(node, str) and node[:1] == "$" else node


def shipped() -> list[str]:
    """The names of the arms that are ready-made."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def find(names: Iterable[str]) -> list[Arm]:
    """The arms of these names, in this order.

    Args:
        names: Each one of ``shipped()``, or the path of a YAML file of overrides.

    Returns:
        The arms; ``ours`` comes first wherever another one follows it.

    Raises:
        ValueError: A name is unknown, two arms have one name, or ``ours`` is missing where an arm follows it.
    """
    arms = [_read(name) for name in names]
    seen = [arm.name for arm in arms]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise ValueError(f"arms must have different names, got {twice[0]!r} twice")
    followers = [arm.name for arm in arms if arm.follows_ours]
    if followers and "ours" not in seen:
        raise ValueError(f"arm {followers[0]!r} takes its budget from what 'ours' drew: add ours to the arms")
    return sorted(arms, key=lambda arm: arm.name != "ours")


def _read(name: str) -> Arm:
    file = FOLDER / f"{name}.yaml" if name in shipped() else Path(name)
    if file.suffix not in {".yaml", ".yml"} or not file.is_file():
        raise ValueError(f"unknown arm {name!r}: expected a YAML file or one of {', '.join(shipped())}")
    text = file.read_text(encoding="utf-8")
    overrides = yaml.safe_load(text) or {}
    if not isinstance(overrides, dict):
        raise ValueError(f"arm {name!r} must hold overrides of a config, got {overrides!r}")
    first = text.partition("\n")[0]
    return Arm(file.stem, overrides, first.lstrip("# ") if first.startswith("#") else "")
