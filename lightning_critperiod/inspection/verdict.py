"""What a rule would have said, and what the recipe would have drawn from then on."""

import math
from collections import Counter
from dataclasses import dataclass

from lightning_critperiod.detector import filled, replay
from lightning_critperiod.inspection.modes import Mode
from lightning_critperiod.recipe import Recipe, Volume
from lightning_critperiod.record import Decision, Epoch, Record, Run
from lightning_critperiod.report.words import percent
from lightning_critperiod.rules import Forecast, Plateau, Rule
from lightning_critperiod.rules.own_rules import OWN_RULES
from lightning_critperiod.timeline import Timeline


@dataclass(frozen=True)
class Verdict:
    """One rule on one signal.

    Args:
        signal: Its name.
        rule: The rule that was asked.
        history: Epoch -> value that it was asked about.
        end_epoch: The first epoch after the period; None if the rule never fired.
        why: In words that follow the signal's name.
    """

    signal: str
    rule: Rule
    history: dict[int, float]
    end_epoch: int | None = None
    why: str = ""


def own_rules(signal: str) -> list[Rule]:
    """The rule that belongs to a signal of ours; none for a metric."""
    return [OWN_RULES[signal]] if signal in OWN_RULES else []


def rules_for_metric(mode: Mode) -> list[Rule]:
    """The rules to ask about a metric by default."""
    return [Plateau(mode=mode), Forecast(mode=mode)]


def ask(signal: str, rule: Rule, history: dict[int, float], max_epochs: int) -> Verdict:
    """Ask a rule as CriticalPeriodCallback does: before the first epoch, then after every one until it fires.

    Args:
        signal: Name of it.
        rule: To ask.
        history: Epoch -> value; epochs may be missing.
        max_epochs: Length of the run as it was planned.

    Returns:
        The verdict.
    """
    decision = replay(rule, history, max_epochs)
    return Verdict(signal, rule, history, decision.end_epoch, decision.why)


def _finished(verdict: Verdict) -> int:
    """Epochs that were over when the rule was asked last."""
    return max(verdict.history, default=-1) + 1 if verdict.end_epoch is None else verdict.end_epoch


def drawn(recipe: Recipe, end_epoch: int | None, max_epochs: int, n: int | None) -> float:
    """What a whole run draws: samples, or passes over the data where n is not known."""
    timeline = Timeline(max_epochs, end_epoch, annealing_fraction=recipe.annealing_fraction)
    phases = Counter(timeline.phase(epoch) for epoch in range(max_epochs))
    volumes = {phase: recipe.volume_in(phase) for phase in phases}
    return sum(epochs * (volumes[p].fraction if n is None else volumes[p].samples(n)) for p, epochs in phases.items())


@dataclass(frozen=True)
class Plan:
    """What a run would draw.

    Args:
        recipe: The recipe that would have been followed.
        max_epochs: Length of the run.
        samples: n; None counts in passes over the data.
    """

    recipe: Recipe
    max_epochs: int
    samples: int | None

    def drawn(self, end_epoch: int | None) -> float:
        """What the whole run draws where the period ends at that epoch."""
        return drawn(self.recipe, end_epoch, self.max_epochs, self.samples)


def recipe_note(recipe: Recipe) -> str:
    """Which recipe the saving is computed for, and how to give another one."""
    back = percent(recipe.annealing_fraction)
    return (
        f"The recipe that the saving is computed for: {_in_words(recipe.volume_in('during'))} during the period, "
        f"{_in_words(recipe.after)} after it, and what the period has again in the last {back} of the remaining "
        "epochs. For another recipe give --recipe.during, --recipe.after or --recipe.annealing_fraction."
    )


def _in_words(volume: Volume) -> str:
    views = f"{volume.augmentation_multiplier:g} view{'s' * (volume.augmentation_multiplier != 1)}"
    samples = f"{percent(1 - volume.pruning_ratio)} of the samples" if volume.pruning_ratio else "every sample"
    return f"{views} of {samples}"


def as_record(verdict: Verdict, plan: Plan) -> Record:
    """The part of a run's record that the figures of signal and samples are drawn from."""
    end, rule, max_epochs, n = verdict.end_epoch, verdict.rule, plan.max_epochs, plan.samples
    timeline = Timeline(max_epochs, end, annealing_fraction=plan.recipe.annealing_fraction)
    epochs = []
    for number in range(max_epochs):
        value, phase = verdict.history.get(number, math.nan), timeline.phase(number)
        signal, volume = value if math.isfinite(value) else None, plan.recipe.volume_in(phase)
        samples = 0 if n is None else volume.samples(n)
        epochs.append(Epoch(number, samples=samples, signal=signal, phase=phase, volume=volume))
    lines = rule.lines(filled(verdict.history, _finished(verdict)), max_epochs)
    decision = Decision(
        signal=verdict.signal,
        rule=str(rule),
        rule_name=type(rule).__name__,
        lines={label: tuple(line) for label, line in lines.items()},
        end_epoch=end,
    )
    return Record(run=Run("", max_epochs, max_epochs), decision=decision, epochs=tuple(epochs))
