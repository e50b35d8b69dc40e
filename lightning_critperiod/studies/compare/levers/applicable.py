"""The levers that apply to a config, found out before anything is trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.compare.levers.rehearsal import Seen, check_metric, rehearse
from lightning_critperiod.studies.compare.quantities import quantity
from lightning_critperiod.studies.compare.shipped_arms import FULL, make, read_arm
from lightning_critperiod.studies.config import Cli, Config
from lightning_critperiod.studies.job import Job
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.plan import Plan
from lightning_critperiod.studies.rows import TWIN

LEVER_ARMS = Path(__file__).parent / "arms"
PLAIN = LEVER_ARMS.with_name("plain.yaml")
"""Takes the critical_period out of a config."""
LEVERS = ("views", "growing", "cooldown", "growing_cooldown")
SMALLEST = 8
"""Pixels of images that can begin at half of their size."""
SHORTEST = 3
"""Epochs in which a cooldown has something before it."""


def applicable(config: Config, metric: Metric, seed: int, cli: Cli) -> tuple[Config, list[Arm]]:
    """Find the levers that apply: by what the config says, and by the first step of a run with each of them.

    Args:
        config: The config without its own critical_period.
        metric: The metric that decides.
        seed: The seed of these first steps.
        cli: Runs ``fit`` and ``test``.

    Returns:
        The config, with the size of its images and with a note for each lever that is left out; and the arms: the full
        recipe, the levers, and a shorter run of the FLOPs of each. What fails in the full recipe itself is raised as it
        is.

    Raises:
        ValueError: The test does not log the metric, or no lever applies.
    """
    full = read_arm(FULL)
    seen = rehearse(_job(config, full, seed), cli)
    check_metric(_job(config, full, seed), cli, metric)
    config = replace(config, plan=replace(config.plan, image_size=seen.image_size))
    levers = {name: _arm(name) for name in LEVERS}
    why_not = {name: _why_not(arm, config, seen, seed, cli) for name, arm in levers.items()}
    left_out = [f"{name} is left out: {why}" for name, why in why_not.items() if why]
    if len(left_out) == len(LEVERS):
        raise ValueError(f"no lever applies to {config.name}: {' '.join(left_out)}")
    kept = [levers[name] for name, why in why_not.items() if not why]
    return replace(config, notes=left_out), [full, *kept, *(_arm("short", TWIN + arm.name) for arm in kept)]


def _arm(file: str, name: str = "") -> Arm:
    found = read_arm(str(LEVER_ARMS / f"{file}.yaml"))
    return make(name or file, found.overrides, found.description)


def _job(config: Config, arm: Arm, seed: int) -> Job:
    filled = arm.filled(lambda name: quantity(name, config.plan, seed, None))
    return Job(config.text, arm.name, seed, arm.overrides, filled)


def _why_not(arm: Arm, config: Config, seen: Seen, seed: int, cli: Cli) -> str:
    """Why a lever does not apply, in a sentence; empty if it does."""
    if why := _BEFOREHAND[arm.name](config.plan, seen):
        return f"{why.rstrip('.')}."
    try:
        rehearse(_job(config, arm, seed), cli)
    except Exception as error:  # whatever it is, the other levers can do without this one
        return f"its first step fails: {' '.join(str(error).split()).rstrip('.')}."
    return ""


def _views(plan: Plan, seen: Seen) -> str:
    multiplier = plan.full.augmentation_multiplier
    return (
        "" if multiplier > 1 else f"the data declare no more than one view of a sample (a multiplier of {multiplier:g})"
    )


def _growing(plan: Plan, seen: Seen) -> str:
    if seen.image_size is None:
        return seen.why_none
    return "" if seen.image_size >= SMALLEST else f"the images have {seen.image_size} px, too few for smaller ones"


def _cooldown(plan: Plan, seen: Seen) -> str:
    return "" if plan.max_epochs >= SHORTEST else f"max_epochs is {plan.max_epochs}, expected {SHORTEST} or more"


_BEFOREHAND: dict[str, Callable[[Plan, Seen], str]] = {
    "views": _views,
    "growing": _growing,
    "cooldown": _cooldown,
    "growing_cooldown": lambda plan, seen: _growing(plan, seen) or _cooldown(plan, seen),
}
"""What is known without a training step."""
