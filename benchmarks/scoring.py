"""Where a rule ends the period of a given signal, and the tables that say so."""

from collections.abc import Iterable

from lightning_critperiod.rules import Rule


def end_epoch(rule: Rule, values: Iterable[float], max_epochs: int) -> int | None:
    """The first epoch after the period, as the callback would find it: asked after every epoch."""
    history: dict[int, float] = {}
    for epoch, value in enumerate(values):
        history[epoch] = float(value)
        if rule(history, max_epochs):
            return epoch + 1
    return None


def words(rule: Rule) -> str:
    """The rule as one would write it: what differs from the defaults, and the patience."""
    default = {**vars(type(rule)()), "patience": None}
    given = ", ".join(f"{k}={v!r}" for k, v in vars(rule).items() if v != default[k])
    return f"`{type(rule).__name__}({given})`"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
