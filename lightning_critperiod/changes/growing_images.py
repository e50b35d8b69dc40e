"""Low resolution first: training images that grow to their full size in the course of a run."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from lightning_critperiod.changes.batch_images import (
    check_place,
    check_targets,
    find_key,
    full_size,
    images_at,
    resized,
    shorter_side,
)
from lightning_critperiod.changes.batch_parts import Key, as_keys, leaves, with_part
from lightning_critperiod.changes.growing import Growing
from lightning_critperiod.rules import Rule


class GrowingImages(Growing):
    """Trains on smaller images first and on full-size ones at the end; validation and test always have the full size.

    ``training_step`` gets a copy of the batch whose images are resized (bilinear, antialiased) on their device; targets
    are unchanged. The first size holds until the critical period is over, then the next ones follow, and the full size
    holds for at least the last quarter of the planned epochs and in a cooldown. A guard does not shrink images again.

    Sources: Tan, Le 2021, arXiv 2104.00298 (progressive learning); Wang et al. 2024, arXiv 2405.08768.

    Args:
        sizes: Pixels of the shorter side, ascending. The full size is that of the images in the batch; it comes last,
            whether it is given or not.
        key: Where the images are in a batch: a key of a dict, an index of a tuple, an attribute, or a list of them that
            leads into a nested batch. A list whose elements are all lists names several places, such as
            ``[["labelled", 0], ["unlabelled"]]``; their images must have the same shorter side in the first batch. A
            list or dict of images at a place is taken as views of one batch. None is the one tensor (N, C, H, W) of
            floats or uint8 in the batch.
        rule: Asked after every epoch about the callback's signal since the last growth; the next size follows when it
            fires. None leaves the first growth to the callback's own decision and spreads the others from there to
            three quarters of the planned epochs.
        at: Fractions of the planned epochs at which the second, third, ... size begins, ascending, up to 0.75.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range, or both ``rule`` and ``at`` are given. At the first batch, before
            anything is trained: there is no such image, images of several places differ in size, a size is larger than
            they are, a target would have to be resized too, the network takes one size only, or nothing can make the
            images grow.

    Example:
        >>> from lightning_critperiod import CriticalPeriodCallback, GrowingImages, Recipe
        >>> callback = CriticalPeriodCallback(recipe=Recipe(changes=[GrowingImages(sizes=[16, 24, 32])]))
    """

    name = "image_size"
    argument, things, unit = "sizes", "images", "px"
    remedy = "average over positions before a linear head, interpolate position embeddings"

    def __init__(
        self,
        sizes: Sequence[int],
        key: int | str | Sequence[int | str] | Sequence[Sequence[int | str]] | None = None,
        rule: Rule | None = None,
        at: Sequence[float] | None = None,
    ) -> None:
        super().__init__(sizes, rule, at)
        self.keys = None if key is None else as_keys("key", key)
        self._keys: Sequence[Key] = ()

    @override
    def find(self, batch: Any) -> int:
        self._keys = [find_key(batch)] if self.keys is None else self.keys
        images = images_at(batch, self._keys)
        size = full_size(images)
        check_place(batch, images)
        check_targets(batch, images)
        return size

    @override
    def shrunk(self, batch: Any, size: int) -> Any:
        images = images_at(batch, self._keys)
        if size >= shorter_side(images):
            return batch
        for key, each in images.items():
            batch = with_part(batch, key, resized(each, size))
        return batch

    @override
    def elements(self, batch: Any) -> int:
        return sum(each.numel() for _, each in leaves(images_at(batch, self._keys)))
