"""Runs of a study's arms, compared seed by seed: accuracies, differences, and what they say of a claim."""

import math
from collections.abc import Iterable
from statistics import fmean, stdev
from typing import Any

from scoring import table

from lightning_critperiod.studies.statistics import Paired, paired

SEEDS = 10
DEVELOPMENT = 100
"""Seeds from here on were looked at while a study was set up."""

Found = dict[str, Any]
Values = dict[str, dict[int, Found]]


def confirmation(found: list[Found], setup: str, arms: Iterable[str]) -> Values:
    """Arm -> seed -> run."""
    runs = [run for run in found if run["setup"] == setup and run["seed"] < DEVELOPMENT]
    return {arm: {run["seed"]: run for run in runs if run["arm"] == arm} for arm in arms}


def points(runs: dict[int, Found]) -> dict[int, float]:
    return {seed: 100 * run["test_acc"] for seed, run in runs.items()}


def accuracy(runs: dict[int, Found]) -> str:
    """Mean and standard deviation over the seeds."""
    found = list(points(runs).values())
    return f"{fmean(found):.1f}" + (f" ± {stdev(found):.1f}" if len(found) > 1 else "")


def difference(values: Values, arm: str, other: str) -> Paired | None:
    """Over the seeds that both arms have; None without one."""
    return paired(points(values[arm]), points(values[other]))


def cost(values: Values, arm: str) -> float:
    """Operations in parts of those of `full`."""
    shared = values[arm].keys() & values["full"].keys()
    return fmean(values[arm][seed]["flops"] / values["full"][seed]["flops"] for seed in shared) if shared else math.nan


def shown(found: Paired | None) -> str:
    if found is None:
        return ""
    return f"{found.mean:+.1f}" + (f" [{found.t[0]:+.1f}, {found.t[1]:+.1f}]" if found.t else "")


def verdict(found: Paired, least: float, mean: float = -math.inf, cheap: bool = True) -> str:
    """Whether the interval is above `least` and the mean at least `mean`; without ten seeds nothing is final."""
    if found.t is None:
        return "one seed"
    low, high = found.t
    held = cheap and low > least and found.mean >= mean
    word = "held" if held else "refuted" if not cheap or high < max(least, mean) else "not shown"
    return word if found.seeds >= SEEDS else f"{word} so far"


def claim_lines(
    claim: str, setup: str, values: Values, arm: str, other: str, least: float = 0.0, **more: Any
) -> list[list[str]]:
    """The line of the claims' table about an arm against another; none without a seed that both have."""
    found = difference(values, arm, other)
    if found is None:
        return []
    return [[claim, setup, str(found.seeds), shown(found), verdict(found, least, **more)]]


def claims_table(rows: list[list[str]]) -> str:
    """By the number of the claim, which is the first letter of its line."""
    head = ["claim", "set-up", "seeds", "difference in points [95%]", "verdict"]
    return table(head, sorted(rows, key=lambda row: row[0][0])) if rows else "No run is there yet.\n"
