"""Whether a metric is the better the lower or the higher it is: given, known to the run itself, or by its name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]

from lightning_critperiod.rules.direction import direction

Mode = Literal["min", "max"]
_MODES: dict[object, Mode] = {"min": "min", "max": "max"}
_SETTINGS = ("config.yaml", "hparams.yaml", ".hydra/config.yaml")
_STATE_KEY = re.compile(r"'monitor': '([^']+)', 'mode': '(min|max)'")
_LEVELS_TO_HYDRA = 4
"""A logger writes into <run>/csv/version_0 or so, Hydra into <run>/.hydra."""


def as_mode(value: object) -> Mode | None:
    """The mode that a value names; None if it names none."""
    return _MODES.get(value) if isinstance(value, str) else None


@dataclass(frozen=True)
class Direction:
    """The direction of a metric, and how it is known.

    Args:
        mode: "min" if lower is better, "max" if higher is.
        source: In words that follow "lower is better,".
    """

    mode: Mode
    source: str


@dataclass(frozen=True)
class Given:
    """What the user says about directions.

    Args:
        default: For metrics whose direction is not known otherwise, or the only one that is looked at.
        named: Name of a metric -> its direction.
    """

    default: Mode | None = None
    named: Mapping[str, Mode] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Given":
        """From ``max`` or ``NAME=max``.

        Args:
            texts: One each.

        Returns:
            What they say.

        Raises:
            ValueError: One of them is neither.
        """
        default: Mode | None = None
        named: dict[str, Mode] = {}
        for text in texts:
            name, _, word = text.rpartition("=")
            mode = as_mode(word)
            if mode is None:
                raise ValueError(f"mode must be min, max, NAME=min or NAME=max, got {text!r}")
            if name:
                named[name] = mode
            else:
                default = mode
        return cls(default, named)


NOTHING_GIVEN = Given()


def find_direction(
    name: str, given: Given, of_rule: Mode | None, of_run: Mapping[str, Mode], alone: bool
) -> Direction | None:
    """The direction of a metric, by the best source there is.

    Args:
        name: The name of the metric.
        given: What the user gave.
        of_rule: The mode of the rule that the user gave, if he gave one.
        of_run: What the run itself monitored, with its modes.
        alone: Whether it is the only metric that is looked at.

    Returns:
        None if nothing says it.
    """
    sources: list[tuple[Mode | None, str]] = [
        (given.named.get(name) or (given.default if alone else None), "as --mode says"),
        (of_rule, "as the rule says"),
        (of_run.get(name), "as the run's own callbacks say"),
        (direction(name), "by name"),
        (given.default, "as --mode says"),
    ]
    return next((Direction(mode, source) for mode, source in sources if mode is not None), None)


def modes_of_run(folder: Path, checkpoints: Sequence[Path]) -> dict[str, Mode]:
    """What a run's callbacks monitored: from its configuration, or from what they left in a checkpoint.

    Args:
        folder: The folder of the log.
        checkpoints: The checkpoints of the run.

    Returns:
        Name of a metric -> mode.
    """
    above = [folder, *folder.resolve().parents][:_LEVELS_TO_HYDRA]
    files = [*(folder / name for name in _SETTINGS), *(parent / _SETTINGS[-1] for parent in above[1:])]
    found: dict[str, Mode] = {}
    for file in filter(Path.is_file, files):
        found = {**dict(_monitored(_settings(file))), **found}
    return {**_of_callbacks(checkpoints), **found}


def _settings(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):  # with objects of the user's own, say: then it does not help
        return None


def _monitored(node: Any) -> Iterator[tuple[str, Mode]]:
    """Every ``monitor`` with a ``mode`` beside it, wherever ModelCheckpoint, EarlyStopping or Hydra put them."""
    if isinstance(node, list):
        for value in node:
            yield from _monitored(value)
    elif isinstance(node, dict):
        monitor, mode = node.get("monitor"), as_mode(node.get("mode"))
        if isinstance(monitor, str) and mode is not None:
            yield monitor, mode
        yield from _monitored(list(node.values()))


def _of_callbacks(checkpoints: Sequence[Path]) -> dict[str, Mode]:
    """From the newest checkpoint that can be read. A callback's key there is its name and its settings."""
    for file in reversed(checkpoints):
        from lightning_critperiod.inspection.checkpoints import load  # needs torch

        try:
            keys = load(file).get("callbacks") or {}
        except (OSError, ValueError):
            continue
        return {monitor: mode for key in keys for monitor, mode in _STATE_KEY.findall(str(key))}
    return {}
