"""What the same epochs would have cost at another volume: projected, never measured."""

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lightning_critperiod.costs.ledger import EpochCosts

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Projection:
    """The training of the same epochs with other numbers of samples.

    Args:
        samples: Training samples that would have been drawn.
        seconds: Phase -> s; the detector is not charged.
        low: Lower end of the 95% interval of the total in s; None if there is no spread to take it from.
        high: Its upper end.
        epochs: How many epochs were projected; the others drew these samples and count as they were measured.
    """

    samples: int
    seconds: dict[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    epochs: int = 0

    @property
    def total(self) -> float:
        """All phases together, s."""
        return sum(self.seconds.values())


def project(
    measured: Mapping[str, float],
    epochs: Iterable[EpochCosts],
    samples: Mapping[int, int],
    reference: Collection[int],
) -> Projection:
    """Project the cost of a run in which the epochs had drawn ``samples`` instead of what they drew.

    An epoch that drew just that counts as measured. For each of the m others, of S samples in all, the seconds of
    training and of waiting for data are S r, with r the median of the seconds per sample of the n reference epochs.
    The first of these holds the warm-up of the process and is left out where two others remain. With s their
    standard deviation, the interval is S t s sqrt(1 / m + pi / (2 n)), t Student's quantile with n - 1 degrees of
    freedom: the noise of m epochs, and that of a median of n; the m epochs take no less than nothing. Validation,
    start-up and the rest count as measured.

    Args:
        measured: Phase -> s of the whole run.
        epochs: The epochs of the run.
        samples: Epoch -> the samples that it would have drawn.
        reference: The epochs that the seconds per sample are taken from: those at the volume in question, if any.

    Returns:
        The projection, without an interval if fewer than two reference epochs are left.

    Raises:
        ValueError: No reference epoch drew a sample.
    """
    run = list(epochs)
    others = [epoch for epoch in run if samples[epoch.epoch] != epoch.samples]
    projected = sum(samples[epoch.epoch] for epoch in others)
    drawn = sum(samples[epoch.epoch] for epoch in run)
    seconds = {phase: s for phase, s in measured.items() if phase != "detector"}
    if not others:
        return Projection(drawn, seconds, sum(seconds.values()), sum(seconds.values()))
    pace = [epoch for epoch in run if epoch.epoch in reference and epoch.samples]
    if not pace:
        raise ValueError("no epoch drew a sample: there is nothing to project from")
    pace = pace[1:] if len(pace) > 2 else pace
    certain = sum(seconds.values())
    for phase in ("training", "data_wait"):
        rate = statistics.median(epoch.seconds.get(phase, 0.0) / epoch.samples for epoch in pace)
        spent = sum(epoch.seconds.get(phase, 0.0) for epoch in others)
        seconds[phase] = seconds.get(phase, 0.0) - spent + rate * projected
        certain -= spent
    total, half = sum(seconds.values()), _half_width(pace, len(others))
    if half is None:
        return Projection(drawn, seconds, epochs=len(others))
    low, high = max(certain, total - half * projected), total + half * projected
    return Projection(drawn, seconds, low, high, len(others))


def _half_width(pace: list[EpochCosts], epochs: int) -> float | None:
    """Half the interval of the mean seconds per sample of ``epochs`` more epochs, in s per sample."""
    if len(pace) < 2:
        return None
    from scipy.stats import t  # type: ignore[import-untyped]

    rates = [sum(e.seconds.get(p, 0.0) for p in ("training", "data_wait")) / e.samples for e in pace]
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(rates) - 1))
    return quantile * statistics.stdev(rates) * math.sqrt(1 / epochs + math.pi / (2 * len(rates)))
