"""The FLOPs of all training steps, from those of a few."""

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch

from lightning_critperiod.lightning_seam import (
    FlopMode,
    Overrides,
    Safely,
    accumulates,
    around_training_steps,
    runs_the_model_repeatedly,
    unmakable_tensor,
)

SHAPES = 100
"""A run with more shapes of batches than these is taken to have another one in every step."""
CHECKED, SAMPLED = 211, 7
"""One step in so many is counted to see that nothing has changed, or, where steps differ, to estimate their mean.
Primes: what happens in every second or fifth step is met as often as it happens."""
FIRST = 16
"""Where steps differ, so many at the start of an epoch are all counted: one in 7 would be few in a short epoch."""


@dataclass
class _Steps:
    """Steps of one epoch on batches of one shape: all, the counted ones, and the FLOPs of these."""

    all: int = 0
    counted: int = 0
    flops: int = 0


class StepFlops:
    """Adds up the FLOPs of the training steps of one process, of which a few are counted operation by operation.

    The counted ones are the first of every epoch with shapes of an earlier one, the first two with each shape of the
    batch, and one in 211. They are few, for on a GPU a counted step takes longer. The others get the count of a step
    with the same shapes. If the first of an epoch differs (layers were frozen, say), or a callback's ``step_settings``,
    all shapes are counted again. If steps with the same shapes differ within an epoch, or if there are more than 100
    shapes, the first 16 steps of an epoch and one in 7 of the rest are counted, and the others count as the mean of
    these: an estimate. Layers that freeze or thaw inside an epoch are noticed within 7 steps, and the steps from there
    on are counted apart: an estimate too. With LBFGS, whose step runs the model as often as it needs, every step is
    counted.

    Counting changes neither weights, gradients nor the random state. A failure becomes one warning.

    Attributes:
        is_exact: Whether every step was counted or had the shapes of one that was, and the same FLOPs, so far. A step
            that differs for a reason of its own is met only if it is one that is counted.
    """

    def __init__(self) -> None:
        self.is_exact = True
        self._safely = Safely("CostMonitor")
        self._overrides = Overrides()
        self._trainer: Any = None
        self._known: dict[Hashable, float] = {}  # shapes -> FLOPs of a step, as counted last
        self._confirmed: set[Hashable] = set()
        self._epoch: dict[Hashable, _Steps] = {}
        self._compared = False  # a step of this epoch with one of an earlier epoch
        self._settings: list[Any] = []
        self._differ = False  # steps with the same key
        self._trained: list[bool] = []
        self._freezes = 0  # how often that has changed
        self._number = 0
        self._expects = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trainer": None, "_overrides": Overrides()}

    def attach(self, trainer: Any) -> None:
        """Count the training steps of ``trainer`` until ``detach``."""
        with self._safely("preparing to count FLOPs"):
            self._overrides, self._trainer = around_training_steps(trainer, self.around), trainer

    def step_begins(self) -> None:
        """A batch of the run comes next. Steps without it do not count: a learning rate or batch size finder's."""
        self._expects = True

    def detach(self) -> None:
        """Count no more. Doing it twice does nothing more."""
        self._overrides.undo()
        self._trainer = None

    @property
    def so_far(self) -> float:
        """FLOPs since the last ``take``; NaN if they are not known."""
        if self._safely.failed:
            return math.nan
        flops = math.fsum(steps.all * self._mean(key) for key, steps in self._epoch.items())
        # A step without one product is a step that runs where nothing can be counted, as in a replayed CUDA graph.
        return math.nan if self._epoch and not flops else flops

    def take(self) -> float:
        """FLOPs since the last ``take``, at the end of an epoch; NaN if they are not known."""
        flops, self._epoch, self._compared = self.so_far, {}, False
        return flops

    def around(self, step: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Run a step, and count it if that is due."""
        expected, self._expects = self._expects, False
        if self._safely.failed or not expected:
            return step(*given, **named)
        key: Hashable = None
        with self._safely("telling the shapes of a batch"):
            self._notice_other_settings()
            self._notice_frozen_layers()
            key = self._key((*given, named))
        self._number += 1
        varies = runs_the_model_repeatedly(self._trainer)
        if not (varies or self._is_due(key)) or not self._can_count():
            result = step(*given, **named)
            self._steps(key).all += 1
        else:
            with FlopMode(self._safely) as mode:
                result = step(*given, **named)
            self._note(key, mode.flops, varies)
        with self._safely("looking for frozen layers"):
            self._notice_frozen_layers(at_end=True)
        return result

    def _notice_other_settings(self) -> None:
        """They change between epochs: sequences grow, say, and the first batch is one that is shorter anyway."""
        if self._epoch:
            return
        settings = [getattr(callback, "step_settings", None) for callback in self._trainer.callbacks]
        if settings != self._settings:
            self._settings, self._known, self._confirmed = settings, {}, set()

    def _notice_frozen_layers(self, at_end: bool = False) -> None:
        """In an epoch's first and last step and one in 7 between: to look at 160 parameters takes up to 0.1 ms."""
        inside = self._epoch and (self._differ or self._number % SAMPLED)
        if not self._trainer.is_last_batch if at_end else inside:
            return
        groups = [group for optimizer in self._trainer.optimizers for group in optimizer.param_groups]
        trained = [parameter.requires_grad for group in groups for parameter in group["params"]]
        if trained == self._trained:
            return
        if self._epoch:
            self.is_exact = False
        self._trained, self._freezes = trained, self._freezes + 1
        self._known, self._confirmed = {key: self._known[key] for key in self._epoch}, set()

    def _key(self, given: Any) -> Hashable:
        if len(self._known) > SHAPES:
            self._estimate()
            return self._is_early, None
        shapes = self._freezes, accumulates(self._trainer), tuple(_shapes(given, []))
        return (self._is_early, *shapes) if self._differ else shapes

    def _is_due(self, key: Hashable) -> bool:
        if key not in self._confirmed:
            return True
        if self._differ:
            return self._is_early or self._number % SAMPLED == 0
        return not (self._compared or key in self._epoch) or self._number % CHECKED == 0

    @property
    def _is_early(self) -> bool:
        return sum(steps.all for steps in self._epoch.values()) < FIRST

    def _can_count(self) -> bool:
        """Whether the step works as well under a dispatch mode: an error inside it could not be undone."""
        with self._safely("counting FLOPs"):
            kind = unmakable_tensor()
            if kind is not None:
                self._safely.note("counting FLOPs", f"no {kind} could be made while operations are counted")
        return not self._safely.failed

    def _note(self, key: Hashable, flops: int, varies: bool) -> None:
        before = self._known.get(key)
        is_first = before is not None and not (self._compared or key in self._epoch)
        self._compared |= is_first
        if before is not None and flops != before and not varies:
            if is_first:
                self._known, self._confirmed, before = {each: self._known[each] for each in self._epoch}, set(), None
            else:
                self._estimate()
        steps = self._steps(key)
        steps.all += 1
        steps.counted += 1
        steps.flops += flops
        self._known[key] = self._mean(key)
        if before is not None:
            self._confirmed.add(key)

    def _estimate(self) -> None:
        self._differ, self.is_exact = True, False

    def _steps(self, key: Hashable) -> _Steps:
        found = self._epoch.get(key)
        if found is None:
            found = self._epoch[key] = _Steps()
        return found

    def _mean(self, key: Hashable) -> float:
        steps = self._epoch[key]
        return steps.flops / steps.counted if steps.counted else self._known[key]


def _shapes(batch: Any, found: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The shapes of all tensors in a batch of the usual kinds are added to those that were found."""
    if isinstance(batch, torch.Tensor):
        found.append(batch.shape)
    elif isinstance(batch, list | tuple):
        for part in batch:
            _shapes(part, found)
    elif isinstance(batch, Mapping):
        _shapes(list(batch.values()), found)
    elif is_dataclass(batch):
        _shapes([getattr(batch, field.name) for field in fields(batch)], found)
    return found
