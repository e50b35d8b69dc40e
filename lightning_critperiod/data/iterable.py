"""Whole batches at a given volume, where there is no index stream."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

from lightning_critperiod.data.draws import Draws
from lightning_critperiod.lightning_seam import forget_workers
from lightning_critperiod.recipe import Volume


def length(data: Any) -> int | None:
    """``len(data)``, or None where there is none."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


class VolumeBatches:
    """Passes over batches one after another, the last one cut short.

    An iterable without a length stays without one: how many batches it has is learned from its first complete pass.

    Attributes:
        draws: What the run draws now.
        learned: Batches of a complete pass, None as long as there was none.
        limit: Batches that the Trainer takes of an epoch of an iterable without a length, None for all.
        skip: Batches that the next iteration leaves out.
        yields_what_it_fetches: For who counts what a loader fetches.
    """

    yields_what_it_fetches = True
    draws: Draws
    learned: int | None
    limit: int | None
    skip: int

    def __len__(self) -> int:
        n = self._base_length()
        if n is None:
            raise TypeError(f"{type(self).__name__} has no len()")
        return round(self.draws.volume.fraction * n) if self.draws.own else n

    def batches_at(self, volume: Volume | None) -> int | None:
        """Batches of an epoch of a volume (None: as the user's own), None where that is not known."""
        n = self._base_length()
        n = self.limit if n is None else n
        return n if n is None or volume is None else round(volume.fraction * n)

    def __iter__(self) -> Iterator[Any]:
        skip, self.skip = self.skip, 0
        batches = self._epoch(self._one_pass())  # the user's own __iter__ runs now, as it would without us
        for _ in itertools.islice(batches, skip):
            pass
        return batches

    def _one_pass(self) -> Iterator[Any]:
        raise NotImplementedError

    def _base_length(self) -> int | None:
        raise NotImplementedError

    def _epoch(self, batches: Iterator[Any]) -> Iterator[Any]:
        fraction = self.draws.volume.fraction if self.draws.own else 1.0
        drawn = 0
        while True:
            wanted, before = self._wanted(fraction), drawn
            for batch in batches:
                drawn += 1
                yield batch
                if drawn >= wanted:
                    return
            self.learned = drawn - before
            if drawn >= self._whole(fraction, self.learned):
                return
            batches = self._one_pass()

    def _whole(self, fraction: float, learned: int) -> int:
        """Batches of the epoch, now that a pass is known to have ``learned`` ones."""
        return round(fraction * (learned if self.limit is None else min(learned, self.limit)))

    def _wanted(self, fraction: float) -> float:
        """Batches after which the epoch ends; infinite as long as the user's loader itself decides it."""
        declared = self._base_length()
        known = [n for n in (self.learned, self.limit) if n is not None] if declared is None else [declared]
        return round(fraction * min(known)) if known and self.draws.own else math.inf


class VolumeIterable(VolumeBatches):
    """Any iterable of batches at the volume of ``draws``; has the attributes of what it stands for.

    Args:
        base: The user's iterable, or one of these, which stands for it.
        draws: What the run draws now.
    """

    def __init__(self, base: Iterable[Any], draws: Draws) -> None:
        self.base = base
        self.draws = draws
        self.learned = None
        self.limit = None
        self.skip = 0
        if isinstance(base, VolumeIterable):
            self.base, self.learned = base.base, base.learned

    def __getattr__(self, name: str) -> Any:
        if name == "base":  # while it is being copied
            raise AttributeError(name)
        return getattr(self.base, name)

    def _one_pass(self) -> Iterator[Any]:
        return iter(self.base)

    def _base_length(self) -> int | None:
        return length(self.base)


class _VolumeLoader(VolumeBatches):
    """Mixed into the class of the user's own DataLoader, so that it stays the loader that it was."""

    def _one_pass(self) -> Iterator[Any]:
        return super(VolumeBatches, self).__iter__()  # type: ignore[misc, no-any-return]

    def _base_length(self) -> int | None:
        try:
            return super(VolumeBatches, self).__len__()  # type: ignore[misc, no-any-return]
        except (TypeError, NotImplementedError):
            return None


def iterable_loader(loader: Any, draws: Draws) -> Any:
    """A shallow copy of a DataLoader that draws whole batches at the volume of ``draws``.

    Returns:
        An instance of a subclass of the loader's own class.
    """
    kind: Any = type(loader)
    learned = None
    if isinstance(loader, _VolumeLoader):
        learned = loader.learned
    else:
        kind = type(f"Volume{kind.__name__}", (_VolumeLoader, kind), {})
    new = kind.__new__(kind)
    vars(new).update(vars(loader), draws=draws, learned=learned, limit=None, skip=0)
    forget_workers(new)  # persistent ones that the user has started keep their old order
    return new
