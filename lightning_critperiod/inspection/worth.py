"""Until when going on was worth it, and what the rest of the run brought and cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from lightning_critperiod.inspection.modes import Mode
from lightning_critperiod.inspection.verdict import Verdict, ask
from lightning_critperiod.report.advice import UNDECAYED
from lightning_critperiod.report.words import plain
from lightning_critperiod.rules import History, Worthwhile
from lightning_critperiod.rules.measured import measured
from lightning_critperiod.rules.outlook import outlook

_PART = 0.02
"""The fraction of the whole run's gain that is worth going on for, by default."""

_LEVEL = 20
"""The level at an epoch is the mean over this part of the run, a twentieth."""

_LEAST = 3
"""And over three values at least."""

_BREAK = 10.0
"""An epoch that takes ten times as long as usual was a break between two sessions."""

_UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
"""From two of them on."""

_SMALL = 0.1
"""Percent; smaller parts of the highest learning rate are shown as less than this."""


@dataclass(frozen=True)
class Worth:
    """Whether it was worth it to go on, by one metric.

    Args:
        metric: Its name.
        gained: What the run gained, in units of the metric; up is better.
        min_gain: The least gain that is worth going on for.
        enough: The number of epochs after which no more than that was still to come; None where nothing was gained.
        rest: What the epochs after it brought.
        verdict: What ``Worthwhile`` would have said, which does not know what comes; None where nothing was gained.
        late: What was still to come when it fired.
    """

    metric: str
    gained: float
    min_gain: float = 0.0
    enough: int | None = None
    rest: float = 0.0
    verdict: Verdict | None = None
    late: float = 0.0


def worth(metric: str, history: History, mode: Mode, epochs: int, min_gain: float | None) -> Worth:
    """Look back from the end of the run, and ask ``Worthwhile``, with the end of the run as its horizon.

    The level at an epoch is the best so far of the running mean over a twentieth of the run, at least three values.

    Args:
        metric: Its name.
        history: Epoch -> value.
        mode: The mode of the metric.
        epochs: The epochs of the run.
        min_gain: The least gain that is worth going on for; None is 2% of what the whole run gained.

    Returns:
        What was found.
    """
    levels = _levels(history, mode)
    gained = levels[max(levels)] - levels[min(levels)] if levels else 0.0
    least = float(f"{_PART * gained:.2g}") if min_gain is None else min_gain
    if not gained > 0 or not math.isfinite(least):
        return Worth(metric, gained)
    to_come = {epoch: levels[max(levels)] - level for epoch, level in levels.items()}
    enough = next(epoch for epoch, rest in to_come.items() if rest <= least)
    verdict = ask(metric, Worthwhile(least, mode, horizon=epochs), history, epochs)
    end = verdict.end_epoch
    late = 0.0 if end is None else to_come[max(epoch for epoch in levels if epoch < end)]
    return Worth(metric, gained, least, enough + 1, to_come[enough], verdict, late)


def _levels(history: History, mode: Mode) -> dict[int, float]:
    """Epoch -> level, from the third measured epoch on; the sign is turned where lower is better."""
    sign = 1 if mode == "max" else -1
    signed = [(epoch, sign * value) for epoch, value in measured(history)]
    width = max(_LEAST, len(signed) // _LEVEL)
    sums = list(accumulate((value for _, value in signed), initial=0.0))
    found: dict[int, float] = {}
    best = -math.inf
    for last in range(_LEAST, len(signed) + 1):
        first = max(0, last - width)
        best = max(best, (sums[last] - sums[first]) / (last - first))
        found[signed[last - 1][0]] = best
    return found


def seconds_of_epochs(times: Mapping[int, float], epochs: int) -> dict[int, float]:
    """How long each epoch took, by the moments at which the last value of an epoch was logged.

    Args:
        times: Epoch -> moment in seconds. Epochs between two of them share the time; a break between two sessions, and
            an epoch of which nothing is known, counts as an epoch of the usual length.
        epochs: The epochs of the run.

    Returns:
        Epoch -> seconds; nothing where the log does not say it.
    """
    known = sorted(times)
    took = {
        epoch: (times[after] - times[before]) / (after - before)
        for before, after in pairwise(known)
        for epoch in range(before + 1, after + 1)
    }
    if not took:
        return {}
    usual = median(took.values())
    return {e: took[e] if 0 <= took.get(e, -1.0) <= _BREAK * usual else usual for e in range(epochs)}


def decay_note(rates: Mapping[str, Sequence[float]]) -> str:
    """Whether the learning rate had decayed at the end, in a sentence."""
    found = {name: values for name, values in rates.items() if max(values, default=0.0) > 0}
    if not found:
        return "No learning rate was logged, so it is not known whether it had decayed at the end."
    said = ", ".join(f"{name} was {_last(values)}" for name, values in found.items())
    if all(_expected_end(values) <= UNDECAYED * max(values) for values in found.values()):
        return f"The learning rate had decayed: {said}. Part of what the last epochs brought is due to that."
    return f"The learning rate had not decayed: {said}. A decay to zero usually makes the model better at no more cost."


def _is_falling(values: Sequence[float]) -> bool:
    return len(values) > 2 and values[-3] > values[-2] > values[-1]


def _expected_end(values: Sequence[float]) -> float:
    """The rate at the end of the run: LearningRateMonitor logs that at the start of each epoch, which still falls."""
    return 2 * values[-1] - values[-2] if _is_falling(values) else values[-1]


def _last(values: Sequence[float]) -> str:
    part = 100 * values[-1] / max(values)
    shown = f"{part:.3g}%" if part >= _SMALL or not part else f"less than {_SMALL}%"
    return f"{shown} of its highest value when last logged{', and falling' if _is_falling(values) else ''}"


def worth_notes(
    worths: Sequence[Worth], epochs: int, seconds: Mapping[int, float], price_per_hour: float | None
) -> list[str]:
    """What was found by each metric; those that say the same are named together.

    Args:
        worths: The worth by metric.
        epochs: The epochs of the run.
        seconds: Epoch -> how long it took; empty if that is not known.
        price_per_hour: Price of the machine per hour; None if not given.

    Returns:
        Sentences.
    """
    nothing = [found.metric for found in worths if found.enough is None]
    said = [
        f"{_looking_back(found, found.enough, _cost(found.enough, epochs, seconds, price_per_hour), epochs)} "
        f"{_by_rule(found)}"
        for found in worths
        if found.enough is not None
    ]
    why = "Not known when going on was no longer worth it, as the level at the end is no better than at first"
    return said + ([f"{why}: {', '.join(nothing)}."] if nothing else [])


def _looking_back(found: Worth, enough: int, cost: str, epochs: int) -> str:
    """What the whole curve shows."""
    gain = f"min_gain={found.min_gain:g}"
    if enough == epochs:
        return f"By {found.metric}, going on was worth it to the end: the last epochs brought more than {gain}."
    return (
        f"By {found.metric}, going on was no longer worth it after epoch {enough - 1}: the other {epochs - enough} of "
        f"{epochs} epochs brought {found.rest:.2g} of the {found.gained:.2g} that the run gained, not more than "
        f"{gain}{cost}."
    )


def _by_rule(found: Worth) -> str:
    """What a rule would have said that does not know what comes."""
    verdict = found.verdict
    if verdict is None or verdict.end_epoch is None:
        short = verdict is None or outlook(verdict.history, "min") is None
        why = "the run is too short, or was measured too rarely" if short else "the noise was too large to tell"
        return f"During the run, Worthwhile would not have ended it: {why}."
    early = f" (too early: {found.late:.2g} was still to come)" if found.late > found.min_gain else ""
    return (
        f"During the run, Worthwhile would have ended it after epoch {verdict.end_epoch - 1}{early}: it {verdict.why}."
    )


def _cost(end: int, epochs: int, seconds: Mapping[int, float], price_per_hour: float | None) -> str:
    """What the epochs from ``end`` on took, and what that cost; empty if the log has no times."""
    rest, whole = (sum(seconds.get(epoch, 0.0) for epoch in range(first, epochs)) for first in (end, 0))
    if not whole:
        return ""
    unit, length = next((unit, length) for unit, length in _UNITS if whole >= 2 * length or length == 1.0)
    money = "" if price_per_hour is None else f", {plain(rest / 3600 * price_per_hour)} at {price_per_hour:g} an hour"
    return f", and took {rest / length:.3g} of {whole / length:.3g} {unit}{money}"
