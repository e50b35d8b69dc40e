"""The authors' recorded runs (Fukase et al. 2025): the epochs that were picked against the epochs that were good.

Their sweep trained ResNet-32 on CIFAR-10 once per switch epoch c, augmentation multiplier 3 up to c and 1 from there
on, 200 epochs. Single runs, so that a parabola through all of them stands for the accuracy at c. An epoch costs as many
samples as it draws: 3 c + (200 - c) of 600.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scoring import end_epoch, table, words

from lightning_critperiod.rules import Forecast, LowOutlier, Patient, Rule

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "reference"
EPOCHS, MARGIN = 200, 0.2


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open() as file:
        return list(csv.DictReader(file))


class Sweep(NamedTuple):
    """Accuracy in percent over the switch epoch: a parabola in c / 200, lowest power first, and its covariance."""

    coefficients: np.ndarray
    covariance: np.ndarray
    noise: float

    def lost(self, epoch: int, against: int = EPOCHS) -> float:
        """Points lost by the switch at one epoch against the switch at another."""
        return float(_powers(against, epoch) @ self.coefficients)

    def half_width(self, epoch: int) -> float:
        """Half of the 95% interval of the points lost against the full recipe."""
        powers = _powers(EPOCHS, epoch)
        return 1.96 * float(np.sqrt(powers @ self.covariance @ powers))

    def earliest(self, margin: float) -> int:
        """The earliest switch that loses at most ``margin`` points against the full recipe."""
        return next(epoch for epoch in range(EPOCHS + 1) if self.lost(epoch) <= margin)


def _powers(high: int, low: int) -> np.ndarray:
    return np.array([(high / EPOCHS) ** k - (low / EPOCHS) ** k for k in range(3)])


def _fit_sweep() -> Sweep:
    rows = _rows("switch_sweep_resnet32_cifar10.csv")
    x = np.array([int(row["switch_epoch"]) / EPOCHS for row in rows])
    y = np.array([100 * float(row["accuracy"]) for row in rows])
    design = np.stack([x**k for k in range(3)], axis=1)
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    variance = np.sum((y - design @ coefficients) ** 2) / (len(y) - 3)
    return Sweep(coefficients, variance * np.linalg.inv(design.T @ design), float(np.sqrt(variance)))


def _confusion(batch: int, column: str) -> list[float]:
    rows = _rows(f"gradient_confusion_resnet44_cifar10_batch{batch}.csv")
    return [float(row[column]) for row in rows if row["epoch"] != "0"]


def _picks() -> list[tuple[str, int | None]]:
    picks: list[tuple[str, int | None]] = []
    runs = [row for row in _rows("published_runs.csv") if row["dataset"] == "CIFAR10"]
    switched = [row for row in runs if row["switch_epoch"] != "-"]
    by_architecture = {row["architecture"]: int(row["switch_epoch"]) for row in switched}
    picks += [(f"layer rotation, {name}", epoch) for name, epoch in by_architecture.items()]
    asked: list[tuple[Rule, str]] = [
        (LowOutlier(), "max_cosine_similarity"),
        (LowOutlier(), "avg_cosine_similarity"),
    ]
    asked += [(LowOutlier(threshold=3.0), "max_cosine_similarity"), (Forecast(), "avg_cosine_similarity")]
    asked += [(Patient(LowOutlier(every_n_epochs=1), 3), "max_cosine_similarity")]
    for rule, column in asked:
        for batch in (128, 256):
            name = f"{words(rule)} on {column}, RESNET44, batch {batch}"
            picks.append((name, end_epoch(rule, _confusion(batch, column), EPOCHS)))
    return [*picks, *((f"`AtEpoch({epoch})`", epoch) for epoch in (50, 100, 150))]


def _row(sweep: Sweep, name: str, pick: int | None) -> list[str]:
    best, end = sweep.earliest(MARGIN), EPOCHS if pick is None else pick
    early, late = max(sweep.lost(end, best), 0.0), max(2 * (end - best) / (3 * EPOCHS), 0.0)
    lost = f"{sweep.lost(end):.2f} ± {sweep.half_width(end):.2f}"
    saved = f"{2 * (EPOCHS - end) / (3 * EPOCHS):.0%}"
    return [name, "never" if pick is None else str(pick), saved, lost, f"{early:.2f}", f"{late:.0%}"]


def report() -> str:
    """The section of the report, in Markdown; one line where the authors' files are not there."""
    if not FOLDER.is_dir():
        return "Skipped: the authors' recorded runs are not beside this checkout.\n"
    sweep = _fit_sweep()
    margins = [
        [f"{margin}", str(epoch), f"{2 * (EPOCHS - epoch) / (3 * EPOCHS):.0%}"]
        for margin in (0.1, 0.2, 0.3, 0.5)
        for epoch in [sweep.earliest(margin)]
    ]
    head = ["chosen by", "end_epoch", "cost saved", "points lost", "too early", "too late"]
    return (
        "The authors trained ResNet-32 on CIFAR-10 once for each switch epoch: three views up to it, one view afterwards, 200 epochs. "
        f"A\nparabola through all of these runs stands for the accuracy; a single run scatters by {sweep.noise:.2f} points around it "
        "(standard\ndeviation). *Cost* is the share of samples saved. The earliest switch that stays within a margin of the full "
        "recipe:\n\n"
        + table(["margin, points", "earliest end_epoch", "cost saved"], margins)
        + f"\nWhere the rules fire on the authors' recorded signals, compared with the earliest epoch within {MARGIN} points. *Too "
        "early* is the\naccuracy lost against that epoch, in points; *too late* is the cost that it would have saved in addition.\n\n"
        + table(head, [_row(sweep, *pick) for pick in _picks()])
    )
