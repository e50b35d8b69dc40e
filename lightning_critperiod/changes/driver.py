"""All changes of one fit: set up together, applied before every epoch, undone together."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning_critperiod import lightning_seam
from lightning_critperiod.changes.cooldown import CooldownChange
from lightning_critperiod.changes.volume import VolumeChange
from lightning_critperiod.lightning_seam import EpochStart, Safely, StepTotal, finished_epochs
from lightning_critperiod.recipe import Change, Volume
from lightning_critperiod.rules import History
from lightning_critperiod.timeline import Timeline

HOOKS = ("on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end", "on_train_end")


class Driver:
    """Applies the changes of a run that the callback drives.

    Args:
        trainer: The Trainer that fits.
        volume: The data volume.
        others: The other changes.
        cooldown: What ends the run; None leaves that to the Trainer.
        timeline: Answers the phases, by what is decided so far.
        history: Answers the values of the signal.
        safely: Turns what fails after the first batch into a warning.

    Attributes:
        settings: Name of a change -> its setting in the epoch that runs.
        started: Whether the state of the changes is that of this fit.
    """

    def __init__(
        self,
        trainer: Any,
        volume: VolumeChange,
        others: Sequence[Change],
        cooldown: CooldownChange | None,
        timeline: Callable[[], Timeline],
        history: Callable[[], History],
        safely: Safely,
    ) -> None:
        lightning_seam.check_privates(trainer)
        self.trainer = trainer
        self.volume_change = volume
        self.cooldown = cooldown
        # The cooldown's hold on the schedulers is around that of the volume's.
        self.changes: list[Change] = [*others, volume, *([] if cooldown is None else [cooldown])]
        self.settings: dict[str, Any] = {}
        self.started = False
        self._timeline = timeline
        self._history = history
        self._safely = safely
        self._total: StepTotal | None = None
        self._epoch_start: EpochStart | None = None
        self._hearing = {hook: [c for c in self.changes if _overrides(c, hook)] for hook in HOOKS}

    def setup(self, pl_module: Any) -> None:
        """Put everything in place before the module configures its optimizers."""
        for change in self.changes:
            change.setup(self.trainer, pl_module)
        draws = self.volume_change.draws
        self._before = draws.volume, draws.own
        self._total = StepTotal(self.trainer)
        self._epoch_start = EpochStart(self.trainer, self._apply_safely, self._ready_safely)

    def load(self, state: Mapping[str, Any]) -> None:
        """Take the states of the changes back, those of this recipe."""
        for change in self.changes:
            if change.name in state:
                change.load_state_dict(state[change.name])

    def start(
        self, pl_module: Any, seed: int | None, drawn: Mapping[int, Volume], learned: Sequence[int | None]
    ) -> None:
        """Apply the phase of the first epoch of this fit; state that was restored is known by now.

        Args:
            pl_module: The module that is trained.
            seed: The seed of the draws of the session that this one continues.
            drawn: Epoch -> the volume that it drew in that session.
            learned: See ``TrainLoaders.learned``.
        """
        assert self._epoch_start is not None
        lightning_seam.begin_next_epoch(self.trainer)
        self.volume_change.take_over(seed, drawn, learned)
        for change in self.changes:
            change.look(self._timeline(), self._history())
            change.start(self.trainer, pl_module)
        epoch = finished_epochs(self.trainer)
        self._apply(epoch)
        if not lightning_seam.has_loaders(self.trainer):
            self.trainer.fit_loop.setup_data()
        told = self.trainer.num_training_batches
        self._loaders_are_ready(epoch)
        self.volume_change.ready_to_train(self._before, told)
        self._epoch_start.begun = epoch
        self.started = True

    def undo(self) -> None:
        """Leave no trace on trainer, strategy, module and datamodule."""
        for part in (self._epoch_start, self._total):
            if part is not None:
                part.undo()
        self._epoch_start = self._total = None
        for change in reversed(self.changes):
            with self._safely(f"undoing {change.name}"):
                change.undo()

    def on_train_batch_start(self, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Hand the hook on."""
        self._call("on_train_batch_start", pl_module, batch, batch_idx)

    def on_before_optimizer_step(self, pl_module: Any, optimizer: Any) -> None:
        """Hand the hook on."""
        self._call("on_before_optimizer_step", pl_module, optimizer)

    def on_train_batch_end(self, pl_module: Any, batch_idx: int) -> None:
        """Hand the hook on."""
        self._call("on_train_batch_end", pl_module, batch_idx)

    def on_train_end(self, pl_module: Any) -> None:
        """Hand the hook on."""
        self._call("on_train_end", pl_module)

    def _call(self, hook: str, *arguments: Any) -> None:
        for change in self._hearing[hook]:
            with self._safely(f"applying {change.name}"):
                getattr(change, hook)(self.trainer, *arguments)

    def batches(self, volume: Volume) -> float:
        """Length of an epoch at a volume; of a loader without a length it is that of the last epoch, or infinite."""
        known = self.volume_change.loaders.batches(volume)
        return known if known < math.inf or self.cooldown is None else self.cooldown.learned

    @property
    def relative_cost(self) -> float:
        """What a step of the epoch that runs costs, as a part of one in the cooldown."""
        return math.prod(change.relative_cost for change in self.changes)

    @property
    def learned(self) -> list[int | None]:
        """See ``TrainLoaders.learned``."""
        return self.volume_change.loaders.learned

    @property
    def volume(self) -> Volume:
        """What the epoch draws that runs, or starts next."""
        return self.volume_change.draws.volume

    @property
    def state(self) -> dict[str, Any]:
        """Name -> state of every change that has one."""
        return {change.name: state for change in self.changes if (state := change.state_dict())}

    def _apply_safely(self, epoch: int) -> None:
        if not self._is_past_the_end(epoch):
            phase = self._timeline().phase(epoch)
            for change in self.changes:
                with self._safely(f"applying {change.name}"):
                    change.look(self._timeline(), self._history())
                    change.apply(phase)
            self._drop_old_loaders()

    def _ready_safely(self, epoch: int) -> None:
        with self._safely("telling Lightning the length of an epoch"):
            self._loaders_are_ready(epoch)

    def _apply(self, epoch: int) -> None:
        if self._is_past_the_end(epoch):
            return
        phase = self._timeline().phase(epoch)
        for change in self.changes:
            change.apply(phase)
        self._drop_old_loaders()

    def _drop_old_loaders(self) -> None:
        if any(change.needs_new_loaders for change in self.changes):
            lightning_seam.drop_train_loaders(self.trainer)

    def _loaders_are_ready(self, epoch: int) -> None:
        if self._is_past_the_end(epoch):
            return
        self.volume_change.loaders_are_ready(epoch)
        found = {change.name: change.setting for change in self.changes}
        self.settings = {name: setting for name, setting in found.items() if setting is not None}
        ends_itself = self._timeline().last_epoch is not None
        if (self.volume_change.draws.own or ends_itself) and self._total is not None:
            self._total.set(self._steps_of_the_run(epoch))

    def _is_past_the_end(self, epoch: int) -> bool:
        """Weight averaging lets the Trainer run one more epoch, for batch norm, which does not count as an epoch."""
        end = self._timeline().end
        return end is not None and epoch >= end

    def _steps_of_the_run(self, epoch: int) -> float:
        """Steps taken before this epoch, and those of the epochs to come, as Lightning counts them."""
        timeline, volume = self._timeline(), self.volume_change
        if timeline.end is None:
            return math.inf
        spans = timeline.spans(epoch, timeline.end)
        ahead = sum(len(span) * volume.steps(volume.volume_at(span[0])) for span in spans)
        return float(lightning_seam.steps_before_epoch(self.trainer) + ahead)


def _overrides(change: Change, hook: str) -> bool:
    return getattr(type(change), hook) is not getattr(Change, hook)
