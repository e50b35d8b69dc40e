"""A study summed up from its records: one row an arm."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.statistics import (
    Interval,
    Paired,
    Verdict,
    paired,
    seeds_needed,
    t_interval,
    verdict,
)
from lightning_critperiod.studies.study_run import StudyRun

REFERENCES = ("full", "ours")
TWIN = "short@"
"""Before the name of an arm: a shorter run of its FLOPs, where a comparison has one."""

Studied = Mapping[str, Mapping[int, StudyRun]]
"""Arm -> seed -> finished run."""


@dataclass(frozen=True)
class Row:
    """One arm.

    Args:
        arm: Its name.
        description: What it does, in words.
        equal_cost: Whether it cost as much as ours.
        values: Seed -> the metric on the test set, as it is written.
        samples: Mean over seeds of the samples drawn.
        passes: The same in passes over the training data; None if no run says how long one is.
        times: Seed -> wall-clock seconds of all epochs, with the detector.
        switches: Seed -> first epoch after the critical period, where there was one.
        last_rate: Mean over seeds of the last learning rate over the highest one.
        against: Reference -> difference to it.
        verdict: Against `full`, at the margin.
        seeds_needed: To settle non-inferiority against `full`.
        budget: In what it cost as much as ours, if it did: "samples", "flops" or "seconds".
        flops: Mean over seeds of the FLOPs of all training steps; None if they were not measured in every run.
        epochs: Mean over seeds of the epochs trained.
    """

    arm: str
    description: str
    equal_cost: bool
    values: dict[int, float]
    samples: float
    passes: float | None
    times: dict[int, float]
    switches: dict[int, int]
    last_rate: float
    against: dict[str, Paired]
    verdict: Verdict | None
    seeds_needed: int | None
    budget: str
    flops: float | None
    epochs: float

    @property
    def mean(self) -> float:
        """Of the values."""
        return statistics.fmean(self.values.values())

    @property
    def seconds(self) -> float:
        """Mean of the times."""
        return statistics.fmean(self.times.values())

    @property
    def interval(self) -> Interval | None:
        """95% t-interval of that mean; not paired."""
        return t_interval(list(self.values.values())) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Summary:
    """All arms.

    Args:
        metric: The metric that decides.
        margin: The margin of non-inferiority, in the metric's unit; None makes no verdict.
        rows: One an arm.
        lost: Arm -> seeds in which the metric is no finite number: they are in no row.
    """

    metric: Metric
    margin: float | None
    rows: list[Row]
    lost: dict[str, list[int]] = field(default_factory=dict)

    def row(self, arm: str) -> Row | None:
        """The row of an arm, if it has one."""
        return next((row for row in self.rows if row.arm == arm), None)

    @property
    def steps_differ(self) -> bool:
        """Whether a sample costs more FLOPs in one arm than in another: then samples do not say what an arm costs."""
        costs = [row.flops / row.samples for row in self.rows if row.flops and row.samples]
        return len(costs) == len(self.rows) and max(costs) > 1.01 * min(costs)

    def cost(self, row: Row) -> float:
        """What arms are compared by: passes over the data, samples where these are not known, FLOPs if steps differ."""
        if self.steps_differ and row.flops is not None:
            return row.flops
        return row.samples if row.passes is None else row.passes

    @property
    def time_tells(self) -> bool:
        """Whether ours took less or more time than full by more than the noise over the seeds, or time is a budget."""
        ours, full = self.row("ours"), self.row("full")
        difference = paired(ours.times, full.times) if ours and full else None
        tells = difference is not None and difference.t is not None and not difference.t[0] <= 0 <= difference.t[1]
        return tells or any(row.budget == "seconds" for row in self.rows)

    @property
    def best_first(self) -> list[Row]:
        """The rows, the best mean first."""
        return sorted(self.rows, key=lambda row: -self.metric.sign * row.mean)

    @property
    def lost_seeds(self) -> list[str]:
        """What to mind of the seeds that are in no row."""
        lost = ", ".join(f"{arm} ({', '.join(map(str, seeds))})" for arm, seeds in self.lost.items())
        if not lost:
            return []
        return [
            f"{self.metric.name} is no finite number in these seeds, which are in no mean: the arms look better than "
            f"they are: {lost}."
        ]

    def gain(self, row: Row, reference: str) -> Paired:
        """The difference of a row to a reference, turned so that a value above 0 is better."""
        return self.metric.gain(row.against[reference])


def summarize(arms: Sequence[Arm], studied: Studied, metric: Metric, margin: float | None) -> Summary:
    """Sum up a study.

    Args:
        arms: In the order of the rows; those without a record are left out.
        studied: The finished runs.
        metric: The metric that decides.
        margin: In the metric's unit; None makes no verdict.

    Returns:
        The summary.

    Raises:
        ValueError: There are no records, or the metric was not logged.
    """
    if not any(studied.get(arm.name) for arm in arms):
        raise ValueError("no arm has a finished run: there are no records to compare")
    logged = {name: {seed: logged_value(metric, run) for seed, run in runs.items()} for name, runs in studied.items()}
    lost = {name: [seed for seed, value in by_seed.items() if value is None] for name, by_seed in logged.items()}
    finite = {name: {s: v for s, v in by_seed.items() if v is not None} for name, by_seed in logged.items()}
    scale = metric.scale(value for by_seed in finite.values() for value in by_seed.values())
    values = {name: {seed: scale * value for seed, value in by_seed.items()} for name, by_seed in finite.items()}
    n = _pass_samples(studied)
    rows = [_row(arm, studied[arm.name], values, n) for arm in arms if values.get(arm.name)]
    lost = {name: seeds for name, seeds in lost.items() if seeds}
    return Summary(metric, margin, [_judged(row, metric, margin, row.arm in lost) for row in rows], lost)


def logged_value(metric: Metric, run: StudyRun) -> float | None:
    """The metric of a run as it was logged.

    Args:
        metric: Which one.
        run: A finished run.

    Returns:
        None if it is no finite number.

    Raises:
        ValueError: It was not logged.
    """
    found = run.record.metrics.test
    if metric.name not in found:
        raise ValueError(metric.missing(f"{run.arm}, seed {run.seed}", found))
    return found[metric.name]


def _pass_samples(studied: Studied) -> int | None:
    """n, from a run that tells what it drew in terms of it: an observer does not."""
    runs = (run for by_seed in studied.values() for run in by_seed.values())
    return next(
        (run.pass_samples for run in runs if run.record.decision and not run.record.decision.observe_only), None
    )


def _row(arm: Arm, runs: Mapping[int, StudyRun], values: Mapping[str, dict[int, float]], n: int | None) -> Row:
    own = values[arm.name]
    others = [name for name in (*REFERENCES, TWIN + arm.name) if name != arm.name and name in values]
    found = {name: paired(own, values[name]) for name in others}
    samples = statistics.fmean(run.samples for run in runs.values())
    return Row(
        arm=arm.name,
        description=arm.description,
        equal_cost=arm.equal_cost,
        values=own,
        samples=samples,
        passes=samples / n if n else None,
        times={seed: run.epoch_seconds for seed, run in runs.items()},
        switches={seed: end for seed, run in runs.items() if (end := _switch(run))},
        last_rate=statistics.fmean(_last_rate(run) for run in runs.values()),
        against={name: difference for name, difference in found.items() if difference is not None},
        verdict=None,
        seeds_needed=None,
        budget=arm.budget,
        flops=_mean([run.flops for run in runs.values()]),
        epochs=statistics.fmean(run.record.run.epochs_done for run in runs.values()),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _judged(row: Row, metric: Metric, margin: float | None, lost: bool) -> Row:
    """The row with its verdict against `full`; an arm that lost seeds has none but undecided."""
    to_full = row.against.get("full")
    if to_full is None or margin is None:
        return row
    said: Verdict = "undecided" if lost else verdict(metric.gain(to_full), margin)
    needed = None if to_full.sd is None else seeds_needed(to_full.sd, margin)
    return dataclasses.replace(row, verdict=said, seeds_needed=needed)


def _switch(run: StudyRun) -> int:
    """The first epoch after the critical period; 0 for a run that begins after it, or ends with it."""
    end_epoch = run.end_epoch or 0
    return end_epoch if end_epoch < (run.record.run.max_epochs or end_epoch + 1) else 0


def _last_rate(run: StudyRun) -> float:
    rates = [max(values) for values, _ in run.rates]
    return rates[-1] / max(rates) if max(rates) else 1.0
