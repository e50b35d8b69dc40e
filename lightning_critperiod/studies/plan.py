"""What a config plans to do, as plain values: the arms of a study are made from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.studies.metric import Monitor
from lightning_critperiod.timeline import Timeline

_GROWING = {"GrowingImages", "GrowingLength"}
RULE_OF_SIGNAL = "lightning_critperiod.studies.asked.rule_of_signal"


@dataclass(frozen=True)
class Plan:
    """The config's own run, as planned.

    Args:
        max_epochs: E.
        recipe: Its volumes; ``during`` is the full one, declared or given.
        signal: What is measured, as the config has it: ``class_path`` and ``init_args``; None is the default.
        rule: What decides, in the same form; None is the one that belongs to the signal.
        monitor: What the config's own callbacks watch.
        changes: The other changes of its recipe, as the config has them.
        image_size: Pixels of the shorter side of its training images, where somebody has looked.
    """

    max_epochs: int
    recipe: Recipe
    signal: dict[str, Any] | None
    rule: dict[str, Any] | None
    monitor: Monitor
    changes: Sequence[dict[str, Any]] = ()
    image_size: int | None = None

    @property
    def full(self) -> Volume:
        """The full recipe's volume."""
        return self.recipe.during or Volume()

    @property
    def after(self) -> Volume:
        """The cheap volume."""
        return self.recipe.after

    @property
    def grows(self) -> bool:
        """Whether its batches are small during the critical period: then the full recipe is not what it does there."""
        return len(self.full_changes) < len(self.changes)

    @property
    def full_changes(self) -> list[dict[str, Any]]:
        """The other changes that the full recipe has too."""
        return [change for change in self.changes if change.get("class_path", "").rpartition(".")[2] not in _GROWING]

    @property
    def stated_rule(self) -> dict[str, Any]:
        """The rule, written down so that it is the same whatever the signal is."""
        return self.rule or {"class_path": RULE_OF_SIGNAL, "init_args": {"signal": self.signal}}


@dataclass(frozen=True)
class Course:
    """What a run draws, once it is known where it switches.

    Args:
        max_epochs: E.
        recipe: Its volumes, with ``during``.
        end_epoch: The first epoch after the switch; None if there is none.
    """

    max_epochs: int
    recipe: Recipe
    end_epoch: int | None

    def passes(self, start: int = 0) -> float:
        """Passes over the training data from epoch ``start`` on."""
        epochs = range(start, self.max_epochs)
        return sum(self.recipe.volume(epoch, self.end_epoch, self.max_epochs).fraction for epoch in epochs)

    def shared(self, other: "Course") -> int:
        """How many epochs two runs have in common from the beginning on."""
        both = min(self.max_epochs, other.max_epochs)
        return next((epoch for epoch in range(both) if self._state(epoch) != other._state(epoch)), both)

    def _state(self, epoch: int) -> tuple[str, Volume]:
        annealing = self.recipe.annealing_fraction
        phase = Timeline(self.max_epochs, self.end_epoch, annealing_fraction=annealing).phase(epoch)
        return phase, self.recipe.volume(epoch, self.end_epoch, self.max_epochs)


def recipe_of(plan: Plan, overrides: dict[str, Any]) -> Recipe:
    """The volumes of an arm.

    Args:
        plan: The plan of the config.
        overrides: The overrides of ``critical_period`` in the arm, filled.

    Returns:
        The config's recipe with what the arm changes in it.
    """
    changes = overrides.get("recipe") or {}
    volumes = {name: Volume(**changes[name]) for name in ("during", "after") if changes.get(name)}
    annealing = changes.get("annealing_fraction", plan.recipe.annealing_fraction)
    return Recipe(volumes.get("during", plan.full), volumes.get("after", plan.after), annealing)


def in_words(rule: dict[str, Any]) -> str:
    """A rule as its config has it: its name and its arguments."""
    said = (f"{name}={_value(value)}" for name, value in (rule.get("init_args") or {}).items())
    return f"{rule['class_path'].rpartition('.')[2]}({', '.join(said)})"


def _value(value: Any) -> str:
    return in_words(value) if isinstance(value, dict) and "class_path" in value else repr(value)
