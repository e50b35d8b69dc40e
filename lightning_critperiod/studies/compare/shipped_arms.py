"""The ready-made arms of a comparison, and arms of the user's own in YAML files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_critperiod.studies.arm import Arm, with_present_paths
from lightning_critperiod.studies.compare.quantities import BUDGETED, KNOWN, OF_OURS, SPENT
from lightning_critperiod.studies.compare.spent import BUDGETS, in_words
from lightning_critperiod.studies.yaml_file import read_yaml

FOLDER = Path(__file__).parent / "arms"
OURS, FULL = "ours", "full"


def shipped() -> list[str]:
    """The names of the ready-made arms."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def make(name: str, overrides: dict[str, Any], description: str) -> Arm:
    """An arm of a comparison.

    Args:
        name: The name of the arm; behind an "@" what its budget is in, if that is not samples, or which arm it has
            the FLOPs of, if that is not ours.
        overrides: The overrides of the config; quantities by ``$name``.
        description: What it does, in words.

    Returns:
        The arm.

    Raises:
        ValueError: A quantity is unknown.
    """
    arm = Arm(name, with_present_paths(overrides), description)
    unknown = sorted(arm.quantities - set(KNOWN))
    if unknown:
        raise ValueError(f"arm {name!r}: ${unknown[0]} is not known, expected one of ${', $'.join(KNOWN)}")
    budget, follows = _budget(name) if arm.quantities & set(BUDGETED) else ("samples", OURS)
    return Arm(name, arm.overrides, description, bool(arm.quantities & set(SPENT)), budget, follows)


def _budget(name: str) -> tuple[str, str]:
    """In what an arm may spend, and as much as which one."""
    _, behind, last = name.rpartition("@")
    if not behind:
        return "samples", OURS
    return (last, OURS) if last in BUDGETS else ("flops", last)


def with_budget(arm: Arm, budget: str) -> Arm:
    """The arm with a budget in something else than samples, which its name then says; an arm without one as it is."""
    if budget == "samples" or arm.budget != "samples" or not arm.quantities & set(BUDGETED):
        return arm
    description = f"{arm.description} Its budget is in {in_words(budget)}."
    return replace(arm, name=f"{arm.name}@{budget}", description=description, budget=budget)


def is_follower(arm: Arm) -> bool:
    """Whether the arm can only run when the arm that it follows has run with its seed."""
    return bool(arm.quantities & set(OF_OURS))


def find(names: Iterable[str], budget: str = "samples") -> list[Arm]:
    """The arms of these names, in this order.

    Args:
        names: Each one of ``shipped()``, or the path of a YAML file of overrides; ``@flops``, ``@seconds`` or
            ``@samples`` behind it says what the budget of this one is in.
        budget: What the budgets of the others are in.

    Returns:
        The arms; ``ours`` comes first wherever another one follows it.

    Raises:
        ValueError: A name is unknown, two arms have one name, an arm without a budget is given one, or ``ours`` or
            ``full`` is missing where an arm follows it.
    """
    arms = [_of_budget(name, budget) for name in names]
    seen = [arm.name for arm in arms]
    if not arms:
        raise ValueError(f"arms must name at least one arm, expected some of {', '.join(shipped())}")
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise ValueError(f"arms must have different names, got {twice[0]!r} twice")
    followers = [arm for arm in arms if is_follower(arm) and arm.follows not in seen]
    if followers:
        name, followed = followers[0].name, followers[0].follows
        raise ValueError(f"arm {name!r} takes its budget from what {followed!r} drew: add {followed} to the arms")
    dear = [arm for arm in arms if arm.budget != "samples"]
    if dear and FULL not in seen:
        raise ValueError(
            f"arm {dear[0].name!r} takes its length from what a sample of 'full' costs: add full to the arms"
        )
    return sorted(arms, key=lambda arm: arm.name != OURS)


def _of_budget(name: str, budget: str) -> Arm:
    stem, _, own = name.rpartition("@")
    if own not in BUDGETS:
        return with_budget(read_arm(name), budget)
    arm = read_arm(stem)
    if not arm.quantities & set(BUDGETED):
        raise ValueError(f"arm {arm.name!r} has no budget that could be in another unit: got {name!r}")
    return with_budget(arm, own)


def read_arm(name: str) -> Arm:
    """The arm of a name.

    Args:
        name: One of ``shipped()``, or the path of a YAML file of overrides whose first line may say what it does.

    Returns:
        The arm.

    Raises:
        ValueError: There is no such arm.
    """
    file = FOLDER / f"{name}.yaml" if name in shipped() else Path(name)
    if file.suffix not in {".yaml", ".yml"} or not file.is_file():
        raise ValueError(f"unknown arm {name!r}: expected a YAML file or one of {', '.join(shipped())}")
    overrides = read_yaml(file, "overrides of a config")
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return make(file.stem, overrides, first.lstrip("# ") if first.startswith("#") else "")
