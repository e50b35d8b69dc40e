"""Tell Lightning's fit loop how long its epoch is now.

Lightning reads the length of a training epoch once, in ``_FitLoop.setup_data``, and keeps it in three places:
``fit_loop.max_batches``, the ``limits`` of the combined loader and ``trainer.val_check_batch``. No public interface
changes them (Lightning issue 21448).
"""

import math
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.data import length
from lightning_critperiod.override import Overrides

MISSING = object()


def loop_length(trainer: Any) -> "ToldLength | ReloadedLength":
    """How this Lightning is told the length of an epoch.

    Returns:
        ``ToldLength`` where the three places are, else ``ReloadedLength``.
    """
    loop = trainer.fit_loop
    places = {
        "Trainer.val_check_batch": getattr(trainer, "val_check_batch", MISSING),
        "FitLoop.max_batches": getattr(loop, "max_batches", MISSING),
        "CombinedLoader.limits": getattr(loop._combined_loader, "limits", None) or MISSING,
    }
    missing = [name for name, value in places.items() if value is MISSING]
    if not missing:
        return ToldLength(trainer)
    rank_zero_warn(
        f"This version of Lightning has no {', '.join(missing)}: whenever the volume changes, CriticalPeriodCallback "
        "lets it set its train dataloaders up anew, which restarts their workers."
    )
    return ReloadedLength(trainer)


class ToldLength:
    """Re-derives the three numbers the way ``setup_data`` does.

    Args:
        trainer: The Trainer that fits.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self._overrides = Overrides()
        # The lengths that Lightning has set, before any of them changes: `undo` puts them back.
        self._limits_before = trainer.fit_loop._combined_loader.limits[:]
        for target, name in ((trainer.fit_loop, "max_batches"), (trainer, "val_check_batch")):
            self._overrides.put(target, name, getattr(target, name))

    def batches(self) -> float:
        """Batches of an epoch, as long as the loaders are now; infinite where they have no length."""
        loader = self.trainer.fit_loop._combined_loader
        before, loader.limits[:] = loader.limits[:], self._limits()
        n = length(loader)
        loader.limits[:] = before
        return math.inf if n is None else n

    def follow(self) -> None:
        """Tell the loop the length that the loaders have now."""
        loop = self.trainer.fit_loop
        loop._combined_loader.limits[:] = self._limits()  # in place: the iterator in use holds this very list
        loop.max_batches = self.batches()
        self._set_val_check_batch(loop.max_batches)

    def undo(self) -> None:
        """Put back the lengths that Lightning had set."""
        self._overrides.undo()
        if self.trainer.fit_loop._combined_loader is not None:
            self.trainer.fit_loop._combined_loader.limits[:] = self._limits_before

    def _limits(self) -> list[float]:
        return [self._limit(length(loader)) for loader in self.trainer.fit_loop._combined_loader.flattened]

    def _limit(self, n: int | None) -> float:
        """Lightning's own reading of ``limit_train_batches``, but at least one batch where Lightning would raise."""
        part = self.trainer.limit_train_batches
        if isinstance(part, int):
            return part if n is None else min(n, part)
        if n is None:
            return math.inf
        return max(1, int(n * part)) if n else 0

    def _set_val_check_batch(self, batches: float) -> None:
        trainer = self.trainer
        every = getattr(trainer, "val_check_interval", None)
        if every is None:
            return  # validation goes by the clock
        if isinstance(every, int):
            # A count across epochs stays; one within an epoch can be no longer than the epoch.
            trainer.val_check_batch = every if trainer.check_val_every_n_epoch is None else min(every, batches)
        else:
            trainer.val_check_batch = math.inf if batches == math.inf else max(1, int(batches * every))


class ReloadedLength:
    """Lets Lightning read the length anew by itself, wherever it keeps it: its ``setup_data`` runs once more.

    It gets the loaders that it has, so the user's ``train_dataloader`` is not called again. What Lightning refuses in
    ``setup_data`` (a ``val_check_interval`` longer than the epoch) it refuses here, before the first batch.

    Args:
        trainer: The Trainer that fits.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def batches(self) -> float:
        """Batches of an epoch, as long as the loaders are now; infinite where they have no length."""
        self.follow()
        return float(self.trainer.num_training_batches)

    def follow(self) -> None:
        """Let the loop take its own loaders up anew."""
        loop = self.trainer.fit_loop
        overrides = Overrides()
        overrides.put(loop, "_data_source", type(loop._data_source)(loop._combined_loader, ""))
        # The user's own reload_dataloaders_every_n_epochs counts from the user's own loading.
        overrides.put(loop, "_last_train_dl_reload_epoch", loop._last_train_dl_reload_epoch)
        overrides.put(self.trainer, "overfit_batches", 0)  # its sampler is in these loaders already
        loop._combined_loader = None
        try:
            with torch.random.fork_rng(devices=[]):  # an iterator draws a seed
                loop.setup_data()
        finally:
            overrides.undo()

    def undo(self) -> None:
        """Nothing was put anywhere."""
