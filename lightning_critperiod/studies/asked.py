"""The rule that a config asks, made from the config as the command line makes it."""

from typing import Any

from jsonargparse import ArgumentParser

from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import LayerRotation, Signal


def made(kind: type, config: Any) -> Any:
    """An object from its config.

    Args:
        kind: Its base class.
        config: ``class_path`` and ``init_args``, whose values may be objects of that form themselves.

    Returns:
        The object.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--made", type=kind)
    return parser.instantiate(parser.parse_object({"made": config})).made


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
