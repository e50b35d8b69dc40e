"""What Lightning fetches from its train dataloaders, one training batch after another."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lightning_critperiod.lightning_seam.override import Overrides
from lightning_critperiod.lightning_seam.torch_loader import LoaderTap, can_be_tapped


class Listener(Protocol):
    """Hears of every fetch."""

    def parts(self, loader: Any) -> tuple[Mapping[str, Any], Callable[[Any], Any]]:
        """See ``LoaderTap``."""

    def iteration_begins(self) -> None:
        """What was fetched before and not trained on is left behind."""

    def fetch_begins(self) -> None:
        """The batches of all loaders that arrive from now on make one training batch."""

    def fetch_ends(self, complete: bool) -> None:
        """They have arrived, and been seen unless ``complete`` is False."""


class Fetches:
    """Lets a listener see what is fetched for every training batch of a fit. The data are what they were.

    Lightning may fetch ahead of the training. Batches of loaders for which ``can_be_tapped`` is False are not seen.

    Args:
        trainer: Before it has set up its loaders.
        listener: Hears of every fetch.
    """

    def __init__(self, trainer: Any, listener: Listener) -> None:
        self._trainer = trainer
        self._listener = listener
        self._taps: list[LoaderTap] = []
        self._combined: Any = None
        self._kind: Any = None
        self._overrides = Overrides()
        process = trainer.strategy.process_dataloader

        @functools.wraps(process)
        def process_dataloader(dataloader: Any) -> Any:
            loader = process(dataloader)
            if trainer.training and can_be_tapped(loader) and hasattr(trainer.fit_loop, "_combined_loader"):
                self._tap(loader)
            return loader

        self._overrides.put(trainer.strategy, "process_dataloader", process_dataloader)

    def undo(self) -> None:
        """Leave no trace on strategy and loaders."""
        self._overrides.undo()
        self._keep([])
        self._give_back()

    @property
    def step_fetches(self) -> bool:
        """Whether the training step itself fetches its batches: its argument is called ``dataloader_iter``."""
        return "DataLoaderIter" in type(self._trainer.fit_loop._data_fetcher).__name__

    def _tap(self, loader: Any) -> None:
        if all(tap.loader is not loader for tap in self._taps):
            self._taps.append(LoaderTap(loader, self._listener.parts, self._watch))

    def _watch(self) -> None:
        """See to it that the next fetch is heard. The combined loader is there when its loaders are first used."""
        combined = self._trainer.fit_loop._combined_loader
        if combined is self._combined or combined is None:
            return
        self._give_back()
        self._keep(combined.flattened)
        self._combined, self._kind = combined, type(combined)
        combined.__class__ = self._heard(type(combined))
        self._listener.iteration_begins()  # this one, which nobody has heard begin

    def _heard(self, kind: Any) -> Any:
        def begin(combined: Any) -> Any:
            self._listener.iteration_begins()
            return kind.__iter__(combined)

        def fetch(combined: Any) -> Any:
            self._listener.fetch_begins()
            fetched = kind.__next__(combined)
            self._listener.fetch_ends(self._is_complete(combined))
            return fetched

        return type(kind.__name__, (kind,), {"__iter__": begin, "__next__": fetch, "__module__": kind.__module__})

    def _is_complete(self, combined: Any) -> bool:
        seen = {id(tap.loader) for tap in self._taps if tap.used}
        return all(id(loader) in seen for loader in combined.flattened)

    def _keep(self, loaders: list[Any]) -> None:
        """Drop the taps of all other loaders, which Lightning has set up again."""
        kept = {id(loader) for loader in loaders}
        for tap in self._taps:
            if id(tap.loader) not in kept:
                tap.undo()
        self._taps = [tap for tap in self._taps if id(tap.loader) in kept]

    def _give_back(self) -> None:
        if self._combined is not None:
            self._combined.__class__ = self._kind
        self._combined = self._kind = None
