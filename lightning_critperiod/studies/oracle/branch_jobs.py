"""What the runs of an oracle are to do: train a trunk, then branches of it."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from typing_extensions import override

from lightning_critperiod.detector import replay
from lightning_critperiod.rules import Rule
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.asked import rule_of
from lightning_critperiod.studies.config import Config
from lightning_critperiod.studies.job import Job
from lightning_critperiod.studies.jobs import Jobs, Work
from lightning_critperiod.studies.oracle.switches import FULL, RULE, choice, switch
from lightning_critperiod.studies.plan import Course
from lightning_critperiod.studies.study_run import StudyRun
from lightning_critperiod.studies.trunks import Trunks


def rule_epoch(rule: Rule, run: StudyRun) -> int | None:
    """Where a rule fires in what a full run has recorded, asked as in training: it sees no later epoch.

    Args:
        rule: The config's own.
        run: With the full recipe to the end.

    Returns:
        The first epoch after the critical period; None if none follows.
    """
    max_epochs = run.record.run.max_epochs
    # NaN where nothing was measured: some rules look at the epoch alone.
    history = {epoch.epoch: math.nan if epoch.signal is None else epoch.signal for epoch in run.record.epochs}
    end_epoch = replay(rule, history, max_epochs).end_epoch
    return None if end_epoch is None or end_epoch >= (max_epochs or math.inf) else end_epoch


@dataclass
class BranchJobs(Jobs):
    """The jobs of an oracle.

    A branch goes on from the checkpoint that its trunk has kept. Where there is none, because the epoch was asked for
    after the trunk was finished, it begins at the beginning: that is the same run, only longer.

    Args:
        config: The config of the oracle.
        arms: All of them.
        seeds: All of them.
        trunks: Where the checkpoints are.
    """

    config: Config
    arms: Sequence[Arm]
    seeds: Sequence[int]
    trunks: Trunks
    first = FULL

    @cached_property
    def _rule(self) -> Rule:
        return rule_of(self.config.plan.rule, self.config.plan.signal)

    @override
    def ready(self, arm: Arm, seed: int) -> bool:
        return arm.name == FULL or self._has(FULL, seed)

    @override
    def job(self, arm: Arm, seed: int) -> Job:
        if not choice(arm):
            here = self.trunks.keeping(arm.name, seed, **self._kept(seed))
            return Job(self.config.text, arm.name, seed, arm.overrides, arm.overrides, here)
        epoch = self._epoch(arm, seed)
        if epoch is None:
            raise ValueError("the rule never fires in the full run of this seed: give --at EPOCH, or no --annealing")
        filled = switch(epoch, choice(arm)["annealing"]).overrides
        here, checkpoint = self.trunks.branch(FULL, seed, epoch)
        return Job(self.config.text, arm.name, seed, arm.overrides, filled, here, checkpoint)

    @override
    def work(self, arm: Arm, seed: int) -> Work:
        plan = self.config.plan
        if not choice(arm):
            return Work(Course(plan.max_epochs, plan.recipe, None).passes())
        epoch = self._epoch(arm, seed) if choice(arm)["epoch"] != RULE or self._has(FULL, seed) else None
        end = plan.max_epochs // 2 if epoch is None else epoch  # until it is known
        course = Course(
            plan.max_epochs, dataclasses.replace(plan.recipe, annealing_fraction=choice(arm)["annealing"]), end
        )
        shared = self.trunks.kept(FULL, seed, end) if self._has(FULL, seed) else end * self.trunks.active
        return Work(course.passes(), course.passes() - course.passes(start=shared))

    @override
    def ended(self, arm: Arm, seed: int) -> None:
        """Remove the checkpoints of a seed whose runs are all there."""
        if all(self._has(arm.name, seed) for arm in self.arms):
            self.trunks.drop(seed)

    def _has(self, arm: str, seed: int) -> bool:
        return self.trunks.results.has(arm, seed)

    def _epoch(self, arm: Arm, seed: int) -> int | None:
        epoch = choice(arm)["epoch"]
        if epoch == RULE:
            return rule_epoch(self._rule, self.trunks.results.runs(FULL)[seed])
        return int(epoch)

    def _kept(self, seed: int) -> dict[str, Any]:
        """At which epochs the branches begin."""
        epochs = {choice(arm)["epoch"] for arm in self.arms if choice(arm) and not self._has(arm.name, seed)}
        return {"epochs": epochs - {RULE, 0}, "rule": self.config.plan.stated_rule if RULE in epochs else None}
