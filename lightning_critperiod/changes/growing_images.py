"""Low resolution first: training images that grow to their full size in the course of a run."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from lightning_critperiod.changes.batch_images import (
    Key,
    check_targets,
    find_key,
    images_at,
    resized,
    shorter_side,
    with_images,
)
from lightning_critperiod.changes.growth import FULL_FROM, Growth
from lightning_critperiod.lightning_seam import Overrides, Safely, finished_epochs
from lightning_critperiod.recipe import Change, require_int, require_number
from lightning_critperiod.rules import Rule
from lightning_critperiod.rules.base import require_fit
from lightning_critperiod.timeline import Phase, Timeline


class GrowingImages(Change):
    """Trains on smaller images first and on full-size ones at the end; validation and test always have the full size.

    The batch that ``training_step`` gets is a copy with its images resized (bilinear, antialiased) on their device; the
    targets stay. The first size holds until the critical period is over, then the next ones follow, and the full size
    holds for at least the last quarter of the planned epochs and in a cooldown. A guard does not shrink images again.

    Sources: Tan, Le 2021, arXiv 2104.00298 (progressive learning); Wang et al. 2024, arXiv 2405.08768.

    Args:
        sizes: Pixels of the shorter side, ascending. The full size is that of the images in the batch; it comes last,
            whether it is given or not.
        key: Where the images are in a batch: a key of a dict, an index of a tuple, an attribute. A list of images there
            is one of views. None is the one tensor (N, C, H, W) of floats or uint8 in the batch.
        rule: Asked after every epoch about the callback's signal since the last growth; the next size follows when it
            fires. None leaves the first growth to the callback's own decision and spreads the others from there to
            three quarters of the planned epochs.
        at: Fractions of the planned epochs with which the second, third, ... size begins, ascending, up to 0.75.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range, or both ``rule`` and ``at`` are given. With the first batch, before
            anything is trained: there is no such image, a size is larger than it, a target would have to be resized
            too, the network takes one size only, or nothing can make the images grow.

    Example:
        >>> from lightning_critperiod import CriticalPeriodCallback, GrowingImages, Recipe
        >>> callback = CriticalPeriodCallback(recipe=Recipe(changes=[GrowingImages(sizes=[16, 24, 32])]))
    """

    name = "image_size"

    def __init__(
        self,
        sizes: Sequence[int],
        key: int | str | None = None,
        rule: Rule | None = None,
        at: Sequence[float] | None = None,
    ) -> None:
        _check_sizes(sizes)
        _check_growth(sizes, rule, at)
        if isinstance(key, bool) or not isinstance(key, Key):
            raise TypeError(f"key must be a key, index or attribute of a batch, or None, got {key!r}")
        self.sizes = sizes
        self.key = key
        self.growth = Growth(at, rule)
        self._overrides = Overrides()
        self._safely = Safely()
        self._trainer: Any = None
        self._forget()

    def _forget(self) -> None:
        self._key: Key = self.key
        self._full: int | None = None  # shorter side of the images of a batch
        self._seen = False  # a batch, in this fit
        self._proved: set[int] = set()  # sizes that the network takes
        self._gives_up = False
        self.growth.forget()

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        self.undo()
        self._trainer = trainer
        self._forget()

    @override
    def look(self, timeline: Timeline, history: Mapping[int, float]) -> None:
        self._timeline, self._history = timeline, history

    @override
    def start(self, trainer: Any, pl_module: Any) -> None:
        self._check_run(pl_module)
        training_step = pl_module.training_step

        @functools.wraps(training_step)
        def with_small_images(batch: Any, *arguments: Any) -> Any:
            return self._step(training_step, batch, arguments)

        self._overrides.put(pl_module, "training_step", with_small_images)

    @override
    def apply(self, phase: Phase) -> None:
        """The size follows from what ``look`` was given, not from the phase alone."""

    @override
    def undo(self) -> None:
        self._overrides.undo()
        self._trainer = None

    @property
    @override
    def setting(self) -> int | None:
        """Pixels of the shorter side in the epoch that runs; None while the full size holds and no batch was seen."""
        return None if self._trainer is None else self.size(finished_epochs(self._trainer))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"full": self._full}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._full = state["full"]

    def size(self, epoch: int) -> int | None:
        """Pixels of the shorter side in a 0-based epoch, the one that runs or one before it."""
        small = [size for size in self.sizes if size != self._full]
        cooldown = self._timeline.cooldown_epoch  # the phase is "during" again where a guard took the changes back
        if self._gives_up or (cooldown is not None and epoch >= cooldown):
            return self._full
        grown = self.growth.happened(epoch, len(small), self._timeline, self._history)
        return small[grown] if grown < len(small) else self._full

    def _step(self, training_step: Callable[..., Any], batch: Any, arguments: tuple[Any, ...]) -> Any:
        if not self._seen:
            self._look_at_first(batch)
        small, size = batch, self.setting
        with self._safely("resizing images"):
            if size is not None and size != self._full:
                small = with_images(batch, self._key, resized(images_at(batch, self._key), size))
        if small is batch or size is None or size in self._proved:
            return training_step(small, *arguments)
        try:  # the first step at a size shows whether the network takes it
            output = training_step(small, *arguments)
        except Exception as error:
            output = training_step(batch, *arguments)  # raises the user's own error if the size is not the cause
            self._cannot_take(size, error)
            return output
        self._proved.add(size)
        return output

    def _cannot_take(self, size: int, error: Exception) -> None:
        problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if not self._proved:
            raise ValueError(
                f"GrowingImages needs a network that takes images of several sizes, but training_step fails at {size} "
                f"px and not at {self._full} px ({problem}): average over positions before a linear head, interpolate "
                "position embeddings, or give other sizes."
            ) from error
        self._safely.note(f"growing images to {size} px", problem)
        self._gives_up = True

    def _look_at_first(self, batch: Any) -> None:
        """Refuse what can't work by a ValueError; learn where the images are and how large."""
        self._key = find_key(batch) if self.key is None else self.key
        images = images_at(batch, self._key)
        full = shorter_side(images)
        if self.sizes[-1] > full:
            raise ValueError(
                f"sizes={list(self.sizes)} must be no larger than the images, whose shorter side has {full} px: give "
                "smaller ones."
            )
        self._full = full
        growths = len([size for size in self.sizes if size < full])
        if growths == 0:
            raise ValueError(f"sizes={list(self.sizes)} must have one below the {full} px of the images: add it.")
        if self.growth.at is not None and len(self.growth.at) != growths:
            raise ValueError(
                f"at={list(self.growth.at)} must have a fraction for each of the {growths} growths from "
                f"{list(self.sizes)} to the {full} px of the images."
            )
        check_targets(batch, self._key, images)
        self.growth.forget()  # how many growths there are is known only now
        self._seen = True

    def _check_run(self, pl_module: Any) -> None:
        if "dataloader_iter" in inspect.signature(pl_module.training_step).parameters:
            raise ValueError("GrowingImages needs a training_step that takes a batch, got one with dataloader_iter.")
        epochs = self._timeline.max_epochs
        if self.growth.rule is not None:
            require_fit(self.growth.rule, epochs)
        elif epochs is None:
            raise ValueError(
                f"GrowingImages(sizes={list(self.sizes)}) has nothing that makes the images grow in a run without a "
                "last epoch: give rule=, or Trainer(max_epochs=...)."
            )


def _check_sizes(sizes: Any) -> None:
    if isinstance(sizes, str) or not isinstance(sizes, Sequence) or not sizes:
        raise TypeError(f"sizes must be a list of pixels such as [16, 24, 32], got {sizes!r}")
    for size in sizes:
        require_int("sizes", size, low=1)
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes must be ascending, got {list(sizes)}")


def _check_growth(sizes: Sequence[int], rule: Any, at: Any) -> None:
    if not isinstance(rule, Rule | None):
        raise TypeError(f"rule must be a Rule, got {rule!r}")
    if at is None:
        return
    if rule is not None:
        raise ValueError("GrowingImages grows by a rule or at fractions: give rule= or at=, not both")
    if isinstance(at, str) or not isinstance(at, Sequence):
        raise TypeError(f"at must be a list of fractions such as [0.5, 0.75], got {at!r}")
    for fraction in at:
        require_number("at", fraction, low=0, high=FULL_FROM, closed=True)
    if list(at) != sorted(at) or len(at) not in {len(sizes), len(sizes) - 1}:
        raise ValueError(f"at must have ascending fractions, one for each size after the first, got {list(at)}")
