"""The recommended recipe as YAML for any LightningCLI, and as Python for a project without one."""

from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightning_critperiod.studies.compare.levers.recommendation import FULL, Recommendation, recommend
from lightning_critperiod.studies.rows import TWIN, Studied, Summary

RECIPE = "recommended.yaml"
LINES = "recommended.py"
FILES = (RECIPE, LINES)
"""A project without a config has only the second."""
CALLBACK = "lightning_critperiod.CriticalPeriodCallback"
DATACLASSES = {"recipe": "Recipe", "during": "Volume", "after": "Volume", "cooldown": "Cooldown"}
"""Arguments that a config gives without a ``class_path`` -> their class in ``lightning_critperiod``."""


def recommended(summary: Summary, studied: Studied, build: str | None = None) -> dict[str, str]:
    """The files of a recommendation.

    Args:
        summary: Of a comparison.
        studied: Its runs.
        build: The import path of the project's own function, where that makes the runs.

    Returns:
        Name -> content; nothing where nothing is recommended.
    """
    found = recommend(summary)
    if found is None:
        return {}
    run, full = (next(iter(studied[arm].values())) for arm in (found.arm, FULL))
    given = settings(found, run.filled, full.record.run.max_epochs or 0)
    if build is not None:
        return {LINES: as_lines_of(build, given, found.why[0])}
    return {RECIPE: as_yaml(given, found.why[0]), LINES: as_python(given, found.why[0])}


def settings(found: Recommendation, filled: Mapping[str, Any], max_epochs: int) -> dict[str, Any]:
    """What a recipe changes in a config.

    Args:
        found: The recommendation.
        filled: What its arm changes in the config of the study, every quantity filled in.
        max_epochs: The length of the full recipe.

    Returns:
        ``max_epochs`` and ``callbacks`` of a Trainer.
    """
    trainer = filled.get("trainer") or {}
    if found.arm == FULL or found.arm.startswith(TWIN):
        return {"max_epochs": found.max_epochs or max_epochs, "callbacks": []}
    ours = {"class_path": CALLBACK, "init_args": dict(filled["critical_period"])}
    return {"max_epochs": trainer.get("max_epochs", max_epochs), "callbacks": [*trainer.get("callbacks+", []), ours]}


def as_yaml(given: Mapping[str, Any], why: str) -> str:
    """A config to be given after the project's own, or pasted into it.

    Args:
        given: Of ``settings``.
        why: What it is.

    Returns:
        YAML; its callbacks are added to those of the project.
    """
    trainer = {"max_epochs": given["max_epochs"], **({"callbacks+": given["callbacks"]} if given["callbacks"] else {})}
    text: str = yaml.safe_dump({"trainer": trainer}, sort_keys=False)
    return f"# {why}\n{text}"


def as_python(given: Mapping[str, Any], why: str) -> str:
    """The same in Python."""
    calls, imports = _calls_and_imports(given)
    callbacks = "".join(f"    {call},\n" for call in calls)
    body = f"callbacks = [\n{callbacks}]\ntrainer = L.Trainer(max_epochs={given['max_epochs']}, callbacks=callbacks)\n"
    body = body if calls else f"trainer = L.Trainer(max_epochs={given['max_epochs']})\n"
    gap = "\n" if imports else ""
    why = f"# {why}\n# Your other callbacks and arguments of Trainer stay.\n"
    return f"{why}import lightning as L\n{gap}{imports}\n{body}"


def as_lines_of(build: str, given: Mapping[str, Any], why: str) -> str:
    """What goes into the function ``build``, in Python."""
    calls, imports = _calls_and_imports(given)
    arguments, body = '"max_epochs": max_epochs', f"max_epochs = {given['max_epochs']}\n"
    if calls:
        listed = "".join(f"        {call},\n" for call in calls)
        body = f"{imports}\n{body}\n\ndef callbacks():\n    return [\n{listed}    ]\n"
        arguments += ', "callbacks": [..., *callbacks()]'
    where = f"# For {build}, where ... are your own callbacks and other arguments of Trainer:"
    return f"# {why}\n{where}\n#     Trainer(**{{..., {arguments}, **overrides}})\n{body}"


def _calls_and_imports(given: Mapping[str, Any]) -> tuple[list[str], str]:
    """The callbacks as calls, and the lines that import their classes."""
    rooms: dict[str, set[str]] = {}
    for path in _classes(given["callbacks"]):
        room, _, name = path.rpartition(".")
        rooms.setdefault(room, set()).add(name)
    lines = (f"from {room} import {', '.join(sorted(names))}\n" for room, names in sorted(rooms.items()))
    return [_call(callback) for callback in given["callbacks"]], "".join(lines)


def _call(given: Mapping[str, Any]) -> str:
    """``class_path`` and ``init_args`` as a call."""
    return f"{given['class_path'].rpartition('.')[2]}({_arguments(given.get('init_args') or {})})"


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(name, value)}" for name, value in given.items())


def _value(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return _call(value) if "class_path" in value else f"{DATACLASSES[name]}({_arguments(value)})"
    if isinstance(value, list):
        return f"[{', '.join(_value(name, item) for item in value)}]"
    return repr(value)


def _classes(given: Any, name: str = "") -> list[str]:
    """The import paths of all classes in it."""
    if isinstance(given, list):
        return [path for item in given for path in _classes(item, name)]
    if not isinstance(given, dict):
        return []
    own = given.get("class_path") or (f"lightning_critperiod.{DATACLASSES[name]}" if name in DATACLASSES else None)
    return [*([own] if own else []), *(path for key, item in given.items() for path in _classes(item, key))]
