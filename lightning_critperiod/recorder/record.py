"""The record of a run, collected from its trainer: plain Python values, for the report.

Keys: ``format``, ``status`` ("running", "completed", "interrupted"), ``error``, ``run``, ``decision`` (None without
CriticalPeriodCallback), ``epochs`` (one dict each), ``measured`` and ``projected`` (None without CostMonitor),
``observed`` (what an observed run would have cost under its recipe, else None), ``metrics``, ``hardware``,
``versions``, ``config``.
"""

import dataclasses
import importlib.metadata
import math
import os
import platform
from collections.abc import Callable
from typing import Any

import torch

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.costs import CostMonitor, EpochCosts, project
from lightning_critperiod.report import FORMAT, Record
from lightning_critperiod.rules import Lines

PACKAGES = ("lightning-critperiod", "torch", "lightning", "pytorch-lightning", "codecarbon")


def collect(trainer: Any, status: str, error: str | None = None, config: str | None = None) -> Record:
    """Everything that the report of a run says.

    Args:
        trainer: During or after ``fit``; its callbacks are looked at.
        status: "running", "completed" or "interrupted".
        error: What interrupted it.
        config: The run's configuration as text.

    Returns:
        The record; metrics of the test are added later.
    """
    callback = next((c for c in trainer.callbacks if isinstance(c, CriticalPeriodCallback)), None)
    monitor = next((c for c in trainer.callbacks if isinstance(c, CostMonitor)), None)
    return {
        "format": FORMAT,
        "status": status,
        "error": error,
        "run": _run(trainer),
        "decision": None if callback is None else _decision(callback, trainer.max_epochs),
        "epochs": _epochs(callback, monitor),
        "measured": None if monitor is None else _measured(monitor),
        "projected": None if callback is None or monitor is None else _full_recipe(callback, monitor),
        "observed": None if callback is None or monitor is None else _observed(callback, monitor, trainer.max_epochs),
        "metrics": {"validation": {} if monitor is None else dict(monitor.validation_metrics), "test": {}},
        "hardware": _hardware(trainer, monitor),
        "versions": _versions(),
        "config": config,
    }


def _run(trainer: Any) -> dict[str, Any]:
    seed = os.environ.get("PL_GLOBAL_SEED")
    return {
        "model": type(trainer.lightning_module).__name__,
        "max_epochs": trainer.max_epochs,
        "epochs_done": int(trainer.fit_loop.epoch_progress.current.processed),
        "steps": int(trainer.global_step),
        "processes": trainer.world_size,
        "nodes": trainer.num_nodes,
        "precision": str(trainer.precision),
        "seed": None if seed is None else int(seed),
    }


def _decision(callback: CriticalPeriodCallback, max_epochs: int) -> dict[str, Any]:
    finished = max(callback.history, default=-1) + 1 if callback.end_epoch is None else callback.end_epoch
    asked = {epoch: callback.history.get(epoch, math.nan) for epoch in range(finished)}
    return {
        "signal": callback.signal.name,
        "rule": str(callback.rule),
        "rule_name": type(callback.rule).__name__,
        "rule_arguments": _plain_fields(callback.rule),
        "lines": _plain_lines(callback.rule.lines(asked, max_epochs)),
        "recipe": dataclasses.asdict(callback.recipe),
        "lr_policy": callback.lr_policy,
        "observe_only": callback.observe_only,
        "full_volume": dataclasses.asdict(callback.full_volume),
        "end_epoch": callback.end_epoch,
        "reason": callback.reason,
    }


def _plain_lines(lines: Lines) -> dict[str, list[tuple[float, float]]]:
    """As JSON has them: a rule of the user's own may say NaN, or NumPy's numbers, which must cost no report."""
    plain = {label: [(float(x), float(y)) for x, y in line] for label, line in lines.items()}
    finite = {label: [point for point in line if all(map(math.isfinite, point))] for label, line in plain.items()}
    return {label: line for label, line in finite.items() if line}


def _plain_fields(rule: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(rule):
        return {}
    fields = {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    return {
        name: value for name, value in fields.items() if value is None or isinstance(value, bool | int | float | str)
    }


def _epochs(callback: CriticalPeriodCallback | None, monitor: CostMonitor | None) -> list[dict[str, Any]]:
    costs = {} if monitor is None else monitor.epochs
    decided = [] if callback is None else [*callback.history, *callback.volumes]
    found = []
    for number in sorted({*costs, *decided}):
        epoch = dataclasses.asdict(costs.get(number, EpochCosts(number)))
        logged = epoch["metrics"].items()
        epoch["metrics"] = {name: value for name, value in logged if not name.startswith("critical_period/")}
        found.append(epoch if callback is None else {**epoch, **_of_epoch(callback, number)})
    return found


def _of_epoch(callback: CriticalPeriodCallback, epoch: int) -> dict[str, Any]:
    volume, end = callback.volumes.get(epoch), callback.end_epoch
    value = callback.history.get(epoch, math.nan)
    phase = "during" if end is None or epoch < end or callback.observe_only else "after"
    if phase == "after" and volume == callback.full_volume != callback.recipe.after:
        phase = "annealing"
    return {
        "signal": value if math.isfinite(value) else None,
        # The rule was asked after every epoch until it fired.
        "over": end is not None and epoch + 1 >= end,
        "volume": None if volume is None else dataclasses.asdict(volume),
        "phase": phase,
    }


def _measured(monitor: CostMonitor) -> dict[str, Any]:
    costs, energy = monitor.costs, monitor.energy
    return {
        **dataclasses.asdict(costs),
        "samples": sum(epoch.samples for epoch in monitor.epochs.values()),
        "seconds_by_phase": monitor.seconds,
        "energy_by_part": None if energy is None else dataclasses.asdict(energy),
        "price_per_kwh": monitor.price_per_kwh,
        "price_per_hour": monitor.price_per_hour,
        "country_iso_code": monitor.country_iso_code,
        "region": monitor.region,
        "obtained": dict(monitor.obtained),
    }


def _full_recipe(callback: CriticalPeriodCallback, monitor: CostMonitor) -> dict[str, Any] | None:
    full = callback.full_volume
    had_it = [e for e in monitor.epochs if callback.volumes.get(e, full) == full]
    basis = f"from the seconds per sample of the {len(had_it)} epochs that had the full recipe"
    if not had_it:
        basis = "from the seconds per sample of epochs at another volume, as none had the full recipe"
    return _projected(callback, monitor, lambda _: full.fraction, had_it or list(monitor.epochs), basis)


def _observed(callback: CriticalPeriodCallback, monitor: CostMonitor, max_epochs: int) -> dict[str, Any] | None:
    if not callback.observe_only or callback.end_epoch is None:
        return None
    recipe = dataclasses.replace(callback.recipe, during=callback.recipe.during or callback.full_volume)
    basis = "from the seconds per sample of this run, at its own volume"

    def fraction(epoch: int) -> float:
        return recipe.volume(epoch, callback.end_epoch, max_epochs).fraction

    return _projected(callback, monitor, fraction, list(monitor.epochs), basis)


def _projected(
    callback: CriticalPeriodCallback,
    monitor: CostMonitor,
    fraction: Callable[[int], float],
    reference: list[int],
    basis: str,
) -> dict[str, Any] | None:
    costs, epochs = monitor.costs, monitor.epochs
    if not any(epoch.samples for epoch in epochs.values()):
        return None
    projection = project(monitor.seconds, epochs.values(), _samples(callback, epochs, fraction), reference)
    share = projection.total / costs.seconds
    return {
        "samples": projection.samples,
        "seconds": projection.total,
        "seconds_low": projection.low,
        "seconds_high": projection.high,
        "seconds_by_phase": projection.seconds,
        "epochs_projected": projection.epochs,
        "energy_kwh": None if costs.energy_kwh is None else costs.energy_kwh * share,
        "co2_kg": None if costs.co2_kg is None else costs.co2_kg * share,
        "money": None if costs.money is None else costs.money * share,
        "basis": basis,
    }


def _samples(
    callback: CriticalPeriodCallback, epochs: dict[int, EpochCosts], fraction: Callable[[int], float]
) -> dict[int, int]:
    """What every epoch would have drawn at k (1 - r) = fraction: as much as those that did, else in proportion."""
    had = {e: callback.volumes.get(e, callback.full_volume).fraction for e in epochs}
    whole: dict[float, int] = {}
    for e, epoch in epochs.items():
        whole[had[e]] = max(epoch.samples, whole.get(had[e], 0))
    samples = {}
    for e, epoch in epochs.items():
        wanted = fraction(e)
        is_whole = epoch.samples == whole[had[e]] and wanted in whole
        in_proportion = round(epoch.samples * wanted / had[e])
        samples[e] = epoch.samples if had[e] == wanted else whole[wanted] if is_whole else in_proportion
    return samples


def _hardware(trainer: Any, monitor: CostMonitor | None) -> dict[str, Any]:
    device = trainer.strategy.root_device
    found = {"device": str(device), "platform": platform.platform(), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        found["card"] = torch.cuda.get_device_name(device)
    metered = {} if monitor is None else monitor.hardware
    names = {"cpu_model": "processor", "cpu_count": "logical processors", "ram_total_size": "memory in GB"}
    return {**found, **{name: _rounded(metered[key]) for key, name in names.items() if metered.get(key) is not None}}


def _rounded(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
