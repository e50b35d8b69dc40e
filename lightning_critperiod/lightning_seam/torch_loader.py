"""What torch's DataLoader keeps to itself."""

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader

from lightning_critperiod.lightning_seam.override import Overrides


def replace_parts(loader: Any, **parts: Any) -> None:
    """Give a DataLoader of ours another sampler or batch sampler; torch forbids it once a loader is made."""
    for name, value in parts.items():
        object.__setattr__(loader, name, value)


def forget_workers(loader: Any) -> None:
    """Let a copy of a DataLoader start workers of its own; it has the persistent ones, and a tap, of the original."""
    loader._iterator = None
    vars(loader).pop("_get_iterator", None)


def can_be_tapped(loader: Any) -> bool:
    """Whether a loader makes its iterators the way that torch does, and yields what they yield."""
    make = getattr(DataLoader, "_get_iterator", None)
    plain = isinstance(loader, DataLoader) and make is not None and type(loader)._get_iterator is make
    has_parts = plain and {"batch_sampler", "sampler", "collate_fn"} <= vars(loader).keys()
    return has_parts and _yields_what_it_fetches(type(loader))


def _yields_what_it_fetches(kind: type) -> bool:
    """Whether no class of the user's iterates by itself: it may leave batches out, or join them."""
    iterate = [each for each in kind.__mro__[: kind.__mro__.index(DataLoader)] if "__iter__" in vars(each)]
    return all(vars(each).get("yields_what_it_fetches", False) for each in iterate)


class LoaderTap:
    """Lets one DataLoader make its iterators with other parts, and sees every batch that they yield.

    The loader has its own parts again as soon as the iterator is made.

    Args:
        loader: For which ``can_be_tapped`` is true.
        parts: Answers, for the loader, the parts to use instead, by name, and what each batch goes through.
        on_use: Called before an iterator is made.

    Attributes:
        loader: The loader.
        used: Whether it has made an iterator.
    """

    def __init__(
        self,
        loader: Any,
        parts: Callable[[Any], tuple[Mapping[str, Any], Callable[[Any], Any]]],
        on_use: Callable[[], None],
    ) -> None:
        self.loader = loader
        self.used = False
        self._overrides = Overrides()
        make = loader._get_iterator

        @functools.wraps(make)
        def tapped_iterator() -> Any:
            self.used = True
            on_use()
            others, through = parts(loader)
            with _having(loader, others):
                iterator = make()
            # Its class is where Python looks up __next__. No reference leads back to it: its workers end with it.
            kind: Any = type(iterator)
            iterator.__class__ = _tapped(kind)
            iterator._through = through
            return iterator

        self._overrides.put(loader, "_get_iterator", tapped_iterator)

    def undo(self) -> None:
        """Let the loader make its iterators as before."""
        self._overrides.undo()


@contextmanager
def _having(loader: Any, parts: Mapping[str, Any]) -> Generator[None]:
    before = {name: vars(loader)[name] for name in parts}
    replace_parts(loader, **parts)
    try:
        yield
    finally:
        replace_parts(loader, **before)


@functools.cache
def _tapped(kind: Any) -> Any:
    """A class of iterators that hand on what ``_through`` makes of each batch."""

    def following(self: Any) -> Any:
        return self._through(kind.__next__(self))

    return type(kind.__name__, (kind,), {"__next__": following, "__module__": kind.__module__})
