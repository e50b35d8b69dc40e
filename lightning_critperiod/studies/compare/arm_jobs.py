"""What the runs of a comparison are to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.compare.quantities import BUDGETED, quantity
from lightning_critperiod.studies.compare.shipped_arms import FULL, OURS, is_follower
from lightning_critperiod.studies.compare.spent import Spent, spent
from lightning_critperiod.studies.config import Config
from lightning_critperiod.studies.job import Job
from lightning_critperiod.studies.jobs import Jobs, Work
from lightning_critperiod.studies.plan import Course, recipe_of
from lightning_critperiod.studies.trunks import Trunks

TRUNKS = (OURS, FULL)
NEVER = "lightning_critperiod.Never"
OF_A_BRANCH = {"signal", "rule", "recipe"}
VOLUMES = {"during", "after", "annealing_fraction"}


@dataclass
class ArmJobs(Jobs):
    """The jobs of a comparison.

    Some arms take their quantities from what ``ours`` or another arm drew in the same seed, and where their budget is
    in FLOPs or seconds from what a sample of ``full`` costs. An arm that differs from ``ours`` or from ``full`` in
    nothing but where it switches goes on from a checkpoint of that run.

    Args:
        config: The config of the comparison.
        arms: All of them.
        seeds: All of them.
        trunks: Where the checkpoints are.
    """

    config: Config
    arms: Sequence[Arm]
    seeds: Sequence[int]
    trunks: Trunks
    first = OURS
    _lost: set[tuple[str, int]] = field(default_factory=set)

    @override
    def followed(self, arm: Arm) -> str:
        return arm.follows

    @override
    def ready(self, arm: Arm, seed: int) -> bool:
        if is_follower(arm) and not self._has(arm.follows, seed):
            return False
        if arm.budget != "samples" and not self._has(FULL, seed):
            return False
        trunk = self._trunk(arm, seed)
        return trunk is None or self._has(trunk.name, seed) or (trunk.name, seed) in self._lost

    @override
    def job(self, arm: Arm, seed: int) -> Job:
        here, checkpoint = self.trunks.keeping(arm.name, seed, **self._kept(arm, seed)), None
        trunk = self._trunk(arm, seed)
        if trunk is not None and self._has(trunk.name, seed):
            here, checkpoint = self.trunks.branch(trunk.name, seed, self._shared(arm, trunk, seed))
        return Job(self.config.text, arm.name, seed, arm.overrides, self._filled(arm, seed), here, checkpoint)

    @override
    def work(self, arm: Arm, seed: int) -> Work:
        followed = self._arm(arm.follows)
        if arm.equal_cost and followed is not None:
            return Work(self._course(followed, seed).passes())
        course, trunk = self._course(arm, seed), self._trunk(arm, seed)
        shared = 0 if trunk is None else self._shared(arm, trunk, seed)
        if trunk is not None and self._has(trunk.name, seed):
            shared = self.trunks.kept(trunk.name, seed, shared)
        return Work(course.passes(), course.passes() - course.passes(start=shared))

    @override
    def ended(self, arm: Arm, seed: int) -> None:
        if not self._has(arm.name, seed):
            self._lost.add((arm.name, seed))
        if all(self._has(other.name, seed) or (other.name, seed) in self._lost for other in self.arms):
            self.trunks.drop(seed)

    def _has(self, arm: str, seed: int) -> bool:
        return self.trunks.results.has(arm, seed)

    def _arm(self, name: str) -> Arm | None:
        return next((arm for arm in self.arms if arm.name == name), None)

    def _filled(self, arm: Arm, seed: int) -> dict[str, Any]:
        drawn = self._spent(arm, seed) if is_follower(arm) else None
        filled = arm.filled(lambda name: quantity(name, self.config.plan, seed, drawn))
        return _with_changes(filled, self.config.plan.full_changes) if self._has_full_steps(arm) else filled

    def _has_full_steps(self, arm: Arm) -> bool:
        """Whether an arm has the steps of the full recipe, while those of ours are cheaper."""
        rule = _changes(arm).get("rule") or {}
        never = isinstance(rule, dict) and rule.get("class_path") == NEVER
        return self.config.plan.grows and (never or bool(arm.quantities & set(BUDGETED)))

    def _spent(self, arm: Arm, seed: int) -> Spent | None:
        run, full = (None if one is None else self.trunks.results.load(one, seed) for one in self._followed(arm))
        return None if run is None else spent(run, full, arm.budget)

    def _followed(self, arm: Arm) -> tuple[Arm | None, Arm | None]:
        """The arms whose runs say what this one may draw."""
        return self._arm(arm.follows), None if arm.budget == "samples" else self._arm(FULL)

    def _trunk(self, arm: Arm, seed: int) -> Arm | None:
        """The run of the seed that begins as this one does, if there is one."""
        if not self.trunks.active or arm.name in TRUNKS or not _is_branch(arm):
            return None
        signal = _changes(arm).get("signal")
        trunks = [trunk for name in TRUNKS if (trunk := self._arm(name))]
        found = [trunk for trunk in trunks if _changes(trunk).get("signal") == signal]
        found = [trunk for trunk in found if self._has_full_steps(trunk) == self._has_full_steps(arm)]
        return next((trunk for trunk in found if _is_branch(trunk) and self._shared(arm, trunk, seed)), None)

    def _shared(self, arm: Arm, trunk: Arm, seed: int) -> int:
        return self._course(trunk, seed).shared(self._course(arm, seed))

    def _course(self, arm: Arm, seed: int) -> Course:
        """What a run will draw; a rule that has not been asked yet is taken to fire half-way."""
        plan = self.config.plan
        changes = _changes(arm)
        epochs = plan.max_epochs
        if not is_follower(arm):
            filled = self._filled(arm, seed)
            changes, epochs = (
                filled.get("critical_period", {}),
                (filled.get("trainer") or {}).get("max_epochs") or epochs,
            )
        return Course(epochs, recipe_of(plan, changes), self._switch(changes.get("rule"), seed))

    def _switch(self, rule: dict[str, Any] | None, seed: int) -> int | None:
        ours = self._arm(OURS)
        if rule is None and ours is not None and self._has(OURS, seed):
            return self.trunks.results.load(ours, seed).end_epoch
        if not _is_planned(rule):
            return self.config.plan.max_epochs // 2
        epoch: int | None = (rule or {}).get("init_args", {}).get("epoch")
        return epoch

    def _kept(self, arm: Arm, seed: int) -> dict[str, Any]:
        """At which epochs the runs begin to differ that go on from this one."""
        left = [other for other in self.arms if not self._has(other.name, seed)]
        branches = [other for other in left if (trunk := self._trunk(other, seed)) and trunk.name == arm.name]
        own = [other for other in branches if "rule" not in _changes(other)]
        planned = {self._course(other, seed).end_epoch for other in branches if other not in own}
        return {"epochs": [epoch for epoch in planned if epoch], "at_changes": bool(own)}


def _changes(arm: Arm) -> dict[str, Any]:
    changes: dict[str, Any] = arm.overrides.get("critical_period") or {}
    return changes


def _is_branch(arm: Arm) -> bool:
    """Whether nothing but its decision tells an arm from the config, and its switch is known before it is trained."""
    changes = _changes(arm)
    rule = changes.get("rule")
    only = arm.overrides.keys() <= {"critical_period"} and changes.keys() <= OF_A_BRANCH
    only = only and (changes.get("recipe") or {}).keys() <= VOLUMES
    return only and not is_follower(arm) and (rule is None or _is_planned(rule))


def _is_planned(rule: dict[str, Any] | str | None) -> bool:
    """Whether a rule of ours says beforehand where it fires."""
    return isinstance(rule, dict) and rule.get("class_path") in {"lightning_critperiod.AtEpoch", NEVER}


def _with_changes(overrides: dict[str, Any], changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Overrides with these other changes in the recipe."""
    period = overrides.get("critical_period") or {}
    recipe = {**(period.get("recipe") or {}), "changes": list(changes)}
    return {**overrides, "critical_period": {**period, "recipe": recipe}}
