"""The cooldown as a change: the learning rate decays to zero, then the run ends."""

import functools
import math
from typing import Any

from torch import Tensor
from typing_extensions import override

from lightning_critperiod.lightning_seam import Overrides, finished_epochs, unfinished_batches
from lightning_critperiod.recipe import Change, Cooldown
from lightning_critperiod.timeline import Phase

KEPT = ("momentum", "betas")
"""What schedulers such as OneCycleLR change beside the learning rate; it stands still in the cooldown."""


class CooldownChange(Change):
    """Lets the learning rate of every parameter group decay to zero, from an epoch on that is decided in the run.

    With c the first epoch of the cooldown, d its length in epochs and u = (epochs done since c + optimizer steps of
    this epoch over all of its steps) / d, a step is taken at the rate of the start times ``Cooldown.factor(u)``. That
    needs no counter, so a resumed run continues exactly. A length that is no whole number ends in mid-epoch, with
    ``max_steps``.

    Args:
        cooldown: Its shape.

    Attributes:
        start_epoch: c; None as long as there is no cooldown.
        length: d, in epochs.
        reason: Why it began, in words.
        undone: Whether this run was resumed from the checkpoint of the moment before the cooldown.
    """

    name = "cooldown"

    def __init__(self, cooldown: Cooldown) -> None:
        self.cooldown = cooldown
        self._overrides = Overrides()
        self._trainer: Any = None
        self.forget()

    def forget(self) -> None:
        """A new run starts."""
        self.start_epoch: int | None = None
        self.length = 0.0
        self.reason = ""
        self.undone = False
        self._rates: list[list[dict[str, Any]]] = []
        self._batches_before = self._batches_now = 0  # of an epoch, for loaders that have no length

    @property
    def last_epoch(self) -> int | None:
        """The last epoch of the run; None as long as there is no cooldown."""
        return None if self.start_epoch is None else math.ceil(self.start_epoch + self.length - 1e-9) - 1

    def begin(self, epoch: int, length: float, reason: str) -> None:
        """The cooldown begins with a 0-based epoch and lasts ``length`` epochs."""
        self.start_epoch, self.length, self.reason = epoch, length, reason

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        self._trainer = trainer
        loop = trainer.fit_loop.epoch_loop
        update = loop.update_lr_schedulers

        @functools.wraps(update)
        def update_lr_schedulers(interval: str, update_plateau_schedulers: bool) -> None:
            if not self._rates:
                update(interval, update_plateau_schedulers=update_plateau_schedulers)
            elif interval == "step":
                self._set_rates(self._part(loop.batch_idx + 1))

        self._overrides.put(loop, "update_lr_schedulers", update_lr_schedulers)

    @override
    def start(self, trainer: Any, pl_module: Any) -> None:
        self._end_the_run()  # a run that was resumed after its last batch has no epoch left to begin

    def _end_the_run(self) -> None:
        loop = self._trainer.fit_loop
        if self.last_epoch is not None and loop.max_epochs != self.last_epoch + 1:
            self._overrides.put(loop, "max_epochs", self.last_epoch + 1)

    @override
    def apply(self, phase: Phase) -> None:
        """Begin the epoch; the phase says nothing here, because a guard does not take a cooldown back."""
        trainer = self._trainer
        self._batches_before, self._batches_now = self._batches_now or self._batches_before, 0
        if self.start_epoch is None or finished_epochs(trainer) < self.start_epoch or self.last_epoch is None:
            return
        self._rates = self._rates or [[_rates(g) for g in optimizer.param_groups] for optimizer in trainer.optimizers]
        self._end_the_run()
        self._set_rates(self._part(unfinished_batches(trainer)))

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Last of all before the step, so that a module which sets its rate by itself does not undo the cooldown."""
        if self._rates:
            self._set_rates(self._part(trainer.fit_loop.epoch_loop.batch_idx))

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, batch_idx: int) -> None:
        self._batches_now = batch_idx + 1

    @override
    def undo(self) -> None:
        self._overrides.undo()
        self._trainer = None

    @property
    @override
    def setting(self) -> float:
        return self.cooldown.factor(self._part(0)) if self._rates else 1.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "start_epoch": self.start_epoch,
            "length": self.length,
            "reason": self.reason,
            "undone": self.undone,
            "rates": self._rates,
            "batches": self._batches_now or self._batches_before,
        }

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.start_epoch, self.length, self.reason = state["start_epoch"], state["length"], state["reason"]
        self.undone, self._rates, self._batches_before = state["undone"], state["rates"], state["batches"]

    def _part(self, batches: int) -> float:
        """U when ``batches`` of this epoch are done."""
        trainer = self._trainer
        assert self.start_epoch is not None
        accumulate, whole = trainer.accumulate_grad_batches, trainer.num_training_batches
        whole = (self._batches_before or math.inf) if whole == math.inf else whole
        steps = math.ceil(batches / accumulate) if batches >= whole else batches // accumulate
        within = 0.0 if whole == math.inf else min(1.0, steps / math.ceil(whole / accumulate))
        return (finished_epochs(trainer) - self.start_epoch + within) / self.length

    def _set_rates(self, part: float) -> None:
        factor = self.cooldown.factor(part)
        for optimizer, groups in zip(self._trainer.optimizers, self._rates, strict=False):
            for group, at_start in zip(optimizer.param_groups, groups, strict=False):
                _set(group, "lr", at_start["lr"] * factor)
                for name in KEPT:
                    if name in at_start:
                        group[name] = tuple(at_start[name]) if name == "betas" else at_start[name]


def _rates(group: dict[str, Any]) -> dict[str, Any]:
    kept = {name: group[name] for name in KEPT if name in group and not isinstance(group[name], Tensor)}
    return {"lr": float(group["lr"]), **{name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}}


def _set(group: dict[str, Any], name: str, value: float) -> None:
    """A rate that is a tensor stays that tensor: a compiled or captured step reads its memory."""
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
