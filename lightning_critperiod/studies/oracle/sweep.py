"""What the runs of an oracle say, read from their records alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from lightning_critperiod.recipe import Volume
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.asked import rule_of
from lightning_critperiod.studies.metric import Metric, redrawn
from lightning_critperiod.studies.oracle.branch_jobs import rule_epoch
from lightning_critperiod.studies.oracle.switches import FULL, RULE, choice
from lightning_critperiod.studies.plan import in_words
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.rows import Row, Studied, Summary, summarize
from lightning_critperiod.studies.statistics import Paired, paired
from lightning_critperiod.studies.study_run import StudyRun


@dataclass(frozen=True)
class Point:
    """One arm, summed up.

    Args:
        row: The metric, samples, passes and seconds, and the paired difference to the full recipe.
        epoch: The epoch of the switch; ``RULE`` where the rule fires, None for the full recipe to the end.
        annealing: The fraction.
        usual_seconds: Mean over seeds of what the epochs of a whole run would have taken, had each taken the median of
            all epochs of its volume in all runs.
        annealed: Mean over seeds of the epochs that annealing brings the full recipe back in.
        saved: Mean over seeds of the part of the full recipe's samples that was not drawn.
    """

    row: Row
    epoch: int | str | None
    annealing: float
    usual_seconds: float
    annealed: float
    saved: float

    @property
    def to_full(self) -> Paired | None:
        """Paired difference to the full recipe."""
        return self.row.against.get(FULL)


@dataclass(frozen=True)
class Sweep:
    """A whole study.

    Args:
        name: The name of the config.
        max_epochs: The number of epochs of a run.
        rule: The config's own, in words.
        choices: Seed -> the first epoch after the period by that rule, asked on the full run; None if there is none.
        summary: The rows of the points.
        points: All of them; the full recipe is the first.
        runs: All of them.
    """

    name: str
    max_epochs: int
    rule: str
    choices: dict[int, int | None]
    summary: Summary
    points: list[Point]
    runs: list[StudyRun]

    @property
    def metric(self) -> Metric:
        """That decides."""
        return self.summary.metric

    @property
    def full(self) -> Point:
        """The full recipe to the end."""
        return self.points[0]

    @property
    def seeds(self) -> list[int]:
        """Those whose full run is there."""
        return sorted(self.choices)

    @property
    def switches(self) -> list[Point]:
        """Figure 1: one point a switch epoch, without annealing, in the order of the epochs."""
        found = [point for point in self.points if isinstance(point.epoch, int) and not point.annealing]
        return sorted(found, key=_epoch)

    @property
    def at_rule(self) -> Point | None:
        """The switch where the rule fires, without annealing, if it was trained."""
        return next((point for point in self.points if point.epoch == RULE and not point.annealing), None)

    @property
    def annealed(self) -> dict[int | str, list[Point]]:
        """Figure 2: where the switch is -> points in the order of the fraction, no annealing first."""
        places = {point.epoch for point in self.points if point.annealing and point.epoch is not None}
        return {
            place: sorted((point for point in self.points if point.epoch == place), key=lambda point: point.annealing)
            for place in sorted(places, key=str)
        }


def _epoch(point: Point) -> int:
    return int(point.epoch or 0)


def change(point: Point, reference: Point) -> Paired | None:
    """Paired difference of two points."""
    return paired(point.row.values, reference.row.values)


def load(folder: Path) -> Sweep:
    """Read a study from its folder.

    Args:
        folder: The folder of an oracle; some runs may still be missing, but not the full recipe of every seed.

    Returns:
        The study, without training anything.

    Raises:
        ValueError: There is no record of the full recipe.
    """
    results = Results(folder)
    study = results.study
    found = {file.name: results.runs(file.name) for file in folder.iterdir() if file.is_dir()}
    studied = {name: found[name] for name in sorted(found, key=lambda name: (name != FULL, name)) if found[name]}
    if FULL not in studied:
        raise ValueError(f"{folder} has no record of the full recipe: nothing to compare with")
    rule, fulls = rule_of(study["rule"], study.get("signal")), studied[FULL]
    summary = summarize([_arm(name, runs) for name, runs in studied.items()], studied, redrawn(study), None)
    if summary.row(FULL) is None:
        raise ValueError(f"{folder}: {summary.metric.name} of the full recipe is no finite number in any run")
    return Sweep(
        name=folder.name,
        max_epochs=next(iter(fulls.values())).record.run.max_epochs or 0,
        # As the config has it: an object of a class of the user's own need not say what it is.
        rule=str(rule) if study["rule"] is None else in_words(study["rule"]),
        choices={seed: rule_epoch(rule, run) for seed, run in fulls.items()},
        summary=summary,
        points=list(_points(summary, studied)),
        runs=[run for runs in studied.values() for run in runs.values()],
    )


def _arm(name: str, runs: Mapping[int, StudyRun]) -> Arm:
    return Arm(name, next(iter(runs.values())).overrides, "")


def _points(summary: Summary, studied: Studied) -> Iterator[Point]:
    usual = _usual_seconds(studied)
    for row in summary.rows:
        runs = studied[row.arm]
        made_from = choice(_arm(row.arm, runs))
        yield Point(
            row=row,
            epoch=made_from.get("epoch"),
            annealing=made_from.get("annealing", 0.0),
            usual_seconds=fmean(sum(usual[epoch.volume] for epoch in run.record.epochs) for run in runs.values()),
            annealed=fmean(sum(epoch.phase == "annealing" for epoch in run.record.epochs) for run in runs.values()),
            saved=fmean(1 - run.samples / studied[FULL][seed].samples for seed, run in runs.items()),
        )


def _usual_seconds(studied: Studied) -> dict[Volume | None, float]:
    """Volume -> median seconds of an epoch; what branches have from their trunk counts once."""
    found: dict[Volume | None, set[float]] = {}
    for run in (run for runs in studied.values() for run in runs.values()):
        for epoch in run.record.epochs:
            found.setdefault(epoch.volume, set()).add(epoch.total_seconds)
    return {volume: median(seconds) for volume, seconds in found.items()}
