"""Where a rule ends the period of a given signal, how often that is wrong, and the tables that say so."""

import math
from collections.abc import Iterable
from dataclasses import fields
from statistics import NormalDist, median

import numpy as np
from synthetic import EPOCHS, Make

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
    return f"`{_call(rule)}`"


def _call(rule: Rule) -> str:
    default = {**{field.name: field.default for field in fields(rule)}, "patience": None}
    given = [(k, _call(v) if isinstance(v, Rule) else repr(v)) for k, v in vars(rule).items() if v != default[k]]
    return f"{type(rule).__name__}({', '.join(f'{k}={v}' for k, v in given)})"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def end_epochs(rule: Rule, make: Make, runs: int, n: int = EPOCHS) -> list[int | None]:
    return [end_epoch(rule, make(np.random.default_rng(seed), n), n) for seed in range(runs)]


def share(hits: int, runs: int) -> str:
    """Percent, with the 95% interval of Wilson."""
    z2 = NormalDist().inv_cdf(0.975) ** 2
    p, middle = hits / runs, (hits + z2 / 2) / (runs + z2)
    half = math.sqrt(z2 * (p * (1 - p) + z2 / (4 * runs)) * runs) / (runs + z2)
    return f"{p:.0%} [{max(middle - half, 0) * 100:.0f}, {min(middle + half, 1) * 100:.0f}]"


def spread(values: list[int]) -> str:
    if not values:
        return "-"
    low, high = np.quantile(values, [0.1, 0.9])
    return f"{median(values):g} [{low:.0f}, {high:.0f}]"


def false_alarm(rule: Rule, make: Make, runs: int, by: int = EPOCHS, n: int = EPOCHS) -> str:
    ends = end_epochs(rule, make, runs, n)
    return share(sum(end is not None and end <= by for end in ends), len(ends))


def detection(rule: Rule, make: Make, change: int, runs: int) -> list[str]:
    """false_alarm, detection_delay (negative where early), missed."""
    ends = end_epochs(rule, make, runs)
    early = sum(end is not None and end < change for end in ends)
    delays = [end - change for end in ends if end is not None]
    return [share(early, len(ends)), spread(delays), share(ends.count(None), len(ends))]
