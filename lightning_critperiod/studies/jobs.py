"""When a run can start, and what it then is to do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.config import Config
from lightning_critperiod.studies.job import Job

Run = tuple[Arm, int]
"""An arm and a seed."""


@dataclass(frozen=True)
class Work:
    """What a run is expected to draw, in passes over the training data.

    Args:
        whole: All of it.
        shared: What it takes over from another run and need not train.
    """

    whole: float
    shared: float = 0.0


class Jobs(ABC):
    """Makes the jobs of a study. In every seed one arm goes first, which others follow.

    Attributes:
        config: The config of the study.
        arms: All of them.
        seeds: All of them.
    """

    first: str
    """Name of that arm."""
    config: Config
    arms: Sequence[Arm]
    seeds: Sequence[int]

    @property
    def all(self) -> list[Run]:
        """Seed by seed, so that all arms have equally many if the study is stopped."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def followed(self, arm: Arm) -> str:
        """Name of the arm that one of them waits for."""
        return self.first

    @abstractmethod
    def ready(self, arm: Arm, seed: int) -> bool:
        """Whether the run can start."""

    @abstractmethod
    def job(self, arm: Arm, seed: int) -> Job:
        """What it is to do, once it can start; a ValueError says why it never can."""

    @abstractmethod
    def work(self, arm: Arm, seed: int) -> Work:
        """What it is expected to draw, by what is known now."""

    @abstractmethod
    def ended(self, arm: Arm, seed: int) -> None:
        """Told of every run that has ended, whether it is finished or has failed."""
