"""What a rule would have said, and what the recipe would have drawn from then on."""

import math
from dataclasses import dataclass

from lightning_critperiod.detector import filled, replay
from lightning_critperiod.inspection.modes import Mode
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.record import Decision, Epoch, Record, Run
from lightning_critperiod.rules import Forecast, Plateau, Rule
from lightning_critperiod.signals import OURS
from lightning_critperiod.timeline import Timeline


@dataclass(frozen=True)
class Verdict:
    """One rule on one signal.

    Args:
        signal: Its name.
        rule: That was asked.
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
    return [kind.own_rule for kind in OURS if kind.name == signal and kind.own_rule is not None]


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
    volumes = [recipe.volume(epoch, end_epoch, max_epochs) for epoch in range(max_epochs)]
    return sum(volume.fraction if n is None else volume.samples(n) for volume in volumes)


def as_record(verdict: Verdict, recipe: Recipe, max_epochs: int, n: int | None) -> Record:
    """The part of a run's record that the figures of signal and samples are drawn from."""
    end, rule, epochs = verdict.end_epoch, verdict.rule, []
    timeline = Timeline(max_epochs, end, annealing_fraction=recipe.annealing_fraction)
    for number in range(max_epochs):
        value, phase = verdict.history.get(number, math.nan), timeline.phase(number)
        volume = recipe.volume_in(phase)
        signal, samples = value if math.isfinite(value) else None, 0 if n is None else volume.samples(n)
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
