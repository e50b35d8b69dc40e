"""The rule that a config asks, made from the config as the command line makes it."""

from typing import Any

from lightning_critperiod.from_config import made
from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import LayerRotation, Signal


def rule_of(rule: dict[str, Any] | None, signal: dict[str, Any] | None) -> Rule:
    """The rule of a config.

    Args:
        rule: As the config has it; None is the one that belongs to the signal.
        signal: As the config has it; None is the default one.

    Returns:
        The rule.
    """
    if rule is not None:
        found: Rule = made(Rule, rule)
        return found
    return rule_of_signal(None if signal is None else made(Signal, signal))


def rule_of_signal(signal: Signal | None = None) -> Rule:
    """The rule that belongs to a signal: the ``class_path`` where a config gives no rule but an arm another signal.

    Args:
        signal: Whose rule; None is the default signal.

    Returns:
        The rule.
    """
    return (LayerRotation() if signal is None else signal).default_rule()
