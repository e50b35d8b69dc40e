"""The arms of the oracle: the full recipe, and the same switched at an epoch that was chosen beforehand."""

from collections.abc import Sequence
from typing import Any

from lightning_critperiod.studies.arm import Arm

FULL = "full"
RULE = "rule"
"""In place of an epoch: the one at which the config's own rule fires in the full run of the same seed."""

POINTS = 8


def default_epochs(max_epochs: int) -> list[int]:
    """At most eight epochs evenly over the run, neither its first nor its end.

    Args:
        max_epochs: Length of the run.

    Returns:
        The epochs, in order.

    >>> default_epochs(20), default_epochs(3)
    ([2, 4, 7, 9, 11, 13, 16, 18], [1, 2])
    """
    grid = {round(max_epochs * point / (POINTS + 1)) for point in range(1, POINTS + 1)}
    return sorted(epoch for epoch in grid if 0 < epoch < max_epochs)


def full() -> Arm:
    """The full recipe to the end, with the config's own signal measured."""
    rule = {"class_path": "lightning_critperiod.Never"}
    return Arm(FULL, {"critical_period": {"observe_only": False, "rule": rule}}, "The full recipe to the end.")


def switch(epoch: int | str, annealing: float = 0.0) -> Arm:
    """The full recipe until an epoch, then what the config says, with the full one again in the last part.

    Args:
        epoch: The first one after the switch, or ``RULE``.
        annealing: The part of the remaining epochs that has the full recipe again.

    Returns:
        The arm; the same choice has the same name.
    """
    where = epoch if isinstance(epoch, str) else f"epoch-{epoch}"
    words = "where the rule fires" if isinstance(epoch, str) else f"at epoch {epoch}"
    overrides = {
        "observe_only": False,
        "rule": {"class_path": "lightning_critperiod.AtEpoch", "init_args": {"epoch": epoch}},
        "recipe": {"annealing_fraction": annealing},
    }
    name = f"{where}-annealing-{annealing:g}" if annealing else where
    return Arm(name, {"critical_period": overrides}, f"Switched {words}, annealing fraction {annealing:g}.")


def choice(arm: Arm) -> dict[str, Any]:
    """The choice that an arm is made from.

    Returns:
        ``epoch`` and ``annealing`` as ``switch`` takes them; empty for the full recipe.
    """
    changes = arm.overrides["critical_period"]
    if "recipe" not in changes:
        return {}
    return {"epoch": changes["rule"]["init_args"]["epoch"], "annealing": changes["recipe"]["annealing_fraction"]}


def grid(epochs: Sequence[int], annealing: Sequence[float], at: int | None) -> list[Arm]:
    """All arms of a study, each once, the full recipe first.

    Args:
        epochs: The epochs of the switch, without annealing.
        annealing: Fractions; none is what they are compared with, so that it is always there.
        at: Where they switch; None is where the rule fires.

    Returns:
        The arms.
    """
    place = RULE if at is None else at
    annealed = [switch(place, fraction) for fraction in sorted({0.0, *annealing})] if annealing else []
    arms = [full(), *(switch(epoch) for epoch in sorted(epochs)), *annealed]
    return list({arm.name: arm for arm in arms}.values())
