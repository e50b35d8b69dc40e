"""A run as the trunk of others: what a branch needs to go on from it, bit for bit."""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.detector import ask
from lightning_critperiod.lightning_seam import finished_epochs, iterate_again, train_loaders
from lightning_critperiod.rules import History, Rule


def checkpoint(folder: str | os.PathLike[str], epoch: int) -> Path:
    """Where the state is in which an epoch begins."""
    return Path(folder) / f"epoch-{epoch}.ckpt"


class Trunk(Checkpoint):
    """Keeps the state in which chosen epochs begin, and the state of the global random generators with it.

    Random augmentation depends on those generators, and Lightning does not save them. In a branch, which keeps
    nothing, it puts them back. Worker processes that persist from one epoch to the next have generators of their own,
    which cannot be saved: a run that has such workers keeps nothing, so its branches start from the first epoch.

    Args:
        folder: For the checkpoints; None keeps none.
        epochs: The epochs, 0-based.
        rule: The epoch at which it fires is kept too.
        at_changes: So are those at which the run's own recipe goes from one phase to the next.
    """

    def __init__(
        self,
        folder: str | None = None,
        epochs: Sequence[int] = (),
        rule: Rule | None = None,
        at_changes: bool = False,
    ) -> None:
        self.folder = folder
        self.epochs = epochs
        self.rule = rule
        self.at_changes = at_changes
        self._generators: dict[str, Any] | None = None

    @override
    def state_dict(self) -> dict[str, Any]:
        name, numbers, *rest = np.random.get_state(legacy=True)
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            # Plain values: a checkpoint loads with weights_only=True.
            "numpy": (name, np.asarray(numbers).tolist(), *rest),
            "python": random.getstate(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._generators = state_dict

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if self._generators is None:
            return
        torch.set_rng_state(self._generators["torch"])
        torch.cuda.set_rng_state_all(self._generators["cuda"])
        np.random.set_state(self._generators["numpy"])
        version, numbers, rest = self._generators["python"]
        random.setstate((version, tuple(numbers), rest))
        self._generators = None
        # A resumed epoch uses the iterator that it was set up with, which drew its seed from other numbers.
        iterate_again(trainer)

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epoch = finished_epochs(trainer)
        if self.folder is None or epoch >= trainer.max_epochs or not self._wanted(trainer, epoch):
            return
        if any(getattr(loader, "persistent_workers", False) for loader in train_loaders(trainer)):
            return
        file = checkpoint(self.folder, epoch)
        trainer.save_checkpoint(file.with_suffix(".part"))
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            os.replace(file.with_suffix(".part"), file)

    def _wanted(self, trainer: Any, epoch: int) -> bool:
        callback = next(c for c in trainer.callbacks if isinstance(c, CriticalPeriodCallback))
        phase = callback.timeline.phase
        return (
            epoch in self.epochs
            or (self.at_changes and phase(epoch) != phase(epoch - 1))
            or (self.rule is not None and _fires(self.rule, callback.history, epoch, trainer.max_epochs))
        )


def _fires(rule: Rule, history: History, epoch: int, max_epochs: int) -> bool:
    """Whether a rule fires now, and not before."""
    fired = (n for n in range(epoch + 1) if ask(rule, history, n, max_epochs).end_epoch is not None)
    return next(fired, None) == epoch
