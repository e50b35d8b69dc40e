"""The callback: measure once an epoch, decide, apply. The hooks live here and only here."""

import copy
import dataclasses
import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from typing_extensions import override

from lightning_critperiod import verify
from lightning_critperiod.declaration import DeclaredVolume
from lightning_critperiod.detector import Detector
from lightning_critperiod.drive import Drive
from lightning_critperiod.epoch_length import finished_epochs, last_epoch_again
from lightning_critperiod.logs import log_epoch, show_verdict
from lightning_critperiod.namespace import Callback
from lightning_critperiod.override import Overrides
from lightning_critperiod.own_rule import own_rule
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import LayerRotation, Signal
from lightning_critperiod.timeline import Timeline


class CriticalPeriodCallback(Callback):
    """Ends the expensive recipe when the critical learning period is over.

    At the end of every training epoch it measures a signal of the training dynamics, asks a rule whether the period is
    over, and from then on lets an epoch draw what the recipe says. Without a recipe of its own the full volume is the
    one that the datamodule declares (or the user's loader as it is), so an unchanged project never gets more expensive.

    Source: Fukase et al. 2025, arXiv 2506.15954.

    Args:
        signal: What is measured once an epoch. None is ``LayerRotation()``.
        rule: When the period is over. None is the rule that belongs to the signal: ``Slope()`` for layer rotation,
            ``LowOutlier()`` for gradient confusion, ``Forecast(mode="max")`` (ours, none was published) for gradient
            predictiveness; ``MonitoredMetric`` has none.
        recipe: How much an epoch draws during the period, after it, and in the last part of training.
        lr_policy: "epoch_equivalent" lets step-wise LR schedulers follow the planned epochs, so that they end where
            they should; "unchanged" leaves them to Lightning.
        observe_only: Measure and decide, and change nothing.

    Attributes:
        history: 0-based epoch -> value of the signal; epochs without a value are missing.
        end_epoch: The first epoch after the critical period, None as long as it is not over.
        reason: The decision in words.
        volumes: 0-based epoch -> the volume that it really drew.
        full_volume: The full recipe's volume in this run.
        detector_seconds: Seconds spent on measuring, deciding and setting the volume in this process.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: ``lr_policy`` is unknown, or the signal has no rule of its own and none was given. At the start of
            ``fit``: the run has no last epoch, the rule cannot work in it, a volume leaves nothing to draw, or a second
            callback drives the same run.

    Example:
        >>> from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
        >>> callback = CriticalPeriodCallback(rule=AtEpoch(10), recipe=Recipe(after=Volume(pruning_ratio=0.5)))
    """

    def __init__(
        self,
        signal: Signal | None = None,
        rule: Rule | None = None,
        recipe: Recipe = Recipe(),
        lr_policy: Literal["epoch_equivalent", "unchanged"] = "epoch_equivalent",
        observe_only: bool = False,
    ) -> None:
        self.signal = LayerRotation() if signal is None else signal
        verify.check_arguments(self.signal, rule, recipe, lr_policy, observe_only)
        self.rule = own_rule(self.signal) if rule is None else rule
        self.recipe = recipe
        self.lr_policy = lr_policy
        self.observe_only = observe_only
        self._drive: Drive | None = None
        self._bar = Overrides()
        self._max_epochs = 0
        self._forget()

    def _forget(self) -> None:
        self.history: dict[int, float] = {}
        self.end_epoch: int | None = None
        self.reason = ""
        self.volumes: dict[int, Volume] = {}
        self.full_volume = Volume()
        self.detector_seconds = 0.0
        self._seed: int | None = None
        self._measured = -1  # the last epoch at whose end the signal was asked; it may have had no value
        self._learned: list[int | None] = []  # batches of the loaders that have no length
        self.signal.reset()

    # Stand-ins for what the redesigned callback has; the record reads them.
    back_epoch: int | None = None
    cooldown_epoch: int | None = None
    last_epoch: int | None = None
    guard_reason = ""

    @property
    def settings(self) -> dict[int, dict[str, float | int | str | bool]]:
        """0-based epoch -> what each change but the volume had."""
        return {}

    @property
    def timeline(self) -> Timeline:
        """The phases, by what is decided so far. An observer's say what would be."""
        fraction = self.recipe.annealing_fraction
        return Timeline(self._max_epochs or None, self.end_epoch, annealing_fraction=fraction)

    @property
    def detector(self) -> Detector:
        """The history and what was decided from it."""
        detector = Detector(self.signal.name, self.rule, self._max_epochs)
        detector.history, detector.end_epoch, detector.reason = self.history, self.end_epoch, self.reason
        return detector

    @property
    @override
    def state_key(self) -> str:
        """Tells two callbacks apart, but not by rule or recipe: a run may be resumed with others."""
        return self._key(self.observe_only)

    def _key(self, observe_only: bool) -> str:
        return str(self._generate_state_key(signal=self.signal.name, observe_only=observe_only))

    @override
    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Who only observed may drive on resume, and the other way round."""
        states = checkpoint.get("callbacks", {})
        other = states.get(self._key(not self.observe_only))
        if self.state_key not in states and other:
            self.load_state_dict(copy.deepcopy(other))

    @override
    def state_dict(self) -> dict[str, Any]:
        if not self.volumes:
            return {}
        return {
            "history": dict(self.history),
            "end_epoch": self.end_epoch,
            "reason": self.reason,
            "volumes": {epoch: (v.augmentation_multiplier, v.pruning_ratio) for epoch, v in self.volumes.items()},
            "seed": self._seed,
            "measured": self._measured,
            "learned": self._drive.learned if self._drive else self._learned,
            "signal": self.signal.state_dict(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = dict(state_dict["history"])
        self.end_epoch = state_dict["end_epoch"]
        self.reason = state_dict["reason"]
        self.volumes = {epoch: Volume(*values) for epoch, values in state_dict["volumes"].items()}
        self._seed = state_dict["seed"]
        self._measured = state_dict["measured"]
        self._learned = list(state_dict["learned"])
        self.signal.load_state_dict(state_dict["signal"])

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        self._undo()
        drivers = [c for c in trainer.callbacks if isinstance(c, CriticalPeriodCallback) and not c.observe_only]
        verify.check_run(trainer, self.rule, drivers)
        self._max_epochs = trainer.max_epochs  # weight averaging lets the Trainer run one more, for batch norm
        if finished_epochs(trainer) == 0:
            self._forget()
        declared = DeclaredVolume(trainer.datamodule) if DeclaredVolume.is_declared(trainer.datamodule) else None
        own = declared.volume if declared else Volume()
        self.full_volume = own if self.observe_only else self.recipe.during or own
        show_verdict(
            self._bar, trainer, "observed" if self.observe_only else "period", lambda: self.end_epoch is not None
        )
        if self.observe_only:
            return
        if self._seed is None:
            self._seed = trainer.strategy.broadcast(torch.initial_seed() % 2**63)
        self._drive = Drive(trainer, dataclasses.replace(self.recipe, during=self.full_volume), declared, self._seed)
        self._drive.install(pl_module if self.lr_policy == "epoch_equivalent" else None)

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step and not self.volumes:
            rank_zero_warn(
                "The critical period of this run began without CriticalPeriodCallback (its state is not in the "
                "checkpoint): it is measured from here on, against the weights as they are now."
            )
        with self._timed():
            self.signal.on_train_start(trainer, pl_module)
        finished = finished_epochs(trainer)
        if self.volumes and self._measured < finished - 1:
            # From a checkpoint of an epoch's last batch: Lightning does not call the end of that epoch any more.
            with last_epoch_again(trainer):
                self._measure(trainer, pl_module, finished - 1)
        self._ask(finished)
        if self._drive is not None:
            self._drive.start(self.end_epoch, self._seed, self.volumes, self._learned)

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if self._drive is not None:
            self._drive.write()

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.volumes[finished_epochs(trainer)] = self._volume_now(trainer)
        with self._timed():
            self.signal.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        with self._timed():
            self.signal.on_before_optimizer_step(trainer, pl_module, optimizer)

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._drive is not None:
            self._drive.on_train_batch_end(batch_idx)
        with self._timed():
            self.signal.on_train_batch_end(trainer, pl_module)

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.signal.on_validation_start(trainer, pl_module)

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.signal.on_validation_end(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epoch = finished_epochs(trainer) - 1  # Lightning counts this epoch as processed already
        if epoch < self._max_epochs:
            self._measure(trainer, pl_module, epoch)
            self._ask(epoch + 1)
        volume = self.volumes.get(epoch, self._volume_now(trainer))
        log_epoch(pl_module, self.signal.name, self.history.get(epoch), volume, self.end_epoch is not None)
        if self._drive is not None and epoch + 1 < trainer.max_epochs:
            with self._timed():
                self._drive.set_volume(epoch + 1, self.end_epoch)

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self.end_epoch is None:
            self.reason = f"critical period not over in {finished_epochs(trainer)} epochs: {self.rule} never fired"

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._undo()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._undo()

    def _undo(self) -> None:
        """Leave no trace on trainer, strategy, module and datamodule. The state stays: it may be saved after this."""
        if self._drive is not None:
            self._learned = self._drive.learned
            self._drive.undo()
        self._drive = None
        self._bar.undo()

    def _measure(self, trainer: Any, pl_module: Any, epoch: int) -> None:
        with self._timed():
            # Rank 0's value counts: metrics that are not synchronised differ between ranks, decisions must not.
            value = trainer.strategy.broadcast(self.signal.measure(trainer, pl_module))
        self._measured = epoch
        if value is not None:
            self.history[epoch] = float(value)

    def _ask(self, finished: int) -> None:
        """Ask the rule, with NaN for the epochs that are over but were not measured."""
        if self.end_epoch is not None:
            return
        history = dict.fromkeys(range(finished), math.nan) | self.history
        if self.rule(history, self._max_epochs):
            self.end_epoch = finished
            when = f"over after epoch {finished - 1}" if finished else "over before the first epoch"
            name = self.signal.name.replace("_", " ")
            self.reason = f"critical period {when}: {name} {self.rule.why(history, self._max_epochs)}"
            rank_zero_info(self.reason)

    def _volume_now(self, trainer: Any) -> Volume:
        for callback in trainer.callbacks:
            if isinstance(callback, CriticalPeriodCallback) and callback._drive is not None:
                return callback._drive.volume
        return self.full_volume

    @contextmanager
    def _timed(self) -> Generator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.detector_seconds += time.perf_counter() - start
