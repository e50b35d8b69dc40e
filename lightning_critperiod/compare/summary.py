"""A comparison summed up from its records."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.as_dict import Record
from lightning_critperiod.compare.plan import pass_samples
from lightning_critperiod.compare.statistics import (
    Interval,
    Paired,
    Verdict,
    paired,
    seeds_needed,
    t_interval,
    verdict,
)

REFERENCES = ("full", "ours")


@dataclass(frozen=True)
class Row:
    """One arm.

    Args:
        arm: Its name.
        description: In words.
        equal_cost: Whether it drew as much as ours.
        accuracies: Seed -> accuracy on the test set, %.
        samples: Mean over seeds of the samples drawn.
        passes: The same in passes over the training data; None if no run says how long one is.
        seconds: Mean over seeds of the wall-clock time, the start of the energy meter left out; the detector is in.
        switches: Seed -> first epoch after the critical period, where there was one.
        last_rate: Mean over seeds of the last learning rate over the highest one.
        against: Reference -> difference to it in points.
        verdict: Against `full`, at the margin.
        seeds_needed: To settle non-inferiority against `full`.
    """

    arm: str
    description: str
    equal_cost: bool
    accuracies: dict[int, float]
    samples: float
    passes: float | None
    seconds: float
    switches: dict[int, int]
    last_rate: float
    against: dict[str, Paired]
    verdict: Verdict | None
    seeds_needed: int | None

    @property
    def mean(self) -> float:
        """Of the accuracies, %."""
        return statistics.fmean(self.accuracies.values())

    @property
    def interval(self) -> Interval | None:
        """95% t-interval of that mean; not paired."""
        return t_interval(list(self.accuracies.values())) if len(self.accuracies) > 1 else None


Records = Mapping[str, Mapping[int, Record]]
"""Arm -> seed -> record."""


def summarize(arms: Sequence[Arm], records: Records, metric: str, margin: float | None) -> list[Row]:
    """Sum up a comparison.

    Args:
        arms: In the order of the rows; those without a record are left out.
        records: Of the runs.
        metric: Name of the test metric, a fraction in [0, 1]; higher is better.
        margin: In points; None makes no verdict.

    Returns:
        One row an arm.

    Raises:
        ValueError: There are no records, or the metric was not logged.
    """
    if not any(records.get(arm.name) for arm in arms):
        raise ValueError("no arm has a finished run: there are no records to compare")
    accuracies = {name: _accuracies(runs, metric) for name, runs in records.items()}
    n = _pass_samples(records)
    return [_row(arm, records[arm.name], accuracies, n, margin) for arm in arms if records.get(arm.name)]


def _accuracies(runs: Mapping[int, Record], metric: str) -> dict[int, float]:
    for seed, record in runs.items():
        if record["metrics"]["test"].get(metric) is None:
            raise ValueError(
                f"no test metric {metric!r} in {record['comparison']['arm']}, seed {seed}: expected one of "
                f"{', '.join(record['metrics']['test'])}"
            )
    return {seed: 100 * record["metrics"]["test"][metric] for seed, record in runs.items()}


def _pass_samples(records: Records) -> int | None:
    """n, from a run that tells what it drew in terms of it: an observer does not."""
    for runs in records.values():
        for record in runs.values():
            if record["decision"] is not None and not record["decision"]["observe_only"]:
                return pass_samples(record)
    return None


def _row(
    arm: Arm,
    runs: Mapping[int, Record],
    accuracies: Mapping[str, dict[int, float]],
    n: int | None,
    margin: float | None,
) -> Row:
    own = accuracies[arm.name]
    found = {name: paired(own, accuracies[name]) for name in REFERENCES if name != arm.name and name in accuracies}
    against = {name: difference for name, difference in found.items() if difference is not None}
    to_full = against.get("full") if margin is not None else None
    samples = statistics.fmean(record["measured"]["samples"] for record in runs.values())
    decisions = {seed: record["decision"] for seed, record in runs.items() if record["decision"]}
    return Row(
        arm=arm.name,
        description=arm.description,
        equal_cost=arm.equal_cost,
        accuracies=own,
        samples=samples,
        passes=samples / n if n else None,
        seconds=statistics.fmean(_seconds(record) for record in runs.values()),
        switches={
            seed: d["end_epoch"]
            for seed, d in decisions.items()
            if d["end_epoch"] is not None and "multipliers" not in d["recipe"]["changes"]
        },
        last_rate=statistics.fmean(_last_rate(record) for record in runs.values()),
        against=against,
        verdict=None if to_full is None or margin is None else verdict(to_full, margin),
        seeds_needed=None if not to_full or to_full.sd is None or not margin else seeds_needed(to_full.sd, margin),
    )


def _seconds(record: Record) -> float:
    phases = record["measured"]["seconds_by_phase"]
    return float(sum(seconds for phase, seconds in phases.items() if phase != "metering"))


def _last_rate(record: Record) -> float:
    rates = [max(values) for values, _ in record["comparison"]["rates"]]
    return rates[-1] / max(rates) if max(rates) else 1.0
