"""What was decided, by which signal and rule, and what followed from it."""

from dataclasses import dataclass, field

from lightning_critperiod.recipe import Volume
from lightning_critperiod.record.run import Setting
from lightning_critperiod.timeline import Phase


@dataclass(frozen=True)
class PlannedRecipe:
    """The recipe as it was given.

    Args:
        during: Volume during the critical period; None is the datamodule's own.
        after: Volume after it.
        annealing_fraction: Share of the remaining epochs that have the full recipe again at the end.
        changes: What else the recipe says, in words, by the name of its argument.
    """

    during: Volume | None = None
    after: Volume = field(default_factory=Volume)
    annealing_fraction: float = 0.0
    changes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """Epochs that follow each other in one phase.

    Args:
        phase: The phase of all of them.
        first: First 0-based epoch.
        last: Last one.
    """

    phase: Phase
    first: int
    last: int


@dataclass(frozen=True)
class Decision:
    """What a callback decided.

    Args:
        signal: Name of the signal.
        rule: The rule with its arguments, as Python prints it.
        rule_name: Class name of the rule.
        rule_arguments: Those of its arguments that are plain values.
        lines: What the signal was compared with, for figures: label -> (epoch, value) points.
        course: What the rule went by after every epoch, in the same form.
        limits: What the run might spend, by the names of ``Budget``.
        spent: What it had spent of each after every epoch: name -> (epoch, value) points.
        recipe: The recipe as it was given.
        lr_policy: "epoch_equivalent" or "unchanged".
        observe_only: Whether the run was left as it was.
        full_volume: Volume of the full recipe.
        end_epoch: First epoch after the critical period; None while it is not over.
        back_epoch: First epoch for which a guard undid the changes.
        cooldown_epoch: First epoch of the cooldown.
        last_epoch: Last epoch of the run, once a cooldown has decided it.
        reason: The decision in words.
        cooldown_reason: Why the cooldown began, in words; the end of ``reason``.
        guard_reason: Why the guard undid the changes, in words.
        final_weights: "averaged" or "raw": what the module was left with, where it had the choice.
        final_values: "averaged" and "raw" -> the metric with them, where they were compared.
        phases: The phases of the run from its first epoch to its last, as planned in the end.
    """

    signal: str
    rule: str
    rule_name: str = ""
    rule_arguments: dict[str, Setting] = field(default_factory=dict)
    lines: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    course: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    spent: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    recipe: PlannedRecipe = field(default_factory=PlannedRecipe)
    lr_policy: str = "epoch_equivalent"
    observe_only: bool = False
    full_volume: Volume = field(default_factory=Volume)
    end_epoch: int | None = None
    back_epoch: int | None = None
    cooldown_epoch: int | None = None
    last_epoch: int | None = None
    reason: str = ""
    cooldown_reason: str = ""
    guard_reason: str = ""
    final_weights: str = ""
    final_values: dict[str, float] = field(default_factory=dict)
    phases: tuple[Span, ...] = ()

    @property
    def rule_reason(self) -> str:
        """What the rule said, without why the cooldown began."""
        return self.reason.removesuffix(self.cooldown_reason).removesuffix("; ")

    @property
    def cooled_down_by_rule(self) -> bool:
        """Whether the cooldown began because the rule fired; not because of a budget or the end of the run."""
        return self.cooldown_epoch is not None and self.cooldown_epoch == self.end_epoch

    @property
    def acted(self) -> bool:
        """Whether the run was changed by it."""
        return self.end_epoch is not None and not self.observe_only

    def is_over(self, epoch: int) -> bool:
        """Whether the rule had fired by the end of a 0-based epoch."""
        return self.end_epoch is not None and epoch + 1 >= self.end_epoch
