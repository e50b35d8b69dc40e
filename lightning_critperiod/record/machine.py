"""What a run ran on: hardware, how its data was loaded, and versions of the software."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from lightning_critperiod.record.run import Setting

PACKAGES = ("lightning-critperiod", "torch", "lightning", "pytorch-lightning", "codecarbon")
_METERED = {"cpu_model": "processor", "cpu_count": "logical processors", "ram_total_size": "memory in GB"}


def hardware(trainer: Any, metered: Mapping[str, Any]) -> dict[str, Setting]:
    """Name -> what the run has of it.

    Args:
        trainer: For its device.
        metered: What the energy meter found.

    Returns:
        Plain values.
    """
    device = trainer.strategy.root_device
    found: dict[str, Setting] = {
        "device": str(device),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        found["card"] = torch.cuda.get_device_name(device)
    return {**found, **{name: _plain(metered[key]) for key, name in _METERED.items() if metered.get(key) is not None}}


def _plain(value: Any) -> Setting:
    if isinstance(value, float):
        return round(value, 1)
    return value if isinstance(value, bool | int | str) else str(value)


def train_loader(loaders: Any) -> dict[str, Setting]:
    """How the first DataLoader of a loader, or of a collection of them, loads; empty if there is none."""
    if isinstance(loaders, DataLoader):
        return {name: getattr(loaders, name) for name in ("num_workers", "persistent_workers", "pin_memory")}
    parts = loaders.values() if isinstance(loaders, Mapping) else loaders if isinstance(loaders, list | tuple) else ()
    return next(filter(None, map(train_loader, parts)), {})


def versions() -> dict[str, str]:
    """Package -> installed version; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
