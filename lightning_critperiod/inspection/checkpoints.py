"""Layer rotation from the checkpoints that a run left."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_critperiod.inspection.logs import OURS, Logs
from lightning_critperiod.signals import LayerRotation, layer_rotation


def read_checkpoints(files: Sequence[Path], logs: Logs) -> None:
    """Add the mean rotation of the kernels (weights with ndim > 1) against those of the first checkpoint.

    The initial weights are in no checkpoint of Lightning's, so the curve starts at 0 where the first one was saved.
    Which weights were frozen isn't there either: all count. Of several checkpoints in an epoch the last one is taken.
    Only weights are loaded, no pickled code is run.

    Args:
        files: Two or more of one model.
        logs: To add to.

    Raises:
        ValueError: A file cannot be read, or the files are of different models or all of one epoch.
    """
    saved = sorted((*_clock(file), file) for file in files)
    last = {epoch: file for epoch, _, file in saved}
    first_epoch, first = saved[0][0], saved[0][2]
    if len(last) < 2:
        raise ValueError(f"{first.parent} has checkpoints of epoch {first_epoch} only: rotation needs two epochs")
    initial = _kernels(first)
    rows = [(OURS + LayerRotation.name, epoch, _rotation(initial, file)) for epoch, file in last.items()]
    logs.add(first.parent, rows)
    logs.notes.append(
        f"Layer rotation is against the weights of the first checkpoint, {first.name} of epoch {first_epoch}, not "
        "against the initial ones: what the layers turned before is not in it. Every kernel counts, trained or not."
    )


def _load(file: Path) -> dict[str, Any]:
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise ValueError(f"{file} cannot be read as a checkpoint of weights and plain values: {reason}") from error
    if (
        not isinstance(checkpoint, dict)
        or not isinstance(checkpoint.get("epoch"), int)
        or "state_dict" not in checkpoint
    ):
        raise ValueError(f"{file} is no checkpoint of Lightning: it has no epoch or no state_dict")
    return checkpoint


def _clock(file: Path) -> tuple[int, int]:
    checkpoint = _load(file)
    return checkpoint["epoch"], checkpoint.get("global_step", 0)


def _kernels(file: Path) -> dict[str, Tensor]:
    weights = _load(file)["state_dict"].items()
    return {name: w for name, w in weights if isinstance(w, Tensor) and w.dim() > 1 and w.is_floating_point()}


def _rotation(initial: dict[str, Tensor], file: Path) -> float:
    current = _kernels(file)
    if {name: w.shape for name, w in current.items()} != {name: w.shape for name, w in initial.items()}:
        raise ValueError(f"{file} is of another model than the first checkpoint beside it")
    return layer_rotation(list(initial.values()), [current[name] for name in initial]).nanmean().item()
