"""The hooks: measure once an epoch, decide, apply. All hooks are in this file."""

from typing import Any, Literal

from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_critperiod import watching
from lightning_critperiod.callback.driving import Driving
from lightning_critperiod.changes import Guard, own_volume
from lightning_critperiod.lightning_seam import (
    epochs_in_steps,
    finished_epochs,
    last_epoch_again,
    planned_epochs,
    register,
    send_back,
)
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import LayerRotation, Signal
from lightning_critperiod.watching import Watch

LR_POLICIES = ("epoch_equivalent", "unchanged")


class CriticalPeriodCallback(Driving):
    """Decides when the critical learning period is over, and then runs a cheaper recipe.

    At the end of every training epoch it measures a signal of the training dynamics and asks a rule whether the period
    is over. From then on the run does what the recipe says. With nothing given it only observes: it measures, decides,
    says what it would have saved, and changes nothing. Give a rule or a recipe to let it act. Unless the recipe has its
    own ``during``, its full volume is the one that the datamodule declares, or the user's loader as it is.

    Of several in one Trainer, one acts and the others observe. Observers must differ in signal or rule: Lightning
    refuses two with the same settings when the Trainer is made ("more than one stateful callback").

    Source: Fukase et al. 2025, arXiv 2506.15954.

    Args:
        signal: What is measured once an epoch. None is ``LayerRotation()``.
        rule: When the period is over. None is the rule that belongs to the signal; ``MonitoredMetric`` has none.
        recipe: What holds during the period, after it, and in the last part of training. None is ``Recipe()``.
        lr_policy: "epoch_equivalent" lets step-wise LR schedulers follow the planned epochs, so that they end where
            they should; "unchanged" leaves them to Lightning.
        observe_only: Measure and decide, but change nothing. None is True if neither rule nor recipe is given.
        guard: Undoes the changes when a metric drops; None is no guard.

    Attributes:
        volumes: 0-based epoch -> the volume that it drew.
        settings: 0-based epoch -> name of a change of the recipe -> its setting in that epoch.
        full_volume: The full recipe's volume in this run.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: ``lr_policy`` is unknown, or the signal has no rule of its own and none was given. At the start of
            ``fit``: the rule cannot work in the run, a volume leaves nothing to draw, a change cannot be made,
            or a second callback drives the same run.

    Example:
        >>> from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
        >>> callback = CriticalPeriodCallback(rule=AtEpoch(10), recipe=Recipe(after=Volume(pruning_ratio=0.5)))
    """

    def __init__(
        self,
        signal: Signal | None = None,
        rule: Rule | None = None,
        recipe: Recipe | None = None,
        lr_policy: Literal["epoch_equivalent", "unchanged"] = "epoch_equivalent",
        observe_only: bool | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.signal = LayerRotation() if signal is None else signal
        _check_kinds(signal=(self.signal, Signal), rule=(rule, Rule), recipe=(recipe, Recipe))
        _check_kinds(observe_only=(observe_only, bool), guard=(guard, Guard))
        if lr_policy not in LR_POLICIES:
            raise ValueError(f"lr_policy must be one of {LR_POLICIES}, got {lr_policy!r}")
        self.rule = self.signal.default_rule() if rule is None else rule
        self.lr_policy = lr_policy
        self.observe_only = rule is None and recipe is None if observe_only is None else observe_only
        super().__init__(Watch(self.signal, self.rule, guard), Recipe() if recipe is None else recipe)
        self.token = register(self)
        self._prefix = watching.PREFIX
        self._begun: int | None = None  # the epoch of the last batch in this fit

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        self._undo()
        ours = [callback for callback in trainer.callbacks if isinstance(callback, CriticalPeriodCallback)]
        drivers = [callback for callback in ours if not callback.observe_only]
        if len(drivers) > 1:
            raise ValueError(
                f"one callback may drive a run, got {' and '.join(type(driver).__name__ for driver in drivers)}: give "
                "one CriticalPeriodCallback a recipe with all the changes and the cooldown, or let the others observe "
                "(observe_only=True)."
            )
        self._max_epochs = planned_epochs(trainer)
        again = bool(self.volumes)
        if finished_epochs(trainer) == 0:
            self._forget()
        if not trainer.fast_dev_run and (self._max_epochs is not None or trainer.max_steps == -1):
            self._watch.check_run(self._max_epochs, acts=not self.observe_only, again=again)
        own = own_volume(trainer)
        self.full_volume = own if self.observe_only else self.recipe.during or own
        self._prefix = (
            watching.PREFIX if len(ours) == 1 or not self.observe_only else watching.observer_prefix(self, ours)
        )
        label = "observed" if self.observe_only else "period"
        watching.show_verdict(self._overrides, trainer, label, lambda: "critical" if self.end_epoch is None else "over")
        send_back(trainer, self)
        if not self.observe_only:
            self._drive(trainer, pl_module)

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._begun = None
        if trainer.global_step and not self.volumes:
            rank_zero_warn(
                "The critical period of this run began without CriticalPeriodCallback (its state is not in the "
                "checkpoint): it is measured from here on, against the weights as they are now."
            )
        if trainer.max_steps != -1 and not trainer.fast_dev_run:
            self._plan_by_steps(trainer)
        self.detector.max_epochs = self._max_epochs
        self._watch.start(trainer, pl_module, acts=not self.observe_only)
        finished = finished_epochs(trainer)
        if self.volumes and self._watch.measured < finished - 1:
            # From a checkpoint of an epoch's last batch: Lightning does not call the end of that epoch any more.
            with last_epoch_again(trainer):
                self._watch.measure(trainer, pl_module, finished - 1)
        self._watch.decide(finished, acts=not self.observe_only)
        self._start_driving(trainer, pl_module, finished)

    def _plan_by_steps(self, trainer: Any) -> None:
        """The run may end with ``max_steps`` before ``max_epochs``."""
        batches = trainer.num_training_batches if self._driver is None else self._driver.batches(self.full_volume)
        known = [epochs for epochs in (self._max_epochs, epochs_in_steps(trainer, batches)) if epochs is not None]
        planned = min(known, default=None)
        if planned is None or planned != self._max_epochs:
            self._max_epochs = planned
            self._watch.check_run(planned, acts=not self.observe_only)

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        epoch = finished_epochs(trainer)
        if epoch != self._begun:
            self._begin_epoch(trainer, epoch)
        if self._driver is not None:
            self._driver.on_train_batch_start(pl_module, batch, batch_idx)
        self._watch.call("on_train_batch_start", trainer, pl_module, batch, batch_idx)

    def _begin_epoch(self, trainer: Any, epoch: int) -> None:
        self._begun = epoch
        self.volumes[epoch] = self._volume_now(trainer)
        if self._driver is not None:
            self.settings[epoch] = self._driver.settings

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self._driver is not None:
            self._driver.on_before_optimizer_step(pl_module, optimizer)
        self._watch.call("on_before_optimizer_step", trainer, pl_module, optimizer)

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._driver is not None:
            self._driver.on_train_batch_end(pl_module, batch_idx)
        self._watch.call("on_train_batch_end", trainer, pl_module)

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._watch.call("on_validation_start", trainer, pl_module)
            self._price_validation("validation_begins", trainer)

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._watch.call("on_validation_end", trainer, pl_module)
            self._price_validation("validation_ends", trainer)

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epoch = finished_epochs(trainer) - 1  # Lightning counts this epoch as processed already
        end = self.timeline.end
        if end is None or epoch < end:
            self._watch.measure(trainer, pl_module, epoch)
            with self._watch.safely("asking the rule"):
                self._watch.decide(epoch + 1, acts=not self.observe_only)
            self._decide_about_cooldown(trainer, epoch)
        with self._watch.safely("logging"):
            watching.log_epoch(pl_module, self._prefix, self.logged(epoch))

    @override
    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        if state and self._cooldown is not None:  # rank 0's state is saved, and another rank may have been asked
            state["request"] = self._cooldown.agree(trainer)

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._watch.finish(finished_epochs(trainer))
        if self._driver is not None:
            self._driver.on_train_end(pl_module)
        if self._cooldown is not None and self._driver is not None:
            self._cooldown.finish(trainer, finished_epochs(trainer))

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._undo()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._undo()

    def _undo(self) -> None:
        """Leave no trace on trainer, strategy, module and datamodule. The state stays: it may be saved after this."""
        if self._driver is not None:
            if self._driver.started:
                self._learned, self._states = self._driver.learned, self._driver.state
            self._driver.undo()
        self._driver = None
        if self._cooldown is not None:
            self._cooldown.meter.pause()
        self._overrides.undo()
        self._watch.teardown()

    def _volume_now(self, trainer: Any) -> Volume:
        for callback in trainer.callbacks:
            if isinstance(callback, CriticalPeriodCallback) and callback._driver is not None:
                return callback._driver.volume
        return self.full_volume


def _check_kinds(**values: tuple[object, type]) -> None:
    for name, (value, kind) in values.items():
        if not isinstance(value, kind | None):
            raise TypeError(f"{name} must be a {kind.__name__}, got {value!r}")
