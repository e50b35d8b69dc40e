"""What the same run would have cost with another recipe: projected, never measured."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONFIDENCE = 0.95
STEPS = ("training", "data_wait")
"""Where the time of the training batches goes: what depends on how many there are, and on what they do."""


@dataclass(frozen=True)
class PacedEpoch:
    """An epoch as a projection sees it.

    Args:
        drawn: What it drew: samples, or batches where samples are not counted.
        wanted: What it would have drawn with the recipe in question.
        seconds: Where its time went -> s.
        flops: The FLOPs of its training steps; None if they were not counted.
        same_steps: Whether a step was what it would have been with that recipe, not a cheaper one.
        is_reference: Whether the pace is taken from it.
    """

    drawn: int
    wanted: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    flops: float | None = None
    same_steps: bool = True
    is_reference: bool = True

    @property
    def stays(self) -> bool:
        """Whether it would have been the same epoch, so that it counts as it was measured."""
        return self.same_steps and self.drawn == self.wanted


@dataclass(frozen=True)
class Projection:
    """A run with another recipe.

    Args:
        drawn: Samples, or batches, that would have been drawn.
        seconds: Where the time would have gone -> s; the detector is not charged.
        low: Lower end of the 95% interval of the total in s; None if there is no spread to take it from.
        high: Its upper end.
        epochs: How many of the run's epochs were projected; the others count as they were measured.
        flops: The FLOPs of the training steps; None if they were not counted.
    """

    drawn: int
    seconds: dict[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    epochs: int = 0
    flops: float | None = None

    @property
    def total(self) -> float:
        """All of the time, s."""
        return sum(self.seconds.values())


def project(measured: Mapping[str, float], epochs: Sequence[PacedEpoch], left_out: int = 0) -> Projection:
    """Project the cost of a run that had followed another recipe to its planned end.

    An epoch that would have been the same counts as measured. The m others, those that were left out among them, would
    have drawn S in all; their training and waiting for data takes S r, with r the median of the seconds per sample of
    the n reference epochs. The first of these holds the warm-up of the process and is left out where two others remain.
    With s their standard deviation, the interval is S t s sqrt(1 / m + pi / (2 n)), t Student's quantile with n - 1
    degrees of freedom: the noise of m epochs, and that of a median of n; the m epochs take no less than nothing. An
    epoch that was left out would have drawn what the largest did, and taken the mean of the others' validation and
    overhead, without noise. The rest counts as measured. FLOPs have no noise: an epoch counts its own per sample, or
    those of the reference epochs where its steps were cheaper ones.

    Args:
        measured: Where the time of the whole run went -> s.
        epochs: The epochs of the run.
        left_out: Planned epochs that the run did without.

    Returns:
        The projection, without an interval if fewer than two reference epochs are left.

    Raises:
        ValueError: There is something to project, but no reference epoch drew anything.
    """
    others = [epoch for epoch in epochs if not epoch.stays]
    whole = max((epoch.wanted for epoch in epochs), default=0)
    drawn, more = (sum(epoch.wanted for epoch in some) + left_out * whole for some in (epochs, others))
    seconds, pace = _without_detector(measured, epochs, left_out), _pace(epochs)
    if not others and not left_out:
        return Projection(drawn, seconds, sum(seconds.values()), sum(seconds.values()), flops=_flops(epochs, pace, 0))
    if not pace:
        raise ValueError("no epoch drew a sample: there is nothing to project from")
    certain = sum(seconds.values())
    for name in STEPS:
        spent = sum(epoch.seconds.get(name, 0.0) for epoch in others)
        seconds[name] = seconds.get(name, 0.0) - spent + more * _rate(pace, name)
        certain -= spent
    total, half = sum(seconds.values()), _half_width(pace, len(others) + left_out)
    low, high = (None, None) if half is None else (max(certain, total - half * more), total + half * more)
    return Projection(drawn, seconds, low, high, len(others), _flops(epochs, pace, left_out * whole))


def _pace(epochs: Sequence[PacedEpoch]) -> list[PacedEpoch]:
    found = [epoch for epoch in epochs if epoch.is_reference and epoch.drawn]
    return found[1:] if len(found) > 2 else found


def _rate(pace: Sequence[PacedEpoch], name: str) -> float:
    return statistics.median(epoch.seconds.get(name, 0.0) / epoch.drawn for epoch in pace)


def _without_detector(measured: Mapping[str, float], epochs: Sequence[PacedEpoch], left_out: int) -> dict[str, float]:
    """Where the time went -> s, with what the left-out epochs would have taken apart from their steps."""
    apart = {name for epoch in epochs for name in epoch.seconds} - {*STEPS, "detector", "start_up", "metering"}
    seconds = {name: s for name, s in measured.items() if name != "detector"}
    for name in sorted(apart):
        mean = statistics.fmean(epoch.seconds.get(name, 0.0) for epoch in epochs)
        seconds[name] = seconds.get(name, 0.0) + left_out * mean
    return seconds


def _flops(epochs: Sequence[PacedEpoch], pace: Sequence[PacedEpoch], left_out: int) -> float | None:
    """Those of the run's epochs, and of so many samples that were left out."""
    drawn = sum(epoch.drawn for epoch in pace)
    rate = _sum([epoch.flops for epoch in pace], 1 / drawn) if drawn else None
    whole = [_own(epoch) if epoch.same_steps and epoch.drawn else _sum([rate], epoch.wanted) for epoch in epochs]
    return _sum([*whole, *([_sum([rate], left_out)] if left_out else [])])


def _own(epoch: PacedEpoch) -> float | None:
    return _sum([epoch.flops], epoch.wanted / epoch.drawn)


def _sum(values: Sequence[float | None], times: float = 1.0) -> float | None:
    known = [value for value in values if value is not None]
    return times * sum(known) if known and len(known) == len(values) else None


def _half_width(pace: Sequence[PacedEpoch], epochs: int) -> float | None:
    """Half the interval of the mean seconds per sample of ``epochs`` more epochs, in s per sample."""
    if len(pace) < 2:
        return None
    from scipy.stats import t  # type: ignore[import-untyped]

    rates = [sum(epoch.seconds.get(name, 0.0) for name in STEPS) / epoch.drawn for epoch in pace]
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(rates) - 1))
    return quantile * statistics.stdev(rates) * math.sqrt(1 / epochs + math.pi / (2 * len(rates)))
