"""Tell Lightning's fit loop how long its epoch is.

Lightning reads the length of a training epoch once, in ``_FitLoop.setup_data``, and keeps it in three places:
``fit_loop.max_batches``, the ``limits`` of the combined loader and ``trainer.val_check_batch``. No public interface
changes them (Lightning issue 21448).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.lightning_seam.override import Overrides

MISSING = object()


def how_length_is_told(trainer: Any) -> "ToldLength | ReloadedLength":
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
        "lets it set up its train dataloaders again, which restarts their workers."
    )
    return ReloadedLength(trainer)


class ToldLength:
    """Sets the three numbers the way ``setup_data`` does.

    Args:
        trainer: The Trainer that fits.
    """

    reloads = False

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self._overrides = Overrides()
        # The lengths that Lightning has set, before any of them changes: `undo` puts them back.
        self._limits_before = trainer.fit_loop._combined_loader.limits[:]
        for target, name in ((trainer.fit_loop, "max_batches"), (trainer, "val_check_batch")):
            self._overrides.put(target, name, getattr(target, name))

    def tell(self, limits: Sequence[float], batches: float) -> None:
        """Let the epoch that comes next have ``batches`` batches, and each loader at most its limit."""
        loop = self.trainer.fit_loop
        loop._combined_loader.limits[:] = limits  # in place: the iterator in use holds this very list
        loop.max_batches = batches
        self._set_val_check_batch(batches)

    def undo(self) -> None:
        """Put back the lengths that Lightning had set."""
        self._overrides.undo()
        if self.trainer.fit_loop._combined_loader is not None:
            self.trainer.fit_loop._combined_loader.limits[:] = self._limits_before

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
    """Lets Lightning itself read the length again, wherever it keeps it: its ``setup_data`` runs once more.

    It gets the loaders that it has, so the user's ``train_dataloader`` is not called again.

    Args:
        trainer: The Trainer that fits.
    """

    reloads = True

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def tell(self, limits: Sequence[float], batches: float) -> None:
        """Let the loop set its own loaders up again."""
        loop = self.trainer.fit_loop
        overrides = Overrides()
        overrides.put(loop, "_data_source", type(loop._data_source)(loop._combined_loader, ""))
        # The user's own reload_dataloaders_every_n_epochs counts from the user's own loading.
        overrides.put(loop, "_last_train_dl_reload_epoch", loop._last_train_dl_reload_epoch)
        overrides.put(self.trainer, "overfit_batches", 0)  # its sampler is in these loaders already
        loop._combined_loader = None
        try:
            with torch.random.fork_rng(devices=[]):  # an iterator draws a seed
                type(loop).setup_data(loop)
        finally:
            overrides.undo()

    def undo(self) -> None:
        """Nothing was put anywhere."""
