"""The data volume as a change: what the loaders draw, the epoch's length, the LR's clock, what the datamodule reads."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_critperiod import lightning_seam
from lightning_critperiod.changes.check_lengths import check_lengths
from lightning_critperiod.changes.declaration import DeclaredVolume
from lightning_critperiod.changes.lr_clock import EpochClock
from lightning_critperiod.changes.train_loaders import TrainLoaders
from lightning_critperiod.data import Draws
from lightning_critperiod.lightning_seam import finished_epochs
from lightning_critperiod.recipe import Change, Volume
from lightning_critperiod.timeline import Phase


class VolumeChange(Change):
    """Lets every epoch of one fit draw the volume of its phase.

    Args:
        volume_at: 0-based epoch -> its volume, by what is decided so far.
        volumes: Every volume that the run may have, the full recipe's first.
        seed: Decides every draw.
        follow_epochs: Whether step-wise LR schedulers follow the planned epochs.
    """

    name = "volume"

    def __init__(
        self, volume_at: Callable[[int], Volume], volumes: Sequence[Volume], seed: int, follow_epochs: bool
    ) -> None:
        self.volume_at = volume_at
        self.volumes = volumes
        self.full_volume = volumes[0]
        self._seed = seed
        self._follow_epochs = follow_epochs
        self._loaders: TrainLoaders | None = None
        self._declared: DeclaredVolume | None = None
        self._clock: EpochClock | None = None
        self._saved: dict[str, Any] = {}

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        declares = DeclaredVolume.is_declared(trainer.datamodule)
        self._declared = DeclaredVolume(trainer.datamodule) if declares else None
        # Until training starts the volume is the full recipe's: configure_optimizers must see the planned steps.
        own, first = self.full_volume != Volume(), trainer.overfit_batches > 0
        draws = Draws(self.full_volume, self._seed, lambda: finished_epochs(trainer), own=own, first=first)
        self._loaders = TrainLoaders(trainer, draws, self.volumes)
        self._loaders.install(self._declared)
        self._clock = EpochClock(trainer) if self._follow_epochs else None

    @override
    def start(self, trainer: Any, pl_module: Any) -> None:
        check_lengths(
            trainer,
            {volume: self.loaders.batches(volume) for volume in self.volumes},
            known=self.loaders.known,
            reloads=self.loaders.reloads,
        )
        if self._clock is not None:
            self._clock.load(self._saved.get("clock", {}))
            self._clock.explain(self.loaders.batches(self.full_volume))

    def take_over(self, seed: int | None, drawn: Mapping[int, Volume], learned: Sequence[int | None]) -> None:
        """Take back, before ``apply``, what the session had that this one continues.

        Args:
            seed: The seed of its draws.
            drawn: Epoch -> the volume that it drew.
            learned: What its loaders have shown; see ``TrainLoaders.learned``.
        """
        self.draws.seed = self.draws.seed if seed is None else seed
        self.draws.own = self.draws.own or any(volume != Volume() for volume in drawn.values())
        self.loaders.learn(learned)

    def ready_to_train(self, before: tuple[Volume, bool], told: float) -> None:
        """Restart the iteration of the fit's first epoch where it is not what the loader was set up for.

        Args:
            before: ``(volume, own)`` of the draws when the loaders were set up.
            told: Batches of the epoch, as Lightning had them then.
        """
        trainer, draws = self.loaders.trainer, self.draws
        # What passes through untouched is resumed as Lightning does it.
        done = lightning_seam.unfinished_batches(trainer) if draws.own else 0
        changed = (draws.volume, draws.own) != before or trainer.num_training_batches != told
        if changed or (draws.own and (trainer.global_step or done)):
            self.loaders.restart(done)

    @override
    def apply(self, phase: Phase) -> None:
        trainer = self.loaders.trainer
        epoch = finished_epochs(trainer)
        volume = self.volume_at(epoch)
        # The user's own loader passes through untouched until something else than it has applied.
        own = self.draws.own or phase != "during" or volume != Volume()
        if volume.fraction < 1 and not self.loaders.known:
            rank_zero_warn(
                f"The train dataloader has no length: epoch {epoch} draws all of it, from which its length is learned."
            )
            volume = Volume()
        self.draws.volume, self.draws.own = volume, own
        if self._declared is not None:
            self._declared.write(volume)

    def loaders_are_ready(self, epoch: int) -> None:
        """Tell Lightning the length of the epoch that starts, now that its loaders are there."""
        if self.draws.own:
            self.loaders.tell_length()
        if self._clock is not None:
            self._clock.begin(epoch, self.loaders.batches(self.full_volume) if self.draws.own else math.inf)

    @override
    def undo(self) -> None:
        for part in (self._loaders, self._clock):
            if part is not None:
                part.undo()
        if self._declared is not None:
            self._declared.restore()

    @override
    def state_dict(self) -> dict[str, Any]:
        return self._saved if self._clock is None else {"clock": self._clock.state}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._saved = state

    @property
    def loaders(self) -> TrainLoaders:
        """The train loaders of the fit."""
        assert self._loaders is not None
        return self._loaders

    @property
    def draws(self) -> Draws:
        """What the epoch draws that runs, or starts next."""
        return self.loaders.draws

    def steps(self, volume: Volume) -> float:
        """Optimizer steps of an epoch at a volume; infinite where the loader has no length."""
        batches = self.loaders.batches(volume)
        return batches if batches == math.inf else math.ceil(batches / self.loaders.trainer.accumulate_grad_batches)
