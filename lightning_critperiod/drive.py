"""Applies a recipe to one fit: what the loaders draw, the epoch's length, the LR's clock, what the datamodule reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod import verify
from lightning_critperiod.data import Draws
from lightning_critperiod.declaration import DeclaredVolume
from lightning_critperiod.epoch_length import (
    EpochLength,
    begin_next_epoch,
    finished_epochs,
    unfinished_batches,
)
from lightning_critperiod.lr import EpochEquivalentLR
from lightning_critperiod.recipe import Recipe, Volume


class Drive:
    """What changes in a run that the callback drives, and how it is all undone.

    Args:
        trainer: The Trainer that fits.
        recipe: The recipe, ``during`` filled in.
        declared: The datamodule's declaration, if it makes one.
        seed: Decides every draw.
    """

    def __init__(self, trainer: Any, recipe: Recipe, declared: DeclaredVolume | None, seed: int) -> None:
        self.trainer = trainer
        self.recipe = recipe
        self._max_epochs = trainer.max_epochs  # as planned: weight averaging lets the Trainer run one more
        self.full_volume = recipe.during or Volume()
        # Until training starts the volume is the full recipe's: configure_optimizers must see the planned steps.
        own = self.full_volume != Volume()
        first = trainer.overfit_batches > 0
        self._draws = Draws(self.full_volume, seed, lambda: finished_epochs(trainer), own=own, first=first)
        self._length = EpochLength(trainer, self._draws, volumes=(self.full_volume, recipe.after))
        self._declared = declared
        self._lr: EpochEquivalentLR | None = None

    @property
    def volume(self) -> Volume:
        """What the epoch draws that runs, or starts next."""
        return self._draws.volume

    @property
    def learned(self) -> list[int | None]:
        """Batches of a complete pass over each loader that has no length; None where that is not known (yet)."""
        return self._length.learned

    def install(self, pl_module: Any) -> None:
        """Put everything in place before the module configures its optimizers.

        Args:
            pl_module: The module whose step-wise schedulers follow the planned epochs; None leaves them alone.
        """
        self._length.install(self._declared)
        if pl_module is not None:
            self._lr = EpochEquivalentLR(self.trainer, pl_module)

    def start(
        self,
        end_epoch: int | None,
        seed: int | None,
        drawn: Mapping[int, Volume],
        learned: Sequence[int | None],
    ) -> None:
        """Apply the volume of the first epoch of this fit; state that was restored is known by now."""
        length, draws = self._length, self._draws
        before = draws.volume, draws.own
        begin_next_epoch(self.trainer)
        length.learn(learned)
        planned = length.batches(self.full_volume)
        lengths = {volume: length.batches(volume) for volume in length.volumes}
        verify.check_lengths(self.trainer, lengths, length.sized)
        if self._lr is not None:
            self._lr.start(planned)
        draws.seed = draws.seed if seed is None else seed
        draws.own = draws.own or any(volume != Volume() for volume in drawn.values())
        self.set_volume(finished_epochs(self.trainer), end_epoch)
        self.write()
        # What passes through untouched is resumed as Lightning does it.
        done = unfinished_batches(self.trainer) if draws.own else 0
        if (draws.volume, draws.own) != before or (draws.own and (self.trainer.global_step or done)):
            length.restart(done)

    def set_volume(self, epoch: int, end_epoch: int | None) -> None:
        """What the epoch draws that starts next; the loop is told its length now."""
        volume = self.recipe.volume(epoch, end_epoch, self._max_epochs)
        if volume.fraction < 1 and not self._length.known:
            rank_zero_warn(
                f"The train dataloader has no length: epoch {epoch} draws all of it, from which its length is learned."
            )
            volume = Volume()
        self._draws.volume = volume
        # The user's own loader passes through untouched until something else than it has applied.
        self._draws.own = self._draws.own or end_epoch is not None
        self._length.follow()

    def write(self) -> None:
        """Let a datamodule that declares a volume read the one that holds now."""
        if self._declared is not None:
            self._declared.write(self.volume)

    def on_train_batch_end(self, batch_idx: int) -> None:
        """Step the schedulers."""
        if self._lr is not None:
            self._lr.on_train_batch_end(batch_idx)

    def undo(self) -> None:
        """Leave no trace on trainer, strategy, module and datamodule."""
        self._length.undo()
        if self._lr is not None:
            self._lr.undo()
        if self._declared is not None:
            self._declared.restore()
