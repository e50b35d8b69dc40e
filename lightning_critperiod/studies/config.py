"""The config of a study: read once, refused where no study can be made of it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml  # type: ignore[import-untyped]
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.changes import DeclaredVolume
from lightning_critperiod.recipe import Volume
from lightning_critperiod.studies.metric import Metric, Mode, Monitor, find_metric
from lightning_critperiod.studies.plan import Plan
from lightning_critperiod.studies.quiet import quiet
from lightning_critperiod.studies.sources import Sources

Cli = Callable[..., Any]
"""LightningCLI with our callbacks: called with the arguments of a command line, and ``run=False`` to parse only."""

# A config that LightningCLI saved for `fit` holds its arguments too.
_OF_FIT = ("ckpt_path", "weights_only")
_NOT_WRITTEN = "Unable to serialize instance"
"""What jsonargparse writes in place of a value that it cannot write."""


@dataclass(frozen=True)
class Config:
    """What a study needs to know of its config.

    Args:
        sources: Its files.
        text: All of it in one, defaults included.
        notes: What differs from what ``fit`` would do with it.
        plan: What the arms are made from.
        monitors: What its callbacks watch.
    """

    sources: Sources
    text: str
    notes: list[str]
    plan: Plan
    monitors: list[Monitor]

    @property
    def name(self) -> str:
        """The name of its last file."""
        return self.sources.name

    @property
    def observes(self) -> bool:
        """Whether its callback is told to change nothing."""
        return bool(yaml.safe_load(self.text)["critical_period"]["observe_only"])

    def metric(self, name: str, mode: Mode | None) -> Metric:
        """The metric of a study of this config; a ValueError asks for its direction where that is not known."""
        return find_metric(name, mode, self.monitors)


def read(sources: Sources, cli: Cli, over: Sequence[Path] = ()) -> Config:
    """Parse a config.

    Args:
        sources: Its files.
        cli: Parses them.
        over: Files of ours that go over them.

    Returns:
        The config; a ValueError says why no study can be made of it.
    """
    with ExitStack() as stack:
        pairs = zip(sources.files, sources.layers, strict=True)
        layers = [_as_fit_layer(file, source, stack) for file, source in pairs] + list(over)
        stack.enter_context(quiet())
        parsed = cli([argument for layer in layers for argument in ("--config", str(layer))], run=False)
    _check(sources, parsed)
    notes = _let_it_act(parsed)
    text = _as_text(parsed)
    monitors = _monitors(parsed.trainer.callbacks)
    plan = _plan(parsed, yaml.safe_load(text), monitors)
    return Config(sources, text, notes, plan, monitors)


def _as_text(parsed: Any) -> str:
    with quiet():  # of the warnings for what cannot be written
        found = yaml.safe_load(parsed.parser.dump(parsed.config, skip_none=False))
    text: str = yaml.safe_dump(_writable(found), sort_keys=False)
    return text


def _writable(node: Any) -> Any:
    """Without the defaults that YAML cannot hold, such as a torch.device: their class gives them again."""
    if isinstance(node, list):
        return [_writable(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _writable(value) for key, value in node.items() if not _is_lost(value)}


def _is_lost(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_NOT_WRITTEN)


def _as_fit_layer(file: Path, source: dict[str, Any], stack: ExitStack) -> Path:
    """The file itself, or a copy without what only ``fit`` takes."""
    if not any(key in source for key in _OF_FIT):
        return file
    copy = Path(stack.enter_context(TemporaryDirectory()), file.name)
    text = yaml.safe_dump({key: value for key, value in source.items() if key not in _OF_FIT}, sort_keys=False)
    copy.write_text(text, encoding="utf-8")
    return copy


def _check(sources: Sources, parsed: Any) -> None:
    """Refuse what no study can be made of."""
    name, trainer = sources.name, parsed.trainer
    if not parsed.has_test_set:
        raise ValueError(f"{name}: the data must have a test set (test_dataloader), runs are compared on it")
    if not is_overridden("test_step", parsed.model):
        raise ValueError(f"{name}: the model must have a test_step that logs the metric, runs are compared by it")
    if trainer.fast_dev_run:
        raise ValueError(f"{name}: fast_dev_run leaves no records to compare")
    if any(isinstance(callback, CriticalPeriodCallback) for callback in trainer.callbacks):
        raise ValueError(
            f"{name}: trainer.callbacks lists a CriticalPeriodCallback, where no arm can change it: write its "
            f"arguments under critical_period{f' in a --config, and take it out of {name}' if sources.build else ''}"
        )
    if trainer.max_epochs is None or trainer.max_epochs < 1:
        raise ValueError(f"{name}: trainer.max_epochs must be the number of epochs of a run, got {trainer.max_epochs}")


def _let_it_act(parsed: Any) -> list[str]:
    """A callback with neither rule nor recipe only observes, and a study of it would compare nothing.

    Returns:
        What to say of it.
    """
    callback: CriticalPeriodCallback = parsed.config_init["critical_period"]
    if parsed.config["critical_period"]["observe_only"] is not None or not callback.observe_only:
        return []
    parsed.config["critical_period"]["observe_only"] = False
    return [
        "Neither a rule nor a recipe is given, so in a fit the callback would only observe. Here it acts: "
        f"{callback.rule}, then {callback.recipe.after}."
    ]


def _monitors(callbacks: Sequence[Any]) -> list[Monitor]:
    watching = [c for c in callbacks if isinstance(c, EarlyStopping | ModelCheckpoint) and c.monitor is not None]
    return [Monitor(type(c).__name__, str(c.monitor), "max" if c.mode == "max" else "min") for c in watching]


def _plan(parsed: Any, config: dict[str, Any], monitors: Sequence[Monitor]) -> Plan:
    callback: CriticalPeriodCallback = parsed.config_init["critical_period"]
    declares = DeclaredVolume.is_declared(parsed.datamodule)
    declared = DeclaredVolume(parsed.datamodule).volume if declares else Volume()
    return Plan(
        max_epochs=parsed.trainer.max_epochs,
        recipe=replace(callback.recipe, during=callback.recipe.during or declared),
        # As the config has them: the objects do not tell how a class of the user's own was made.
        signal=config["critical_period"]["signal"],
        rule=config["critical_period"]["rule"],
        changes=(config["critical_period"]["recipe"] or {}).get("changes") or (),
        monitor=next(iter(monitors), Monitor("EarlyStopping", "val_loss", "min")),
    )
