"""When a run can start, and what it then is to do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.config import Config
from lightning_critperiod.compare.plan import spent
from lightning_critperiod.compare.quantities import quantity
from lightning_critperiod.compare.results import Results
from lightning_critperiod.compare.training import Job


class Jobs(ABC):
    """Makes the jobs of a study. In every seed one arm goes first, which others follow."""

    first: str
    """Name of that arm."""

    @abstractmethod
    def ready(self, arm: Arm, seed: int) -> bool:
        """Whether the run can start."""

    @abstractmethod
    def job(self, arm: Arm, seed: int) -> Job:
        """What it is to do, once it can start; a ValueError says why it never can."""

    def finished(self, seed: int) -> None:
        """Told of every run whose record is kept."""
        return


@dataclass
class ArmJobs(Jobs):
    """The jobs of a comparison: some arms take their quantities from what `ours` drew in the same seed.

    Args:
        config: Of the comparison.
        arms: All of them.
        results: Where finished runs are found.
    """

    config: Config
    arms: Sequence[Arm]
    results: Results
    first = "ours"

    @override
    def ready(self, arm: Arm, seed: int) -> bool:
        return not arm.follows_ours or self.results.has(self.first, seed)

    @override
    def job(self, arm: Arm, seed: int) -> Job:
        ours = next((arm for arm in self.arms if arm.name == self.first), None)
        follows = arm.follows_ours and ours is not None
        drawn = spent(self.results.load(ours, seed)) if follows and ours else None
        filled = arm.filled(lambda name: quantity(name, self.config.plan, seed, drawn))
        return Job(self.config.text, arm.name, seed, arm.overrides, filled)
