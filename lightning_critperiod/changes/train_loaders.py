"""The train loaders of one fit at our volume: put our draws in, say how long epochs are, undo."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod import lightning_seam
from lightning_critperiod.changes.declaration import DeclaredVolume
from lightning_critperiod.data import (
    Draws,
    VolumeBatches,
    at_volume,
    batches_at,
    has_index_sampler,
    length,
    samples_of,
    skip,
)
from lightning_critperiod.lightning_seam import Overrides
from lightning_critperiod.recipe import Volume


class TrainLoaders:
    """Lets the train loaders of one fit draw what ``draws`` says.

    Args:
        trainer: The Trainer that fits.
        draws: What the run draws; its volume is the full recipe's until training starts.
        volumes: Every volume that the run may have, to be refused before training if it leaves nothing to draw.
    """

    def __init__(self, trainer: Any, draws: Draws, volumes: Sequence[Volume]) -> None:
        self.trainer = trainer
        self.draws = draws
        self.volumes = volumes
        self._overrides = Overrides()
        self._theirs: list[tuple[Any, Any]] = []  # our loader, and the one that it stands for
        self._told: Any = None

    def install(self, declared: DeclaredVolume | None) -> None:
        """Let every training loader that Lightning has processed (and sharded) draw at our volume.

        Args:
            declared: The datamodule's declaration, which its own ``train_dataloader`` must not apply once more.
        """
        strategy = self.trainer.strategy
        process = strategy.process_dataloader

        @functools.wraps(process)
        def process_dataloader(dataloader: Any) -> Any:
            return process(self._at_volume(dataloader) if self.trainer.training else dataloader)

        self._overrides.put(strategy, "process_dataloader", process_dataloader)
        if declared is not None:
            self._load_neutrally(declared)

    def undo(self) -> None:
        """Take the overrides off, and give a CombinedLoader of the user's its own loaders and limits back."""
        self._overrides.undo()
        lightning_seam.give_back(self.trainer, self._original)
        if self._told is not None:
            self._told.undo()
        self._theirs.clear()

    def batches(self, volume: Volume) -> float:
        """Batches of an epoch at a volume; infinite where the loader has no length."""
        own = self.draws.own or volume != Volume()
        limits = [self._limit(loader, batches_at(loader, volume if own else None)) for loader in self._loaders()]
        return lightning_seam.combined_batches(self.trainer, limits)

    def tell_length(self) -> None:
        """Tell Lightning how long the epoch that comes next is."""
        loaders = self._loaders()
        limits = [self._limit(loader, self._length_now(loader)) for loader in loaders]
        self._seam.tell(limits, lightning_seam.combined_batches(self.trainer, limits))
        for ours in loaders:
            skip(ours, 0)  # an epoch that was resumed after its last batch has not iterated at all

    @property
    def reloads(self) -> bool:
        """Whether this Lightning has to set its loaders up again whenever an epoch changes its length."""
        return bool(self._seam.reloads)

    @property
    def _seam(self) -> Any:
        """How this Lightning is told the length of an epoch: found out at first use, when it has set up its loaders."""
        if self._told is None:
            self._told = lightning_seam.how_length_is_told(self.trainer)
        return self._told

    @property
    def known(self) -> bool:
        """Whether the length of every loader is known: it has one, is cut to one, or has been passed over once."""
        known = zip(self._loaders(), self.learned, strict=True)
        return all(batches is not None or self._length_now(loader) is not None for loader, batches in known)

    @property
    def learned(self) -> list[int | None]:
        """Batches of a complete pass over each loader that has no length; None where that is not known (yet)."""
        loaders = self._loaders()
        return [loader.learned if isinstance(loader, VolumeBatches) else None for loader in loaders]

    def learn(self, lengths: Sequence[int | None]) -> None:
        """Take back what ``learned`` was in the session that this one continues."""
        for loader, batches in zip(self._loaders(), lengths, strict=False):
            if isinstance(loader, VolumeBatches) and batches is not None:
                loader.learned = batches

    def restart(self, done: int) -> None:
        """Restart the iteration: workers may have fetched batches ahead, at the volume of when the loader was set up.

        Args:
            done: Batches of this epoch that an interrupted session has trained on already.
        """
        # A loader that is shorter than the epoch begins again, unless the mode says otherwise.
        cycle = lightning_seam.is_cyclic(self.trainer)
        for loader in self._loaders():
            again = length(loader) if cycle and done < self.trainer.num_training_batches else None
            skip(loader, done % again if again else done)
        lightning_seam.iterate_again(self.trainer)

    def _loaders(self) -> list[Any]:
        return lightning_seam.train_loaders(self.trainer)

    def _length_now(self, loader: Any) -> int | None:
        n = length(loader)
        if n is None and isinstance(loader, VolumeBatches):
            return loader.batches_at(self.draws.volume if self.draws.own else None)
        return n

    def _limit(self, loader: Any, n: int | None) -> int | float:
        """Lightning's own reading of ``limit_train_batches``, but at least one batch where Lightning would raise."""
        part: int | float = self.trainer.limit_train_batches
        if length(loader) is None:  # the limit is the length of the user's epoch: n is in proportion to it already
            return math.inf if n is None else max(1, n)
        if n is None or isinstance(part, int):
            return part if n is None else min(n, part)
        return max(1, int(n * part)) if n else 0

    def _load_neutrally(self, declared: DeclaredVolume) -> None:
        train_dataloader = declared.datamodule.train_dataloader

        @functools.wraps(train_dataloader)
        def neutral_train_dataloader(*args: Any, **kwargs: Any) -> Any:
            with declared.neutral():
                return train_dataloader(*args, **kwargs)

        self._overrides.put(declared.datamodule, "train_dataloader", neutral_train_dataloader)

    def _at_volume(self, dataloader: Any) -> Any:
        loader = at_volume(dataloader, self.draws)
        self._theirs.append((loader, dataloader))
        limit = self.trainer.limit_train_batches
        if isinstance(loader, VolumeBatches) and length(loader) is None and isinstance(limit, int):
            loader.limit = limit
        for volume in self.volumes:
            self._refuse_empty(loader, volume)
        if not has_index_sampler(dataloader) and any(volume.fraction < 1 for volume in self.volumes):
            rank_zero_warn(
                "Train data without an index sampler is pruned by leaving out the end of a pass: shuffle it again "
                "every epoch, or the same part of it is left out every time."
            )
        return loader

    def _original(self, loader: Any) -> Any:
        for ours, theirs in reversed(self._theirs):  # a reload wraps what is wrapped already
            loader = theirs if loader is ours else loader
        return loader

    def _refuse_empty(self, loader: Any, volume: Volume) -> None:
        if batches_at(loader, volume) != 0:
            return
        samples = samples_of(loader)
        n, what = (batches_at(loader, Volume()), "batches") if samples is None else (samples, "samples")
        raise ValueError(
            f"{volume} leaves no batch of the {n} {what} that the train dataloader draws: give the recipe a larger "
            "volume, the loader a smaller batch size or drop_last=False."
        )
