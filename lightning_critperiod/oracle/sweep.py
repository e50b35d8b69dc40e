"""What the runs of an oracle say, read from their records alone."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import instantiate_class

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.as_dict import Record
from lightning_critperiod.compare.results import STUDY, Results
from lightning_critperiod.compare.statistics import Paired, paired
from lightning_critperiod.compare.summary import Records, Row, summarize
from lightning_critperiod.oracle.arms import FULL, RULE, choice
from lightning_critperiod.oracle.jobs import rule_epoch
from lightning_critperiod.recipe import Volume


@dataclass(frozen=True)
class Point:
    """One arm, summed up.

    Args:
        row: Accuracy, samples and passes, and the paired difference to the full recipe, as `compare` has them.
        epoch: Of the switch; ``RULE`` where the rule fires, None for the full recipe to the end.
        annealing: The fraction.
        seconds: Mean over seeds of what the epochs of a whole run took, those before the branch included; start-up is
            left out, as a branch has two.
        usual_seconds: The same, had every epoch taken the median of all epochs of its volume in all runs.
        annealed: Mean over seeds of the epochs that annealing brings the full recipe back in.
        saved: Mean over seeds of the part of the full recipe's samples that was not drawn.
    """

    row: Row
    epoch: int | str | None
    annealing: float
    seconds: float
    usual_seconds: float
    annealed: float
    saved: float

    @property
    def to_full(self) -> Paired | None:
        """Paired difference to the full recipe, in points."""
        return self.row.against.get(FULL)


@dataclass(frozen=True)
class Sweep:
    """A whole study.

    Args:
        name: Of the config.
        max_epochs: Of a run.
        rule: The config's own, in words.
        choices: Seed -> the first epoch after the period by that rule, asked on the full run; None if there is none.
        points: All of them; the full recipe is the first.
        records: Of the runs.
    """

    name: str
    max_epochs: int
    rule: str
    choices: dict[int, int | None]
    points: list[Point]
    records: list[Record]

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
    """Paired difference of two points, in points of accuracy."""
    return paired(point.row.accuracies, reference.row.accuracies)


def load(folder: Path) -> Sweep:
    """Read a study from its folder.

    Args:
        folder: Of an oracle; some runs may still be missing, but not the full recipe of every seed.

    Returns:
        The study, without training anything.

    Raises:
        ValueError: There is no record of the full recipe.
    """
    study = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    records = {file.name: Results(folder).records(file.name) for file in folder.iterdir() if file.is_dir()}
    if not records.get(FULL):
        raise ValueError(f"{folder} has no record of the full recipe: nothing to compare with")
    rule = instantiate_class((), study["rule"])
    fulls = records[FULL]
    return Sweep(
        name=folder.name,
        max_epochs=_length(fulls),
        rule=str(rule),
        choices={seed: rule_epoch(rule, record) for seed, record in fulls.items()},
        points=list(_points({name: runs for name, runs in records.items() if runs}, study["metric"])),
        records=[record for runs in records.values() for record in runs.values()],
    )


def _points(records: Records, metric: str) -> Iterator[Point]:
    usual = _usual_seconds(records)
    overrides = {name: next(iter(runs.values()))["comparison"]["overrides"] for name, runs in records.items()}
    arms = [Arm(name, overrides[name], "") for name in sorted(records, key=lambda name: (name != FULL, name))]
    for arm, row in zip(arms, summarize(arms, records, metric, 1.0), strict=True):
        runs = records[arm.name]
        yield Point(
            row=row,
            epoch=choice(arm).get("epoch"),
            annealing=choice(arm).get("annealing", 0.0),
            seconds=statistics.fmean(_seconds(epoch) for epoch in _epochs_of(runs)) * _length(runs),
            usual_seconds=statistics.fmean(usual[_volume(epoch)] for epoch in _epochs_of(runs)) * _length(runs),
            annealed=statistics.fmean(_annealed(record) for record in runs.values()),
            saved=_saved(runs, records[FULL]),
        )


def _usual_seconds(records: Records) -> dict[Volume, float]:
    """Volume -> median seconds of an epoch; what branches have from their trunk counts once."""
    found: dict[Volume, set[float]] = {}
    for runs in records.values():
        for epoch in _epochs_of(runs):
            found.setdefault(_volume(epoch), set()).add(_seconds(epoch))
    return {volume: statistics.median(seconds) for volume, seconds in found.items()}


def _epochs_of(runs: Mapping[int, Record]) -> list[dict[str, Any]]:
    return [epoch for record in runs.values() for epoch in record["epochs"]]


def _length(runs: Mapping[int, Record]) -> int:
    return int(next(iter(runs.values()))["run"]["max_epochs"])


def _volume(epoch: dict[str, Any]) -> Volume:
    return Volume(**epoch["volume"])


def _seconds(epoch: dict[str, Any]) -> float:
    return float(sum(epoch["seconds"].values()))


def _annealed(record: Record) -> int:
    return sum(epoch["phase"] == "annealing" for epoch in record["epochs"])


def _saved(runs: Mapping[int, Record], fulls: Mapping[int, Record]) -> float:
    return statistics.fmean(
        1 - record["measured"]["samples"] / fulls[seed]["measured"]["samples"] for seed, record in runs.items()
    )
