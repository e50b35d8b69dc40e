"""Which recipe to take, by what a comparison of levers has found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_critperiod.report.words import plural
from lightning_critperiod.studies.rows import TWIN, Row, Summary

FULL = "full"
SCHEDULE = "Give that number also to a learning-rate schedule that has a length of its own."
ALPHA = 0.025
"""How often the 95% interval of a lever without any effect lies above 0."""
SAME = 0.9
"""A shorter run with a smaller part of the FLOPs of its lever is no fair match: something ended it early."""


@dataclass(frozen=True)
class Recommendation:
    """One recipe.

    Args:
        arm: The arm that trained it.
        max_epochs: Its length where it is a plain shorter run; None is the length of the arm itself.
        why: What was found, in sentences.
    """

    arm: str
    max_epochs: int | None
    why: list[str]


def recommend(summary: Summary) -> Recommendation | None:
    """The recipe to take.

    A lever wins if the whole 95% t-interval of its difference to a shorter run of its FLOPs is better than 0, and its
    metric is a finite number in every seed, and the shorter run did spend its FLOPs. Of the winners that are
    non-inferior to ``full`` the one of the fewest FLOPs is recommended; without one of these the winner with the best
    mean, unless it is inferior. Without such a winner it is the shortest of the shorter runs that are non-inferior,
    and without one of those the full recipe.

    Args:
        summary: Of a comparison.

    Returns:
        None where no lever ran beside a shorter run, or ``full`` did not.
    """
    levers = [row for row in summary.rows if TWIN + row.arm in row.against]
    full = summary.row(FULL)
    ran = {*(row.arm for row in summary.rows), *summary.lost}
    if full is None or not any(TWIN + arm in ran for arm in ran):
        return None
    found = [_result(row, full, summary) for row in levers] + _chance(levers) + _equal(summary)
    winners = [row for row in levers if _wins(row, summary)]
    if kept := [row for row in winners if row.verdict == "non-inferior"]:
        best = min(kept, key=_cost)
        reason = "Of the levers that win and are non-inferior to full, it needs the fewest FLOPs."
        return Recommendation(best.arm, None, [_says(best.arm, reason), *found])
    if kept := [row for row in winners if row.verdict != "inferior"]:
        best = max(kept, key=lambda row: summary.metric.sign * row.mean)
        reason = (
            "Of the levers that win, it has the best mean. Whether it loses more than the margin against full is open."
        )
        return Recommendation(best.arm, None, [_says(best.arm, reason), *found])
    no_lever = _no_lever(winners, [row.arm for row in levers if _is_above(row, summary)])
    return _without_a_lever(summary, full, no_lever, found)


def _no_lever(winners: Sequence[Row], above: list[str]) -> str:
    if winners:
        names = ", ".join(row.arm for row in winners)
        return f"What wins against a shorter run loses more than the margin against full: {names}."
    if above:
        return f"What is above its shorter run with its whole interval cannot win: {', '.join(above)}."
    return "No lever is above a shorter run of its FLOPs with its whole interval."


def _without_a_lever(summary: Summary, full: Row, no_lever: str, found: list[str]) -> Recommendation:
    shorter = [row for row in summary.rows if row.arm.startswith(TWIN) and row.verdict == "non-inferior"]
    shorter = [row for row in shorter if _epochs(row, full) < full.epochs]
    if not shorter:
        reason = f"{no_lever} No shorter run is shown to be non-inferior to full either."
        return Recommendation(FULL, None, [_says("the full recipe, as it is", reason), *found])
    best = min(shorter, key=_cost)
    epochs = _epochs(best, full)
    reason = f"{no_lever} {best.arm} is non-inferior to full: {_change(best, FULL, summary)}. {SCHEDULE}"
    return Recommendation(best.arm, epochs, [_says(f"a plain run of {plural(epochs, 'epoch')}", reason), *found])


def _epochs(row: Row, full: Row) -> int:
    """The whole epochs of the full recipe in which a shorter run draws its samples."""
    return math.ceil(row.samples / (full.samples / full.epochs) - 0.005)


def _says(what: str, reason: str) -> str:
    return f"Recommended: {what}. {reason}"


def _wins(row: Row, summary: Summary) -> bool:
    return _is_above(row, summary) and not _barred(row, summary)


def _is_above(row: Row, summary: Summary) -> bool:
    gain = summary.gain(row, TWIN + row.arm)
    # Differences that are all equal have an interval without width, which decides nothing.
    return gain.t is not None and bool(gain.sd) and gain.t[0] > 0


def _barred(row: Row, summary: Summary) -> str:
    """Why a lever cannot win, whatever its interval is; empty if it can."""
    if seeds := summary.lost.get(row.arm):
        return f" It cannot win: {summary.metric.name} is no finite number in seed {', '.join(map(str, seeds))}."
    twin = summary.row(TWIN + row.arm)
    if twin is None or not twin.flops or not row.flops or twin.flops >= SAME * row.flops:
        return ""
    return f" It cannot win: its shorter run, ended early, has {1 - twin.flops / row.flops:.0%} fewer FLOPs than it."


def _cost(row: Row) -> float:
    return row.samples if row.flops is None else row.flops


def _result(row: Row, full: Row, summary: Summary) -> str:
    less = "" if row.flops is None or not full.flops else f" at {_less(row.flops / full.flops)} FLOPs"
    to_full = f"{_change(row, FULL, summary)}{less}" if FULL in row.against else "not known"
    verdict = "" if row.verdict is None else f" ({row.verdict})"
    to_twin = _change(row, TWIN + row.arm, summary)
    said = f"{row.arm}: {to_twin} against a shorter run of its FLOPs; against full {to_full}{verdict}."
    return said + _barred(row, summary)


def _less(part: float) -> str:
    return f"{1 - part:.0%} fewer" if part <= 1 else f"{part - 1:.0%} more"


def _change(row: Row, reference: str, summary: Summary) -> str:
    return f"{summary.metric.difference(row.against[reference])} {summary.metric.unit}"


def _chance(levers: Sequence[Row]) -> list[str]:
    if len(levers) <= 1:
        return []
    return [
        f"{len(levers)} levers were tried. Were none of them of any use, at least one would win in up to "
        f"{ALPHA * len(levers):.1%} of such comparisons."
    ]


def _equal(summary: Summary) -> list[str]:
    same = [row.arm for row in summary.rows if FULL in row.against and row.against[FULL].sd == 0]
    if not same:
        return []
    return [
        f"The difference to full is the same in every seed, which decides nothing, for: {', '.join(same)}. If "
        f"{summary.metric.name} is at its best value already, compare by another --metric, such as a loss."
    ]
