"""The curves of the study of `Worthwhile`, and what is true of them: how much was still to come at an epoch.

Finished public runs (results/worthwhile/curves.json: numbers of public logs, with repository, path and commit), the
runs that our studies recorded, and those of worthwhile_trunks.py. Development and confirmation share no repository
and no data set.
"""

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results"
STRANGERS, SCHEDULED = "public runs", "ours, scheduled rate"
RAW, AVERAGED = "ours, constant rate, raw", "ours, constant rate, averaged"
GROUPS = (STRANGERS, SCHEDULED, RAW, AVERAGED)
MODES: dict[str, Literal["min", "max"]] = {"val_loss": "min", "val_acc": "max"}


class Curve(NamedTuple):
    name: str
    metric: str
    mode: Literal["min", "max"]
    group: str
    kind: str
    role: str
    values: list[float]

    @property
    def best(self) -> np.ndarray:
        """The best so far, up being better, of the mean over the last twentieth of the run (at least 3 epochs)."""
        values = np.asarray(self.values) * (1 if self.mode == "max" else -1)
        width = max(3, len(values) // 20)
        means = [values[max(0, end - width) : end].mean() for end in range(1, len(values) + 1)]
        return np.maximum.accumulate(means)

    @property
    def span(self) -> float:
        """From the first value to the best: what the training gained."""
        return float(self.best[-1] - self.best[0])

    def to_come(self, epochs: int, end: int) -> float:
        """What the epochs after the first `epochs` and up to `end`, or to the end of the curve, really gained."""
        best = self.best
        return float(best[min(end, len(best)) - 1] - best[epochs - 1])

    def right_epoch(self, min_gain: float) -> int:
        """The first number of epochs after which no more than min_gain was to come."""
        return int(np.argmax(self.best[-1] - self.best <= min_gain)) + 1


def _strangers() -> list[Curve]:
    found = json.loads((RESULTS / "worthwhile" / "curves.json").read_text())
    return [Curve(c["repo"], c["metric"], c["mode"], STRANGERS, c["kind"], c["role"], c["values"]) for c in found]


def _recorded() -> list[Curve]:
    curves = []
    for data, role in (("digits", "development"), ("fashion", "confirmation"), ("cifar10", "confirmation")):
        for path in sorted(
            path for arm in ("full", "k1", "constant") for path in RESULTS.glob(f"{data}/{arm}/seed-*.json")
        ):
            epochs = json.loads(path.read_text())["epochs"]
            for metric, mode in MODES.items():
                values = [epoch["metrics"][metric] for epoch in epochs]
                curves.append(Curve(f"{data}, {path.parent.name}", metric, mode, SCHEDULED, "cosine", role, values))
    for path in sorted(RESULTS.glob("lr_confound/*.json")):
        run = json.loads(path.read_text())
        for metric, mode in MODES.items():
            name = f"digits, {run['schedule']}"
            curves.append(Curve(name, metric, mode, SCHEDULED, run["schedule"], "development", run["curves"][metric]))
    return curves


def _trunks() -> list[Curve]:
    curves = []
    for run in json.loads((RESULTS / "worthwhile" / "trunks.json").read_text()):
        role = "development" if run["data"] == "digits" else "confirmation"
        for name, values in run["curves"].items():
            group = AVERAGED if name.startswith("averaged") else RAW
            mode = MODES[name.removeprefix("averaged ")]
            curves.append(Curve(f"{run['data']}, {run['samples']} images", name, mode, group, "constant", role, values))
    return curves


def load(role: str) -> list[Curve]:
    """Those of a role on which the training gained anything at all."""
    return [curve for curve in _strangers() + _recorded() + _trunks() if curve.role == role and curve.span > 0]
