"""The folder of a comparison: what is compared, and the record of every finished run."""

import json
from pathlib import Path
from typing import Any

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.as_dict import Record, load
from lightning_critperiod.record import as_json, write

STUDY = "study.json"


class Results:
    """Records by arm and seed: ``<arm>/seed-<seed>.json``.

    Args:
        folder: Of the comparison; made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, study: dict[str, Any]) -> None:
        """Make the folder that of this comparison, or find that it is already.

        Args:
            study: What tells a comparison from others, such as the config and the margin.

        Raises:
            ValueError: It belongs to another one, or holds other things.
        """
        file = self.folder / STUDY
        if not file.is_file():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise ValueError(f"{self.folder} holds other files than a comparison's: give --results another folder")
            write({STUDY: as_json(study)}, self.folder)
            return
        known = json.loads(file.read_text(encoding="utf-8"))
        for name in {**study, **known}:
            if known.get(name) != study.get(name):
                raise ValueError(
                    f"{self.folder} holds the results of another {name}: give --results another folder, or remove it"
                )

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
        if record.get("comparison", {}).get("overrides") != arm.overrides:
            raise ValueError(
                f"{self.file(arm.name, seed)} is of an arm {arm.name!r} with other overrides: rename the arm, or "
                "remove its folder"
            )
        return record
