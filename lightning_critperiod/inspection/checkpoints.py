"""Layer rotation from the checkpoints that a run left."""

import argparse
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_critperiod.inspection.logs import STEP, Logs
from lightning_critperiod.inspection.names import OURS
from lightning_critperiod.signals import LayerRotation, layer_rotation

# The types that arithmetic is defined for; quantized weights are not among them.
_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_LFS = b"version https://git-lfs"


@dataclass(frozen=True)
class _Saved:
    """A checkpoint that can be used.

    Args:
        file: The file that it is in.
        epoch: The epoch in which it was saved.
        step: Optimizer steps until then.
        batches: Training batches until then, which is what loggers call step; None if it does not say.
        shapes: Name and shape of every weight matrix (a weight with ndim > 1): what tells one model from another.
    """

    file: Path
    epoch: int
    step: int
    batches: int | None
    shapes: frozenset[tuple[str, torch.Size]]


def read_checkpoints(files: Sequence[Path], logs: Logs) -> None:
    """Add the mean rotation of the weight matrices against those of the first checkpoint.

    The initial weights are in no checkpoint of Lightning's, so the curve starts at 0 where the first one was saved.
    Which weights were frozen isn't there either: all count. Of several checkpoints in an epoch the last one is taken.
    Only weights are loaded, no pickled code is run. A file that cannot be used is left out, with a note.

    Args:
        files: Their files.
        logs: To add to. Checkpoints that do not fit a log that was read are of another run.

    Raises:
        ValueError: There are no two epochs of one model.
    """
    refused: list[str] = []
    saved = sorted(_usable(files, logs, refused), key=lambda one: (one.epoch, one.step, one.file))
    model = _largest_group(saved)
    refused += [f"{one.file} is of another model than the first checkpoint" for one in saved if one.shapes != model]
    last = {one.epoch: one for one in saved if one.shapes == model}
    if len(last) < 2:
        few = [f"{one.file.parent} has checkpoints of epoch {epoch} only" for epoch, one in last.items()]
        raise ValueError("; ".join([*refused[:1], *few[: not refused], "rotation needs two epochs of one model"]))
    first = next(iter(last.values()))
    initial = _matrices(load(first.file))
    rotations = [(OURS + LayerRotation.name, epoch, _rotation(initial, one.file)) for epoch, one in last.items()]
    logs.add(first.file.parent, rotations)
    logs.notes.append(
        f"Layer rotation is against the weights of the first checkpoint, {first.file.name} of epoch {first.epoch}, not "
        "against the initial ones: any earlier rotation is missing. Every weight matrix counts, trained or "
        "not."
    )
    if refused:
        logs.notes.append(f"Of {len(files)} checkpoints {len(refused)} are left out: {refused[0]}.")


def load(file: Path) -> dict[str, Any]:
    """A checkpoint of Lightning: weights and plain values only.

    Args:
        file: To read.

    Returns:
        What is in it.

    Raises:
        ValueError: It cannot be used.
    """
    if file.is_dir():
        raise ValueError(f"{file} is a folder: a sharded checkpoint is not read")
    with file.open("rb") as opened:
        if opened.read(len(_LFS)) == _LFS:
            raise ValueError(f"{file} is a pointer of git-lfs, not the checkpoint itself")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:  # a damaged or foreign file can raise anything
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise ValueError(f"{file} cannot be read as a checkpoint of weights and plain values: {reason}") from error
    if not _is_of_lightning(checkpoint):
        raise ValueError(f"{file} is no checkpoint of Lightning: it has no epoch or no state_dict")
    return dict(checkpoint)


def _is_of_lightning(checkpoint: object) -> bool:
    if not isinstance(checkpoint, dict):
        return False
    return isinstance(checkpoint.get("epoch"), int) and isinstance(checkpoint.get("state_dict"), dict)


def _usable(files: Iterable[Path], logs: Logs, refused: list[str]) -> Iterator[_Saved]:
    for file in files:
        try:
            saved = _saved(file)
        except (OSError, ValueError) as error:
            refused.append(str(error))
            continue
        if _fits(saved, logs):
            yield saved
        else:
            refused.append(f"{file} is of epoch {saved.epoch} of another run: it does not fit the log")


def _saved(file: Path) -> _Saved:
    checkpoint = load(file)
    shapes = frozenset((name, weight.shape) for name, weight in _matrices(checkpoint).items())
    if not shapes:
        raise ValueError(f"{file} has no weight matrices")
    batches: Any = checkpoint
    for key in ("loops", "fit_loop", "epoch_loop.state_dict", "_batches_that_stepped"):
        batches = batches.get(key) if isinstance(batches, dict) else None
    return _Saved(file, checkpoint["epoch"], checkpoint.get("global_step", 0), batches, shapes)


def _fits(saved: _Saved, logs: Logs) -> bool:
    """Whether a log that was read can be of the same run: it has the epoch, which began and ended at such a batch."""
    if logs.values and saved.epoch >= logs.epochs:
        return False
    steps = logs.values.get(STEP, {})
    if saved.batches is None or not steps:
        return True
    # Nothing was logged after the last epoch: it cannot be much longer than the others.
    average = (max(steps.values()) + 1) / (max(steps) + 1)
    before = max((step for epoch, step in steps.items() if epoch < saved.epoch), default=-1)
    after = min((step for epoch, step in steps.items() if epoch > saved.epoch), default=0)
    return before < saved.batches <= (after or 1.5 * average * (saved.epoch + 1))


def _largest_group(saved: Sequence[_Saved]) -> frozenset[tuple[str, torch.Size]] | None:
    """The shapes of the model that has checkpoints of most epochs, the first of several."""
    epochs: dict[frozenset[tuple[str, torch.Size]], set[int]] = {}
    for one in saved:
        epochs.setdefault(one.shapes, set()).add(one.epoch)
    return max(epochs, key=lambda shapes: len(epochs[shapes]), default=None)


def _matrices(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    weights = checkpoint["state_dict"].items()
    return {name: w for name, w in weights if isinstance(w, Tensor) and w.dim() > 1 and w.dtype in _DTYPES}


def _rotation(initial: dict[str, Tensor], file: Path) -> float:
    current = _matrices(load(file))
    return layer_rotation(list(initial.values()), [current[name] for name in initial]).nanmean().item()
