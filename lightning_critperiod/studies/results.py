"""The folder of a study: what is studied, and every finished run."""

import json
from pathlib import Path
from typing import Any

from lightning_critperiod.record import as_json, write
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.study_run import StudyRun, load_run

STUDY = "study.json"


class Results:
    """Finished runs by arm and seed: ``<arm>/seed-<seed>.json``.

    Args:
        folder: The folder of the study; made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def study(self) -> dict[str, Any]:
        """What is studied, as it is written down; empty where nothing is yet."""
        file = self.folder / STUDY
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if "margin" in known:  # version 0.1 knew one metric, and comparisons did not name themselves
            known["margins"] = {"test_acc": known.pop("margin")}
        return {"command": "compare", **known} if known else {}

    @property
    def margins(self) -> dict[str, float]:
        """Metric -> margin that was stated for it."""
        found: dict[str, float] = self.study.get("margins", {})
        return found

    def claim(self, study: dict[str, Any], notes: dict[str, Any]) -> None:
        """Make the folder that of this study, or find that it is already.

        Args:
            study: What tells a study from others.
            notes: What else is written down for drawing it again; the latest counts.

        Raises:
            ValueError: It belongs to another one, or holds other things.
        """
        known = self.study
        if not known and self.folder.exists() and any(self.folder.iterdir()):
            raise ValueError(f"{self.folder} holds files that are not a study's: give --results another folder")
        for name in study:
            if known.get(name, study[name]) != study[name]:
                raise ValueError(
                    f"{self.folder} holds the results of another {name}: give --results another folder, or remove it"
                )
        if known != (claimed := {**known, **study, **notes}):
            write({STUDY: as_json(claimed)}, self.folder)

    def file(self, arm: str, seed: int) -> Path:
        """Where a run is."""
        return self.folder / arm / f"seed-{seed}.json"

    def has(self, arm: str, seed: int) -> bool:
        """Whether a run is finished."""
        return self.file(arm, seed).is_file()

    def runs(self, arm: str) -> dict[int, StudyRun]:
        """Seed -> finished run of an arm."""
        files = {int(file.stem.removeprefix("seed-")): file for file in (self.folder / arm).glob("seed-*.json")}
        return {seed: load_run(files[seed]) for seed in sorted(files)}

    def save(self, run: StudyRun) -> None:
        """Keep a finished run."""
        file = self.file(run.arm, run.seed)
        write({file.name: as_json(run.to_json())}, file.parent)

    def load(self, arm: Arm, seed: int) -> StudyRun:
        """A finished run.

        Args:
            arm: Which arm.
            seed: Which seed.

        Returns:
            The run.

        Raises:
            ValueError: It is damaged, or of an arm of that name with other overrides.
        """
        run = load_run(self.file(arm.name, seed))
        if run.overrides != arm.overrides:
            raise ValueError(
                f"{self.file(arm.name, seed)} is of an arm {arm.name!r} with other overrides: rename the arm, or "
                "remove its folder"
            )
        return run
