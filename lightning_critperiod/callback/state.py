"""What a run has decided, drawn and set so far, and how that goes into a checkpoint and comes out again."""

import copy
from functools import cached_property
from typing import Any

from typing_extensions import override

from lightning_critperiod.changes import CooldownChange, CooldownTrigger, Driver, GuardWatch
from lightning_critperiod.detector import Detector
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.recipe import AS_COSTLY, Recipe, Volume
from lightning_critperiod.rules import History, Lines, Rule
from lightning_critperiod.signals import Signal
from lightning_critperiod.timeline import Timeline
from lightning_critperiod.watching import Watch

VERSION = 2
"""Of the state in a checkpoint. Version 1 had no number, no guard and no states of changes."""


class RunState(Callback):
    """The state of a ``CriticalPeriodCallback``: all that follows from what it measured, without the hooks.

    Args:
        watch: Measures the signal and asks the rule.
        recipe: What holds in each phase.
    """

    signal: Signal
    rule: Rule
    observe_only: bool

    def __init__(self, watch: Watch, recipe: Recipe) -> None:
        self.recipe = recipe
        self._watch = watch
        cooldown = recipe.cooldown
        self._cooldown = None if cooldown is None else CooldownTrigger(CooldownChange(cooldown))
        self._driver: Driver | None = None
        self._max_epochs: int | None = None
        self._forget()

    def _forget(self) -> None:
        self.volumes: dict[int, Volume] = {}
        self.settings: dict[int, dict[str, Any]] = {}
        self.full_volume = Volume()
        self._seed: int | None = None
        self._learned: list[int | None] = []  # batches of the loaders that have no length
        self._states: dict[str, Any] = {}  # of the changes
        self._watch.reset()
        if self._cooldown is not None:
            self._cooldown.forget()

    def cool_down(self) -> None:
        """Ask for the cooldown to begin with the next epoch; a file ``cool_down`` in the run's folder does the same.

        Raises:
            ValueError: The recipe has no cooldown.
        """
        if self._cooldown is None:
            raise ValueError("cool_down() needs a recipe with a cooldown, got none: give Recipe(cooldown=Cooldown())")
        self._cooldown.ask("a cooldown was requested")

    @property
    def cooldown_epoch(self) -> int | None:
        """The first epoch of the cooldown, None as long as there is none."""
        return None if self._cooldown is None else self._cooldown.change.start_epoch

    @property
    def last_epoch(self) -> int | None:
        """The epoch that ends the run, None as long as no cooldown has decided it."""
        return None if self._cooldown is None else self._cooldown.change.last_epoch

    @property
    def budget_limits(self) -> dict[str, float]:
        """What the run may spend, by the names of ``Budget``; empty without a budget."""
        return {} if self._cooldown is None else dict(self._cooldown.meter.limits)

    @property
    def budget_course(self) -> Lines:
        """What it had spent of each limit after every epoch, over all sessions, as (epoch, value)."""
        return {} if self._cooldown is None else self._cooldown.meter.course

    @property
    def detector(self) -> Detector:
        """The history of the signal and the decision."""
        return self._watch.detector

    @property
    def guard(self) -> GuardWatch | None:
        """The guard at work; None without one."""
        return self._watch.guard

    @property
    def detector_seconds(self) -> float:
        """Seconds spent on measuring, deciding and applying in this process."""
        return self._watch.seconds

    @property
    def history(self) -> History:
        """0-based epoch -> value of the signal; epochs without a value are missing."""
        return self.detector.history

    @property
    def end_epoch(self) -> int | None:
        """The first epoch after the critical period, None as long as it is not over."""
        return self.detector.end_epoch

    @property
    def back_epoch(self) -> int | None:
        """The first epoch for which the guard has taken the changes back, None as long as it has not."""
        return None if self.guard is None else self.guard.back_epoch

    @property
    def reason(self) -> str:
        """The decision in words; empty as long as there is none."""
        return "; ".join(part for part in (self._watch.reason, self.cooldown_reason) if part)

    @property
    def cooldown_reason(self) -> str:
        """Why the cooldown began, in words; empty as long as there is none."""
        return "" if self._cooldown is None else self._cooldown.change.reason

    @property
    def step_settings(self) -> dict[str, Any]:
        """The settings in the epoch that runs on which the cost of a step may depend: ``CostMonitor`` asks."""
        settings = {} if self._driver is None else self._driver.settings
        return {name: setting for name, setting in settings.items() if name not in AS_COSTLY}

    @property
    def timeline(self) -> Timeline:
        """The phases of the run, by what is decided so far. An observer's say what would be."""
        return Timeline(
            max_epochs=self._max_epochs,
            end_epoch=self.end_epoch,
            back_epoch=self.back_epoch,
            cooldown_epoch=self.cooldown_epoch,
            last_epoch=self.last_epoch,
            full_epoch=None if self._cooldown is None else self._cooldown.meter.full_epoch,
            annealing_fraction=self.recipe.annealing_fraction,
        )

    def volume_at(self, epoch: int) -> Volume:
        """The recipe's volume of a 0-based epoch, by what is decided so far."""
        phase = self.timeline.phase(epoch)
        return self.full_volume if phase in {"during", "annealing"} else self.recipe.volume_in(phase)

    def logged(self, epoch: int) -> dict[str, Any]:
        """What loggers get about a 0-based epoch: key -> value; None where nothing was measured."""
        volume = self.volumes.get(epoch, self.full_volume)
        return {
            self.signal.name: self.history.get(epoch),
            "augmentation_multiplier": volume.augmentation_multiplier,
            "pruning_ratio": volume.pruning_ratio,
            "over": self.end_epoch is not None,
            **self.detector.progress(epoch),
            **({} if self.guard is None else {"taken_back": self.back_epoch is not None}),
            **self.settings.get(epoch, {}),
        }

    @cached_property  # Lightning asks for it before every call of a hook
    @override
    def state_key(self) -> str:
        """Tells callbacks apart. One that drives has no rule in it: a run may be resumed with another one."""
        key = {"signal": self.signal.name, "observe_only": self.observe_only}
        return str(self._generate_state_key(**key, **({"rule": str(self.rule)} if self.observe_only else {})))

    @override
    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """On resume an observer may drive, a driver may observe, and an observer may have another rule."""
        states = checkpoint.get("callbacks", {})
        alike = str(self._generate_state_key(signal=self.signal.name)).removesuffix("}")
        taken = {callback.state_key for callback in trainer.callbacks}
        others = [key for key, state in states.items() if key.startswith(alike) and key not in taken and state]
        if self.state_key not in states and others:
            self.load_state_dict(copy.deepcopy(states[others[0]]))

    @override
    def state_dict(self) -> dict[str, Any]:
        if not self.volumes:
            return {}
        driver = self._driver if self._driver is not None and self._driver.started else None
        return {
            "version": VERSION,
            **self._watch.state_dict(),
            "volumes": {epoch: (v.augmentation_multiplier, v.pruning_ratio) for epoch, v in self.volumes.items()},
            "settings": dict(self.settings),
            "seed": self._seed,
            "learned": self._learned if driver is None else driver.learned,
            "changes": self._states if driver is None else driver.state,
            "budget": None if self._cooldown is None else self._cooldown.meter.state,
            "request": None if self._cooldown is None else self._cooldown.request,
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._watch.load_state_dict(state_dict)
        self._take(state_dict)

    def _take(self, state_dict: dict[str, Any]) -> None:
        self.volumes = {epoch: Volume(*values) for epoch, values in state_dict["volumes"].items()}
        self.settings = dict(state_dict.get("settings", {}))
        self._seed = state_dict["seed"]
        self._learned = list(state_dict["learned"])
        self._states = dict(state_dict.get("changes", {}))
        if self._cooldown is not None:
            self._cooldown.load(self._states, state_dict.get("budget"), state_dict.get("request"))

    def found(self) -> dict[str, Any]:
        """What a process that was spawned sends back to the one that called ``fit``."""
        without: dict[str, Any] = {"signal": {}}  # initial weights: of use to a checkpoint only
        return {**self.state_dict(), **without, "reason": self._watch.reason, "full_volume": self.full_volume}

    def receive(self, found: dict[str, Any]) -> None:
        """Take what ``found`` returned in another process."""
        self._watch.receive(found)
        self._take(found)
        self.full_volume = found["full_volume"]
