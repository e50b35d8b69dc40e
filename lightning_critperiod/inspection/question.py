"""What is asked of a run: which signals, by which rules, in which direction."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning_critperiod.inspection.modes import NOTHING_GIVEN, Direction, Given, Mode, find_direction
from lightning_critperiod.inspection.names import is_validation
from lightning_critperiod.inspection.run import Run
from lightning_critperiod.inspection.verdict import Verdict, ask, own_rules, rules_for_metric
from lightning_critperiod.inspection.worth import Worth, worth
from lightning_critperiod.rules import History, Rule
from lightning_critperiod.rules.own_rules import OWN_RULES


@dataclass(frozen=True)
class Question:
    """What the user asks.

    Args:
        signal: Name of the value to look at; None for our signals and all validation metrics.
        rule: To ask; None for those that belong to the signal.
        given: What he says about directions.
        rule_has_mode: Whether he chose the rule's ``mode``, rather than leaving it at its default.
        min_gain: Least gain that is worth going on for; None is a part of what the run gained.
    """

    signal: str | None = None
    rule: Rule | None = None
    given: Given = NOTHING_GIVEN
    rule_has_mode: bool = False
    min_gain: float | None = None


@dataclass(frozen=True)
class Answer:
    """What was found.

    Args:
        verdicts: One for each signal and rule.
        worths: Whether going on was worth it, one for each metric whose direction is known.
        notes: On the directions that were taken.
    """

    verdicts: Sequence[Verdict]
    worths: Sequence[Worth]
    notes: Sequence[str]


def answer(question: Question, run: Run, max_epochs: int) -> Answer:
    """Ask the rules.

    Args:
        question: What is asked.
        run: Whose logs are looked at.
        max_epochs: Its length.

    Returns:
        What they say.

    Raises:
        ValueError: There is nothing to look at, or no direction is known.
    """
    signals = _signals(question, run)
    directions = _directions(question, run, signals)
    unknown = [name for name, found in directions.items() if found is None]
    if len(unknown) == len(signals):
        raise ValueError(
            f"nothing says whether lower or higher is better for {', '.join(unknown)}: give --mode min or --mode max, "
            "or --mode NAME=min for one of several"
        )
    verdicts = [
        ask(name, rule, history, max_epochs)
        for name, history in signals.items()
        if name not in unknown
        for rule in _rules(question.rule, name, directions.get(name))
    ]
    epochs = run.logs.epochs
    worths = [
        worth(name, signals[name], found.mode, epochs, question.min_gain)
        for name, found in directions.items()
        if found is not None
    ]
    return Answer(verdicts, worths, list(_notes(directions)))


def _signals(question: Question, run: Run) -> dict[str, History]:
    """What to look at: the named value, or our signals and the validation metrics."""
    logged, name = run.logs.signals, question.signal
    for wanted, what in [(name, "signal"), *((named, "mode") for named in question.given.named)]:
        if wanted is not None and wanted not in logged:
            raise ValueError(f"{what} must be one of what was logged, {_listed(logged)}, got {wanted!r}")
    found = {n: h for n, h in logged.items() if (_is_looked_at(n, logged) if name is None else n == name)}
    if not found:
        raise ValueError(
            f"no validation metric and no signal of CriticalPeriodCallback in {run.logs.epochs} epochs: name one "
            f"with --signal, of {_listed(logged)}"
        )
    return dict(sorted(found.items(), key=lambda item: item[0] not in OWN_RULES))


def _listed(logged: Iterable[str]) -> str:
    return ", ".join(sorted(logged)) or "nothing that a rule can read"


def _is_looked_at(name: str, logged: Mapping[str, Any]) -> bool:
    """Of ``val_loss_step`` and ``val_loss_epoch``, which Lightning makes of one value, only the second one."""
    is_of_one_batch = name.endswith("_step") and f"{name.removesuffix('_step')}_epoch" in logged
    return name in OWN_RULES or (is_validation(name) and not is_of_one_batch)


def _directions(question: Question, run: Run, signals: Mapping[str, History]) -> dict[str, Direction | None]:
    """Of the metrics, where the rules must know it."""
    metrics = [name for name in signals if not own_rules(name)]
    of_rule = None if question.rule is None else _mode_of(question.rule)
    if question.rule is not None and of_rule is None:
        return {}
    chosen = of_rule if question.rule_has_mode else None
    alone = len(metrics) == 1
    return {name: find_direction(name, question.given, chosen, run.modes, alone) for name in metrics}


def _rules(rule: Rule | None, name: str, direction: Direction | None) -> Sequence[Rule]:
    if rule is not None:
        return [rule if direction is None else _with_mode(rule, direction.mode)]
    return own_rules(name) or ([] if direction is None else rules_for_metric(direction.mode))


def _fields(rule: Rule) -> dict[str, Any]:
    if not dataclasses.is_dataclass(rule):
        return {}
    return {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}


def _mode_of(rule: Rule) -> Mode | None:
    """The mode of a rule, or of the rule that it asks; None if it has none."""
    fields = _fields(rule)
    if "mode" in fields:
        return fields["mode"]  # type: ignore[no-any-return]  # every rule with a mode has one of the two
    return next((mode for value in fields.values() if isinstance(value, Rule) and (mode := _mode_of(value))), None)


def _with_mode(rule: Rule, mode: Mode) -> Rule:
    fields = _fields(rule)
    inner = {name: _with_mode(value, mode) for name, value in fields.items() if isinstance(value, Rule)}
    changed = {**inner, **({"mode": mode} if "mode" in fields else {})}
    return dataclasses.replace(rule, **changed) if changed else rule  # type: ignore[type-var]  # it has fields


def _notes(directions: Mapping[str, Direction | None]) -> Iterable[str]:
    taken = {"min": "Lower is better for", "max": "Higher is better for"}
    names: dict[Direction, list[str]] = {}
    for name, found in directions.items():
        if found is not None:
            names.setdefault(found, []).append(name)
    said = [f"{taken[found.mode]} {', '.join(of_it)} ({found.source})." for found, of_it in names.items()]
    if said:
        yield " ".join([*said, "To change that, give --mode NAME=min or --mode NAME=max."])
    unknown = [name for name, found in directions.items() if found is None]
    if unknown:
        yield (
            f"Left out, because nothing says whether lower or higher is better: {', '.join(unknown)}. Give "
            "--mode NAME=min or --mode NAME=max."
        )
