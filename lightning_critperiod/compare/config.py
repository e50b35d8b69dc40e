"""The config of a comparison: read once, refused where no comparison can be made of it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from lightning.pytorch.utilities.model_helpers import is_overridden

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.changes import DeclaredVolume
from lightning_critperiod.compare.plan import Plan
from lightning_critperiod.compare.quiet import quiet
from lightning_critperiod.recipe import Volume
from lightning_critperiod.rules import Rule

Cli = Callable[..., Any]
"""LightningCLI with our callbacks: called with the arguments of a command line, and ``run=False`` to parse only."""


@dataclass(frozen=True)
class Config:
    """What a comparison needs to know of its config.

    Args:
        name: Of the last file.
        sources: The files as read from YAML, to tell it from another one.
        text: All of it in one, defaults included.
        seed: The first of the seeds.
        margin: Non-inferiority margin in points of accuracy, if it states one.
        plan: What the arms are made from.
    """

    name: str
    sources: list[Any]
    text: str
    seed: int
    margin: float | None
    plan: Plan


def read(files: Sequence[Path], cli: Cli) -> Config:
    """Read a config, in one file or in layers.

    Args:
        files: The later one counts.
        cli: Parses it.

    Returns:
        The config.

    Raises:
        ValueError: It has no seed or no test set, leaves no records, or has its callback where no arm can change it.
    """
    with quiet():
        parsed = cli([argument for file in files for argument in ("--config", str(file))], run=False)
    config, name = parsed.config, files[-1].stem
    sources = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    # The parsed config has a seed drawn by lot where the files have none.
    seed = next((source["seed_everything"] for source in reversed(sources) if "seed_everything" in source), None)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"{name}: seed_everything must be a number, to be the first of the seeds, got {seed!r}")
    if parsed.datamodule is None or not is_overridden("test_dataloader", parsed.datamodule):
        raise ValueError(f"{name}: the data must have a test set (test_dataloader), accuracy is compared on it")
    if parsed.trainer.fast_dev_run:
        raise ValueError(f"{name}: fast_dev_run leaves no records to compare")
    if any(isinstance(callback, CriticalPeriodCallback) for callback in parsed.trainer.callbacks):
        raise ValueError(
            f"{name}: trainer.callbacks lists a CriticalPeriodCallback, where no arm can change it: write its "
            "arguments under critical_period"
        )
    text = parsed.parser.dump(config, skip_none=False)
    return Config(name, sources, text, seed, config["margin"], _plan(parsed))


def _plan(parsed: Any) -> Plan:
    callback = parsed.config_init["critical_period"]
    declares = DeclaredVolume.is_declared(parsed.datamodule)
    declared = DeclaredVolume(parsed.datamodule).volume if declares else Volume()
    return Plan(
        max_epochs=parsed.trainer.max_epochs,
        full=callback.recipe.during or declared,
        after=callback.recipe.after,
        rule=_as_config(callback.rule),
    )


def _as_config(rule: Rule) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if dataclasses.is_dataclass(rule):
        arguments = {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    return {"class_path": f"{type(rule).__module__}.{type(rule).__qualname__}", "init_args": arguments}
