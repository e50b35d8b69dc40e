"""The cooldown as a change: the learning rate decays to zero, then the run ends."""

import functools
import math
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from typing_extensions import override

from lightning_critperiod.lightning_seam import Overrides, averages_at_the_end, finished_epochs, unfinished_batches
from lightning_critperiod.recipe import Change, Cooldown
from lightning_critperiod.timeline import Phase

KEPT = {"momentum", "betas"}
"""What schedulers such as OneCycleLR change beside the learning rate; it stands still in the cooldown."""

SHORTENED = "; shortened to "


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
        self._rates: list[list[dict[str, Any]]] = []
        self._batches: dict[int, int] = {}  # epoch -> its batches so far, of the last two

    @property
    def last_epoch(self) -> int | None:
        """The last epoch of the run; None as long as there is no cooldown."""
        return None if self.start_epoch is None else math.ceil(self.start_epoch + self.length - 1e-9) - 1

    @property
    def learned(self) -> float:
        """Batches of the last complete epoch, for loaders that have no length; infinite before there is one."""
        return self._batches.get(finished_epochs(self._trainer) - 1, math.inf)

    def begin(self, epoch: int, length: float, reason: str) -> None:
        """The cooldown begins with a 0-based epoch and lasts ``length`` epochs, from the rates as they are now."""
        self.start_epoch, self.length, self.reason = epoch, length, reason
        self._rates = [[_kept(group, epoch) for group in each.param_groups] for each in self._trainer.optimizers]

    def shorten(self, length: float, why: str) -> None:
        """Let the cooldown last ``length`` epochs in all; the rate goes on from what it is at that length."""
        self.length, self.reason = length, f"{self.reason.partition(SHORTENED)[0]}{SHORTENED}{why}"

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        if any(map(averages_at_the_end, trainer.callbacks)):
            rank_zero_warn(
                "StochasticWeightAveraging uses its average only after max_epochs. If a cooldown ends the run before, "
                "the model has the weights of the last step. EMAWeightAveraging works in a run of any length."
            )
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
        last = self.last_epoch
        if last is None or finished_epochs(trainer) <= last:
            return
        self._end_with(last)
        rank_zero_info(
            f"This run has ended with its cooldown after {last + 1} epochs, so nothing is trained: to go on at the "
            "full rate, resume from the checkpoint that was saved before the cooldown."
        )

    @override
    def apply(self, phase: Phase) -> None:
        """Begin the epoch; the phase says nothing here, because a guard does not take a cooldown back."""
        if self.last_epoch is not None:
            self._end_with(self.last_epoch)
            self._set_rates(self._part(unfinished_batches(self._trainer)))

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Last of all before the step, so that a module which sets its rate by itself does not undo the cooldown."""
        if self._rates:
            self._set_rates(self._part(trainer.fit_loop.epoch_loop.batch_idx))

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, batch_idx: int) -> None:
        epoch = finished_epochs(trainer)
        self._batches = {e: n for e, n in self._batches.items() if e == epoch - 1} | {epoch: batch_idx + 1}

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
            "rates": self._rates,
            "batches": dict(self._batches),
        }

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.start_epoch, self.length, self.reason = state["start_epoch"], state["length"], state["reason"]
        self._rates, self._batches = state["rates"], dict(state["batches"])

    def _end_with(self, last: int) -> None:
        loop = self._trainer.fit_loop
        if loop.max_epochs != last + 1:
            self._overrides.put(loop, "max_epochs", last + 1)

    def _part(self, batches: int) -> float:
        """U when ``batches`` of this epoch are done."""
        trainer = self._trainer
        assert self.start_epoch is not None
        accumulate, whole = trainer.accumulate_grad_batches, trainer.num_training_batches
        whole = self.learned if whole == math.inf else whole
        steps = math.ceil(batches / accumulate) if batches >= whole else batches // accumulate
        within = 0.0 if whole == math.inf else min(1.0, steps / math.ceil(whole / accumulate))
        return (finished_epochs(trainer) - self.start_epoch + within) / self.length

    def _set_rates(self, part: float) -> None:
        factor = self.cooldown.factor(part)
        for optimizer, groups in zip(self._trainer.optimizers, self._rates, strict=False):
            groups += [_kept(group, 1) for group in optimizer.param_groups[len(groups) :]]  # added since, as by a thaw
            for group, at_start in zip(optimizer.param_groups, groups, strict=False):
                _set(group, "lr", at_start["lr"] * factor)
                for name in KEPT & at_start.keys():
                    group[name] = tuple(at_start[name]) if name == "betas" else at_start[name]


def _kept(group: dict[str, Any], epoch: int) -> dict[str, Any]:
    # A run that is a cooldown from its first step on has no time for the user's warm-up, which may begin at zero.
    rate = max(float(group["lr"]), float(group.get("initial_lr", 0.0))) if epoch == 0 else float(group["lr"])
    kept = {name: group[name] for name in KEPT & group.keys() if not isinstance(group[name], Tensor)}
    return {"lr": rate, **{name: list(value) if name == "betas" else value for name, value in kept.items()}}


def _set(group: dict[str, Any], name: str, value: float) -> None:
    """A rate that is a tensor stays that tensor: a compiled or captured step reads its memory."""
    if isinstance(group[name], Tensor):
        group[name].fill_(value)
    else:
        group[name] = value
