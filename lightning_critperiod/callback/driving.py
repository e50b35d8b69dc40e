"""How a callback that acts drives its run: the volume, the changes and the cooldown, without the hooks."""

from typing import Any

import torch

from lightning_critperiod.callback.state import RunState
from lightning_critperiod.changes import Driver, VolumeChange
from lightning_critperiod.lightning_seam import Overrides, finished_epochs, hand_on_stops
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.watching import Watch


class Driving(RunState):
    """Applies to the run what follows from the state.

    Args:
        watch: Measures the signal and asks the rule.
        recipe: What holds in each phase.
    """

    lr_policy: str

    def __init__(self, watch: Watch, recipe: Recipe) -> None:
        super().__init__(watch, recipe)
        self._overrides = Overrides()

    def _drive(self, trainer: Any, pl_module: Any) -> None:
        if self._seed is None:
            self._seed = trainer.strategy.broadcast(torch.initial_seed() % 2**63)
        volumes = (self.full_volume, *self.recipe.volumes)
        volume = VolumeChange(self.volume_at, volumes, self._seed, self.lr_policy == "epoch_equivalent")
        cooldown = None if self._cooldown is None else self._cooldown.change
        decided, measured = (lambda: self.timeline), (lambda: self.history)
        self._driver = Driver(trainer, volume, self.recipe.changes, cooldown, decided, measured, self._watch.safely)
        self._driver.setup(pl_module)
        if self._cooldown is not None:
            hand_on_stops(self._overrides, trainer, lambda hook: self._early_stopping_asks(trainer, hook))

    def _early_stopping_asks(self, trainer: Any, hook: str) -> None:
        if self._cooldown is None or self.cooldown_epoch is not None:
            return
        self._cooldown.ask("the patience of EarlyStopping is over")
        if hook == "on_train_epoch_end":  # which comes after ours; validation does not
            with self._watch.safely("deciding about the cooldown"):
                self._begin_cooldown(trainer, finished_epochs(trainer))

    def _begin_cooldown(self, trainer: Any, finished: int) -> None:
        if self._cooldown is None or self._driver is None:
            return
        batches = self._driver.batches(self.recipe.volume_in("cooldown"))
        self._cooldown.shorten(trainer, finished, batches)
        start = self._cooldown.decide(trainer, finished, self.end_epoch is not None, batches)
        if start is None:
            return
        if self._driver.started:
            with self._watch.safely("keeping the checkpoint before the cooldown"), self.detector.undone():
                self._cooldown.keep_checkpoint(trainer)
        self._cooldown.begin(trainer, finished, start)

    def _start_driving(self, trainer: Any, pl_module: Any, finished: int) -> None:
        if self._driver is None:
            return
        self._driver.load(self._states)
        if self._cooldown is not None:
            self._cooldown.start(trainer, self._max_epochs)
            self._cooldown.warn_of_endless_epoch(trainer, self._driver.batches(self.recipe.volume_in("cooldown")))
        self._begin_cooldown(trainer, finished)
        self._driver.start(pl_module, self._seed, self.volumes, self._learned)

    def _decide_about_cooldown(self, trainer: Any, epoch: int) -> None:
        """At the end of an epoch that is not the last one."""
        if self._cooldown is None:
            return
        with self._watch.safely("deciding about the cooldown"):
            relative_cost = 1.0 if self._driver is None else self._driver.relative_cost
            self._cooldown.meter.epoch_ends(trainer, epoch, relative_cost)
            self._begin_cooldown(trainer, epoch + 1)
            self._cooldown.warn_of_no_end(trainer, epoch + 1, self.detector)

    def _price_validation(self, moment: str, trainer: Any) -> None:
        if self._cooldown is not None:
            with self._watch.safely("pricing a validation"):
                getattr(self._cooldown.meter, moment)(trainer)
