"""What the runs of an oracle are to do: train a trunk, then branches of it."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.as_dict import Record
from lightning_critperiod.compare.config import Config
from lightning_critperiod.compare.jobs import Jobs
from lightning_critperiod.compare.results import Results
from lightning_critperiod.compare.training import Job
from lightning_critperiod.inspection.verdict import ask
from lightning_critperiod.oracle.arms import FULL, RULE, choice, switch
from lightning_critperiod.oracle.trunk import checkpoint
from lightning_critperiod.rules import Rule

CHECKPOINTS = ".checkpoints"


def rule_epoch(rule: Rule, record: Record) -> int | None:
    """Where a rule fires in what a full run has recorded, asked as in training: it sees no later epoch.

    Args:
        rule: The config's own.
        record: Of a run with the full recipe to the end.

    Returns:
        The first epoch after the critical period; None if none follows.
    """
    max_epochs = record["run"]["max_epochs"]
    history = {e["epoch"]: math.nan if e["signal"] is None else e["signal"] for e in record["epochs"]}
    end_epoch = ask(record["decision"]["signal"], rule, history, max_epochs).end_epoch
    return None if end_epoch is None or end_epoch >= max_epochs else end_epoch


@dataclass
class BranchJobs(Jobs):
    """The jobs of an oracle.

    A branch goes on from the checkpoint that its trunk has kept. Where there is none, because the epoch was asked for
    after the trunk was finished, it begins at the beginning: that is the same run, only longer.

    Args:
        config: Of the oracle.
        rule: The config's own.
        arms: All of them.
        results: Where finished runs are found, and checkpoints are kept as long as a branch needs them.
        from_trunk: Whether branches go on from checkpoints at all.
    """

    config: Config
    rule: Rule
    arms: Sequence[Arm]
    results: Results
    from_trunk: bool
    first = FULL

    @override
    def ready(self, arm: Arm, seed: int) -> bool:
        return arm.name == FULL or self.results.has(FULL, seed)

    @override
    def job(self, arm: Arm, seed: int) -> Job:
        if not choice(arm):
            here = self._callback(**self._kept(seed)) if self.from_trunk else {}
            return Job(self.config.text, arm.name, seed, arm.overrides, arm.overrides, here)
        epoch = self._epoch(arm, seed)
        filled = switch(epoch, choice(arm)["annealing"]).overrides
        file = checkpoint(self._folder(seed), epoch)
        if not self.from_trunk or not file.is_file():
            return Job(self.config.text, arm.name, seed, arm.overrides, filled)
        return Job(self.config.text, arm.name, seed, arm.overrides, filled, self._callback(), str(file))

    @override
    def finished(self, seed: int) -> None:
        """Remove the checkpoints of a seed whose runs are all there."""
        if all(self.results.has(arm.name, seed) for arm in self.arms):
            shutil.rmtree(self._folder(seed), ignore_errors=True)

    def clean(self) -> None:
        """Remove all checkpoints: a run that has failed can begin at the beginning."""
        shutil.rmtree(self.results.folder / CHECKPOINTS, ignore_errors=True)

    def _epoch(self, arm: Arm, seed: int) -> int:
        epoch = choice(arm)["epoch"]
        if epoch == RULE:
            epoch = rule_epoch(self.rule, self.results.records(FULL)[seed])
        if epoch is None:
            raise ValueError("the rule never fires in the full run of this seed: give --at EPOCH, or no --annealing")
        return int(epoch)

    def _folder(self, seed: int) -> Path:
        return self.results.folder / CHECKPOINTS / f"seed-{seed}"

    def _kept(self, seed: int) -> dict[str, Any]:
        """Arguments of the callback that keeps checkpoints."""
        epochs = [choice(arm)["epoch"] for arm in self.arms if choice(arm) and not self.results.has(arm.name, seed)]
        return {
            "folder": str(self._folder(seed)),
            "epochs": sorted({epoch for epoch in epochs if epoch not in {RULE, 0}}),
            "rule": self.config.plan.rule if RULE in epochs else None,
        }

    def _callback(self, **arguments: Any) -> dict[str, Any]:
        trunk = {"class_path": "lightning_critperiod.oracle.Trunk", "init_args": arguments}
        return {"trainer": {"callbacks+": [trunk]}}
