"""The folder of a study: what is studied, and the record of every finished run."""

import json
from pathlib import Path
from typing import Any

from lightning_critperiod.report import Record, load
from lightning_critperiod.report.files import as_json, write
from lightning_critperiod.studies.arm import Arm, with_present_paths

STUDY = "study.json"


class Results:
    """Records by arm and seed: ``<arm>/seed-<seed>.json``.

    Args:
        folder: Of the study; made with the first file.
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
            raise ValueError(f"{self.folder} holds other files than a study's: give --results another folder")
        for name in study:
            if known.get(name, study[name]) != study[name]:
                raise ValueError(
                    f"{self.folder} holds the results of another {name}: give --results another folder, or remove it"
                )
        if known != (claimed := {**known, **study, **notes}):
            write({STUDY: as_json(claimed)}, self.folder)

    def file(self, arm: str, seed: int) -> Path:
        """Where the record of a run is."""
        return self.folder / arm / f"seed-{seed}.json"

    def has(self, arm: str, seed: int) -> bool:
        """Whether a run is finished."""
        return self.file(arm, seed).is_file()

    def records(self, arm: str) -> dict[int, Record]:
        """Seed -> record of the finished runs of an arm."""
        files = {int(file.stem.removeprefix("seed-")): file for file in (self.folder / arm).glob("seed-*.json")}
        return {seed: load(files[seed]) for seed in sorted(files)}

    def save(self, record: Record) -> None:
        """Keep the record of a finished run."""
        file = self.file(record["comparison"]["arm"], record["comparison"]["seed"])
        write({file.name: as_json(record)}, file.parent)

    def load(self, arm: Arm, seed: int) -> Record:
        """The record of a finished run.

        Args:
            arm: Which arm.
            seed: Which seed.

        Returns:
            The record.

        Raises:
            ValueError: It is damaged, or of an arm of that name with other overrides.
        """
        record = load(self.file(arm.name, seed))
        if with_present_paths(record.get("comparison", {}).get("overrides")) != arm.overrides:
            raise ValueError(
                f"{self.file(arm.name, seed)} is of an arm {arm.name!r} with other overrides: rename the arm, or "
                "remove its folder"
            )
        return record
