"""Put our draws into the train loaders, let the loop know how long its epoch is now, undo."""

import functools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.data import Draws, VolumeBatches, at_volume, has_index_sampler, length, skip
from lightning_critperiod.declaration import DeclaredVolume
from lightning_critperiod.epoch_length.loop import ReloadedLength, ToldLength, loop_length
from lightning_critperiod.override import Overrides
from lightning_critperiod.recipe import Volume


class EpochLength:
    """Makes the epochs of one fit as long as ``draws`` says.

    Args:
        trainer: The Trainer that fits.
        draws: What the run draws; its volume is the full recipe's until training starts.
        volumes: Every volume that the run may have, to be refused beforehand where nothing is left to draw.
    """

    def __init__(self, trainer: Any, draws: Draws, volumes: tuple[Volume, ...]) -> None:
        self.trainer = trainer
        self.draws = draws
        self.volumes = volumes
        self._overrides = Overrides()
        self._theirs: list[tuple[Any, Any]] = []  # our loader, and the one that it stands for
        self._asked: ToldLength | ReloadedLength | None = None

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
        combined = self.trainer.fit_loop._combined_loader
        if combined is not None:
            combined.flattened = [self._original(loader) for loader in combined.flattened]
        if self._asked is not None:
            self._asked.undo()
        self._theirs.clear()

    def batches(self, volume: Volume) -> float:
        """Batches of an epoch at a volume; infinite where the loader has no length."""
        with self._assume(volume):
            return self._loop.batches()

    def follow(self) -> None:
        """Tell the loop the length of the epoch that comes next."""
        self._loop.follow()
        for ours in self._loaders():
            skip(ours, 0)  # an epoch that was resumed after its last batch has not iterated at all

    @property
    def _loop(self) -> ToldLength | ReloadedLength:
        """How this Lightning is told the length of an epoch: found out at first use, when it has set up its loaders."""
        if self._asked is None:
            self._asked = loop_length(self.trainer)
        return self._asked

    @property
    def sized(self) -> bool:
        """Whether every loader has a length."""
        return all(length(loader) is not None for loader in self._loaders())

    @property
    def known(self) -> bool:
        """Whether every loader has a length or has been passed over once."""
        known = zip(self._loaders(), self.learned, strict=True)
        return all(batches is not None or length(loader) is not None for loader, batches in known)

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
        """Iterate anew: workers may have fetched batches ahead, at the volume that held when the loader was set up.

        Args:
            done: Batches of this epoch that an interrupted session has trained on already.
        """
        fetcher = self.trainer.fit_loop._data_fetcher
        # A loader that is shorter than the epoch begins again, unless the mode says otherwise.
        cycle = self._loaders() and self.trainer.fit_loop._combined_loader._mode == "max_size_cycle"
        for loader in self._loaders():
            again = length(loader) if cycle and done < self.trainer.num_training_batches else None
            skip(loader, done % again if again else done)
        if fetcher is not None:
            iter(fetcher)

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
        for volume in self.volumes:
            self._refuse_empty(loader, volume)
        if not has_index_sampler(dataloader) and any(volume.fraction < 1 for volume in self.volumes):
            rank_zero_warn(
                "Train data without an index sampler is pruned by leaving out the end of a pass: shuffle it anew every "
                "epoch, or the same part of it is left out every time."
            )
        return loader

    def _original(self, loader: Any) -> Any:
        for ours, theirs in reversed(self._theirs):  # a reload wraps what is wrapped already
            loader = theirs if loader is ours else loader
        return loader

    def _refuse_empty(self, loader: Any, volume: Volume) -> None:
        with self._assume(volume):
            if length(loader) != 0:
                return
        indices = has_index_sampler(loader) and loader.batch_size
        with self._assume(Volume()):
            n = len(loader.sampler if indices else loader)
        raise ValueError(
            f"{volume} leaves no batch of the {n} {'samples' if indices else 'batches'} that the train dataloader "
            "draws: give the recipe a larger volume, the loader a smaller batch size or drop_last=False."
        )

    @contextmanager
    def _assume(self, volume: Volume) -> Generator[None]:
        """The loaders answer ``len`` as in an epoch of ``volume``."""
        before = self.draws.volume, self.draws.own
        self.draws.volume, self.draws.own = volume, True
        try:
            yield
        finally:
            self.draws.volume, self.draws.own = before

    def _loaders(self) -> list[Any]:
        combined = self.trainer.fit_loop._combined_loader
        return [] if combined is None else combined.flattened
