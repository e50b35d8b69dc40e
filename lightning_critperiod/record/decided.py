"""What a callback decided, for the record."""

import dataclasses
import math
from itertools import groupby
from typing import Any

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.early_cooldown import EarlyCooldown
from lightning_critperiod.recipe import Change
from lightning_critperiod.record.decision import Decision, PlannedRecipe, Span
from lightning_critperiod.record.run import Run, Setting
from lightning_critperiod.rules import Lines
from lightning_critperiod.timeline import Phase

_OWN = ("during", "after", "annealing_fraction", "changes")


def decided(callback: CriticalPeriodCallback, run: Run) -> Decision:
    """The decision of a callback.

    Args:
        callback: The callback that drives or observes.
        run: Whose epochs it is about.

    Returns:
        What it decided so far.
    """
    return Decision(
        signal=callback.signal.name,
        rule=str(callback.rule),
        rule_name=type(callback.rule).__name__,
        rule_arguments=_plain_fields(callback.rule),
        lines=_plain_lines(callback.detector.lines),
        course=_plain_lines(callback.detector.course),
        limits=callback.budget_limits,
        spent=_plain_lines(callback.budget_course),
        recipe=_recipe(callback),
        lr_policy=callback.lr_policy,
        observe_only=callback.observe_only,
        full_volume=callback.full_volume,
        end_epoch=callback.end_epoch,
        back_epoch=callback.back_epoch,
        cooldown_epoch=callback.cooldown_epoch,
        last_epoch=callback.last_epoch,
        reason=callback.reason,
        cooldown_reason=callback.cooldown_reason,
        guard_reason="" if callback.guard is None else callback.guard.reason,
        final_weights=callback.final_weights if isinstance(callback, EarlyCooldown) else "",
        final_values=dict(callback.final_values) if isinstance(callback, EarlyCooldown) else {},
        phases=_phases(callback, run),
    )


def _recipe(callback: CriticalPeriodCallback) -> PlannedRecipe:
    """Other changes than the volume are kept in words: only the run itself can apply them."""
    recipe = callback.recipe
    others = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    changes = {name: str(value) for name, value in others.items() if name not in _OWN and value}
    changes |= {change.name: _settings(callback, change) for change in recipe.changes}
    return PlannedRecipe(recipe.during, recipe.after, recipe.annealing_fraction, changes)


def _settings(callback: CriticalPeriodCallback, change: Change) -> str:
    """What a change had in each phase: "during 16 then 24, after 32"; its class where it did not say."""
    had: dict[Phase, dict[str, None]] = {}  # in order, each once
    for epoch, settings in sorted(callback.settings.items()):
        if settings.get(change.name) is not None:
            had.setdefault(phase_of(callback, epoch), {})[str(settings[change.name])] = None
    said = [f"{phase} {' then '.join(values)}" for phase, values in had.items()]
    return ", ".join(said) or type(change).__name__


def phase_of(callback: CriticalPeriodCallback, epoch: int) -> Phase:
    """The phase of a 0-based epoch. A run that is only observed is left in its first one."""
    return "during" if callback.observe_only else callback.timeline.phase(epoch)


def _phases(callback: CriticalPeriodCallback, run: Run) -> tuple[Span, ...]:
    planned = run.epochs_done if run.max_epochs is None else run.max_epochs
    stop = planned if callback.last_epoch is None else callback.last_epoch + 1
    by_phase = groupby(callback.timeline.spans(0, stop), lambda span: phase_of(callback, span[0]))
    found = [(phase, list(spans)) for phase, spans in by_phase]
    return tuple(Span(phase, spans[0][0], spans[-1][-1]) for phase, spans in found)


def _plain_lines(lines: Lines) -> dict[str, tuple[tuple[float, float], ...]]:
    """As JSON has them: a rule of the user's own may say NaN, or NumPy's numbers, which must cost no report."""
    plain = {label: [(float(x), float(y)) for x, y in line] for label, line in lines.items()}
    finite = {label: tuple(p for p in line if all(map(math.isfinite, p))) for label, line in plain.items()}
    return {label: line for label, line in finite.items() if line}


def _plain_fields(rule: Any) -> dict[str, Setting]:
    if not dataclasses.is_dataclass(rule):
        return {}
    fields = {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    return {
        name: value for name, value in fields.items() if value is None or isinstance(value, bool | int | float | str)
    }
