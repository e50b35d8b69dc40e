"""Runs with the same beginning train it only once: checkpoints of one, from which others go on."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.trunk import checkpoint

FOLDER = ".checkpoints"


@dataclass(frozen=True)
class Trunks:
    """The checkpoints of a study, which are kept as long as a run may need them.

    Args:
        results: The results of the study; the checkpoints are beside the records.
        active: Whether there are any: otherwise every run begins at the beginning.
    """

    results: Results
    active: bool = True

    def keeping(
        self, arm: str, seed: int, epochs: Sequence[int], rule: dict[str, Any] | None = None, at_changes: bool = False
    ) -> dict[str, Any]:
        """What a run changes in its config to be a trunk.

        Args:
            arm: The arm of the run.
            seed: The seed of the run.
            epochs: At whose beginning its state is kept.
            rule: The state is kept at which this rule fires, too.
            at_changes: The states are kept in which its recipe changes, too.

        Returns:
            Overrides of the config; none where nothing is kept.
        """
        if not self.active or not (epochs or rule or at_changes):
            return {}
        kept = {"folder": str(self._folder(arm, seed)), "epochs": sorted(epochs), "rule": rule}
        return _callback(**kept, at_changes=at_changes)

    def branch(self, arm: str, seed: int, epoch: int) -> tuple[dict[str, Any], str | None]:
        """What a run needs that goes on from a trunk.

        Args:
            arm: The arm of the trunk.
            seed: The seed of both.
            epoch: As many epochs as they have in common.

        Returns:
            Overrides of the config, and the checkpoint; neither where there is no checkpoint.
        """
        kept = self.kept(arm, seed, epoch)
        return (_callback(), str(checkpoint(self._folder(arm, seed), kept))) if kept else ({}, None)

    def kept(self, arm: str, seed: int, epoch: int) -> int:
        """The last epoch up to ``epoch`` at whose beginning the state of a run is kept, 0 if none is."""
        if not self.active:
            return 0
        folder = self._folder(arm, seed)
        return next((number for number in range(epoch, 0, -1) if checkpoint(folder, number).is_file()), 0)

    def drop(self, seed: int) -> None:
        """Remove the checkpoints of a seed."""
        shutil.rmtree(self._root / f"seed-{seed}", ignore_errors=True)

    def clean(self) -> None:
        """Remove all checkpoints: a run that has failed can start from its first epoch."""
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def _root(self) -> Path:
        return self.results.folder / FOLDER

    def _folder(self, arm: str, seed: int) -> Path:
        return self._root / f"seed-{seed}" / arm


def _callback(**arguments: Any) -> dict[str, Any]:
    trunk = {"class_path": "lightning_critperiod.studies.trunk.Trunk", "init_args": arguments}
    # Lightning refuses a callback of the kind of ModelCheckpoint where a config has switched checkpoints off.
    return {"trainer": {"enable_checkpointing": True, "callbacks+": [trunk]}}
