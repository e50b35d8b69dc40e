"""Paired differences between arms: intervals, verdicts, and how many seeds would settle it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95
POWER = 0.8
RESAMPLES = 9999

Interval = tuple[float, float]
Verdict = Literal["non-inferior", "inferior", "undecided"]


@dataclass(frozen=True)
class Paired:
    """The differences of two arms, seed by seed, summed up.

    Args:
        seeds: How many both arms have.
        mean: The mean of the differences.
        sd: Their standard deviation; None with one seed.
        t: 95% interval of the mean by Student's t; None with one seed.
        bootstrap: 95% interval of the mean by the percentile bootstrap; None with one seed.
    """

    seeds: int
    mean: float
    sd: float | None
    t: Interval | None
    bootstrap: Interval | None

    def negated(self) -> "Paired":
        """The same of the reference to the values."""
        ends = [None if ends is None else (-ends[1], -ends[0]) for ends in (self.t, self.bootstrap)]
        return Paired(self.seeds, -self.mean, self.sd, *ends)


def paired(values: Mapping[int, float], reference: Mapping[int, float]) -> Paired | None:
    """Values minus reference, over the seeds that both have.

    Args:
        values: Seed -> value of an arm.
        reference: Seed -> value of the other arm.

    Returns:
        None if they have no seed in common.
    """
    differences = [values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())]
    if not differences:
        return None
    mean = statistics.fmean(differences)
    if len(differences) == 1:
        return Paired(1, mean, None, None, None)
    return Paired(
        len(differences),
        mean,
        statistics.stdev(differences),
        t_interval(differences),
        bootstrap_interval(differences),
    )


def t_interval(values: Sequence[float]) -> Interval:
    """95% interval of the mean: mean +- t(0.975, n - 1) sd / sqrt(n)."""
    n = len(values)
    half = _t((1 + CONFIDENCE) / 2, n - 1) * statistics.stdev(values) / math.sqrt(n)
    mean = statistics.fmean(values)
    return mean - half, mean + half


def bootstrap_interval(values: Sequence[float]) -> Interval:
    """95% percentile interval of the mean over 9999 resamples (Efron 1979), always the same ones.

    With few seeds it is narrower than it should be.

    Args:
        values: At least two.

    Returns:
        Its lower and upper end.
    """
    import numpy as np
    from scipy.stats import bootstrap  # type: ignore[import-untyped]

    rng = np.random.default_rng(0)
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=rng
    ).confidence_interval
    return float(found.low), float(found.high)


def verdict(difference: Paired, margin: float) -> Verdict:
    """Whether an arm is as good as the reference but for ``margin``.

    Args:
        difference: The difference of the arm to the reference, turned so that a value above 0 is better.
        margin: Above 0, in the same unit, stated beforehand.

    Returns:
        "non-inferior" if the whole t-interval lies above -margin (a one-sided test at 2.5%), "inferior" if it lies
        below, "undecided" otherwise. Differences that are all equal, as they may be by chance on a small test set,
        have an interval without width, which decides nothing.
    """
    if difference.t is None or not difference.sd:
        return "undecided"
    low, high = difference.t
    if low > -margin:
        return "non-inferior"
    return "inferior" if high < -margin else "undecided"


def seeds_needed(sd: float, margin: float) -> int:
    """Seeds with which non-inferiority is shown in 80% of the studies, if the arms are equally good.

    The least n with (t(0.975, n - 1) + t(0.8, n - 1)) sd / sqrt(n) <= margin.

    Args:
        sd: The standard deviation of the paired differences.
        margin: Above 0, in the same unit.

    Returns:
        From 2 up.
    """
    n = 2
    while (_t((1 + CONFIDENCE) / 2, n - 1) + _t(POWER, n - 1)) * sd / math.sqrt(n) > margin:
        # Steps that grow with n keep it fast where millions of seeds are needed; below 100 it is exact.
        n += max(1, n // 100)
    return n


def _t(probability: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, freedom))
