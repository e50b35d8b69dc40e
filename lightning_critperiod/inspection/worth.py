"""From when on going on was not worth it any more, and what the rest of the run brought and cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from lightning_critperiod.inspection.modes import Mode
from lightning_critperiod.inspection.verdict import Verdict, ask
from lightning_critperiod.rules import History, Worthwhile
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

_DECAYED = 0.1
"""A learning rate of a tenth of its highest value has decayed."""


@dataclass(frozen=True)
class Worth:
    """Whether it was worth it to go on, by one metric.

    Args:
        verdict: The verdict of ``Worthwhile``; None where the metric never got better: nothing to measure by.
        metric: Its name.
        gained: What the run gained, in units of the metric; up is better.
        rest: Of that, what the epochs after the verdict brought; 0 without a verdict.
    """

    verdict: Verdict | None
    metric: str
    gained: float
    rest: float = 0.0


def worth(metric: str, history: History, mode: Mode, epochs: int, min_gain: float | None) -> Worth:
    """Ask ``Worthwhile``, with the end of the run as its horizon.

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
        return Worth(None, metric, gained)
    verdict = ask(metric, Worthwhile(least, mode, horizon=epochs), history, epochs)
    if verdict.end_epoch is None:
        return Worth(verdict, metric, gained)
    then = levels[max(epoch for epoch in levels if epoch < verdict.end_epoch)]
    return Worth(verdict, metric, gained, levels[max(levels)] - then)


def _levels(history: History, mode: Mode) -> dict[int, float]:
    """Epoch -> level, from the third measured epoch on; the sign is turned where lower is better."""
    sign = 1 if mode == "max" else -1
    measured = [(epoch, sign * value) for epoch, value in sorted(history.items()) if math.isfinite(value)]
    width = max(_LEAST, len(measured) // _LEVEL)
    sums = list(accumulate((value for _, value in measured), initial=0.0))
    found: dict[int, float] = {}
    best = -math.inf
    for last in range(_LEAST, len(measured) + 1):
        first = max(0, last - width)
        best = max(best, (sums[last] - sums[first]) / (last - first))
        found[measured[last - 1][0]] = best
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
    ends = {name: values[-1] / max(values) for name, values in rates.items() if max(values, default=0.0) > 0}
    if not ends:
        return "No learning rate was logged: whether it had decayed at the end is not known."
    said = [f"{name} was {100 * end:.3g}% of its highest value at the end" for name, end in ends.items()]
    if max(ends.values()) <= _DECAYED:
        return f"The learning rate had decayed: {', '.join(said)}. What the last epochs brought is partly that decay."
    return f"The learning rate had not decayed: {', '.join(said)}. Such a run has had no cooldown."


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
    alike: dict[str, list[str]] = {}
    said = []
    for found in worths:
        if found.verdict is not None and found.verdict.end_epoch is not None:
            end = found.verdict.end_epoch
            cost = _cost(end, epochs, seconds, price_per_hour)
            said.append(
                f"Going on was no longer worth it after epoch {end - 1} by {found.metric}: it {found.verdict.why}. The "
                f"other {epochs - end} of {epochs} epochs brought {found.rest:.2g} of {found.gained:.2g}{cost}."
            )
        else:
            alike.setdefault(_why_not(found), []).append(found.metric)
    return said + [f"{why}: {', '.join(names)}." for why, names in alike.items()]


def _why_not(found: Worth) -> str:
    if found.verdict is None:
        return "Not known when going on was no longer worth it: the level at the end is no better than at first, by"
    if outlook(found.verdict.history, "min") is None:
        return "The run is too short, or was measured too rarely, to tell when going on was no longer worth it, by"
    return "As far as the noise allows to tell, going on was worth it to the end, by"


def _cost(end: int, epochs: int, seconds: Mapping[int, float], price_per_hour: float | None) -> str:
    """What the epochs from ``end`` on took, and what that cost; empty if the log has no times."""
    rest, whole = (sum(seconds.get(epoch, 0.0) for epoch in range(first, epochs)) for first in (end, 0))
    if not whole:
        return ""
    unit, length = next((unit, length) for unit, length in _UNITS if whole >= 2 * length or length == 1.0)
    money = "" if price_per_hour is None else f", {rest / 3600 * price_per_hour:.2f} at {price_per_hour:g} an hour"
    return f" and took {rest / length:.3g} of {whole / length:.3g} {unit}{money}"
