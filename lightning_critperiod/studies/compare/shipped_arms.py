"""The ready-made arms of a comparison, and arms of the user's own in YAML files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightning_critperiod.studies.arm import Arm, with_present_paths
from lightning_critperiod.studies.compare.quantities import KNOWN, OF_OURS, SPENT

FOLDER = Path(__file__).parent / "arms"
OURS = "ours"


def shipped() -> list[str]:
    """The names of the ready-made arms."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def make(name: str, overrides: dict[str, Any], description: str) -> Arm:
    """An arm of a comparison.

    Args:
        name: Of the arm.
        overrides: Of the config; quantities by ``$name``.
        description: In words.

    Returns:
        The arm.

    Raises:
        ValueError: A quantity is unknown.
    """
    arm = Arm(name, with_present_paths(overrides), description)
    unknown = sorted(arm.quantities - set(KNOWN))
    if unknown:
        raise ValueError(f"arm {name!r}: ${unknown[0]} is not known, expected one of ${', $'.join(KNOWN)}")
    return Arm(name, arm.overrides, description, bool(arm.quantities & set(SPENT)))


def follows_ours(arm: Arm) -> bool:
    """Whether the arm can only run when the arm ``ours`` of its seed has run."""
    return bool(arm.quantities & set(OF_OURS))


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
    if not arms:
        raise ValueError(f"arms must name at least one arm, expected some of {', '.join(shipped())}")
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise ValueError(f"arms must have different names, got {twice[0]!r} twice")
    followers = [arm.name for arm in arms if follows_ours(arm)]
    if followers and OURS not in seen:
        raise ValueError(f"arm {followers[0]!r} takes its budget from what 'ours' drew: add ours to the arms")
    return sorted(arms, key=lambda arm: arm.name != OURS)


def _read(name: str) -> Arm:
    file = FOLDER / f"{name}.yaml" if name in shipped() else Path(name)
    if file.suffix not in {".yaml", ".yml"} or not file.is_file():
        raise ValueError(f"unknown arm {name!r}: expected a YAML file or one of {', '.join(shipped())}")
    text = file.read_text(encoding="utf-8")
    overrides = yaml.safe_load(text) or {}
    if not isinstance(overrides, dict):
        raise ValueError(f"arm {name!r} must hold overrides of a config, got {overrides!r}")
    first = text.partition("\n")[0]
    return make(file.stem, overrides, first.lstrip("# ") if first.startswith("#") else "")
