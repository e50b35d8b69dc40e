"""A finished run of a study: its record, and what it was to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_critperiod import record
from lightning_critperiod.record import Record
from lightning_critperiod.studies.arm import with_present_paths

Rates = list[tuple[list[float], int]]
"""The learning rates of all optimizer steps, run-length coded: ([rate of each parameter group], steps)."""


@dataclass(frozen=True)
class StudyRun:
    """A finished run.

    Args:
        record: The record of the run.
        arm: Name of its arm.
        seed: The seed of the run.
        overrides: The overrides of the arm, as it writes them.
        filled: The same with every quantity filled in.
        rates: The learning rates of all its steps.
        resumed: Whether it went on from a checkpoint of another run.
        wall_seconds: From reading its config to its end; None in records of version 0.1.
    """

    record: Record
    arm: str
    seed: int
    overrides: dict[str, Any]
    filled: dict[str, Any] = field(default_factory=dict)
    rates: Rates = field(default_factory=list)
    resumed: bool = False
    wall_seconds: float | None = None

    @property
    def samples(self) -> int:
        """Samples drawn in the whole run."""
        return (self.record.measured.samples if self.record.measured else None) or 0

    @property
    def flops(self) -> float | None:
        """Of the training steps of the whole run; None if they were not measured."""
        return None if self.record.measured is None else self.record.measured.flops

    @property
    def epoch_seconds(self) -> float:
        """Wall-clock time of all epochs, with the detector. Start-up is left out: a branch of another run has two."""
        return sum(epoch.total_seconds for epoch in self.record.epochs)

    @property
    def other_seconds(self) -> float:
        """Wall-clock time beside the epochs: reading the config, starting and testing."""
        measured = self.record.measured.seconds if self.record.measured else self.epoch_seconds
        return (measured if self.wall_seconds is None else self.wall_seconds) - self.epoch_seconds

    @property
    def pass_samples(self) -> int:
        """Samples of one pass over the training data, from the epoch that drew most."""
        epoch = max(self.record.epochs, key=lambda epoch: epoch.samples or 0)
        return round((epoch.samples or 0) / (epoch.volume.fraction if epoch.volume else 1))

    @property
    def end_epoch(self) -> int | None:
        """The first epoch after the critical period; None if there is none."""
        return None if self.record.decision is None else self.record.decision.end_epoch

    def to_json(self) -> dict[str, Any]:
        """Plain values as JSON has them: the record with its ``comparison``."""
        comparison = {
            "arm": self.arm,
            "seed": self.seed,
            "overrides": self.overrides,
            "filled": self.filled,
            "resumed": self.resumed,
            "seconds": self.wall_seconds,
            "rates": self.rates,
        }
        return {**self.record.to_json(), "comparison": comparison}


def load_run(path: Path) -> StudyRun:
    """Read a finished run.

    Args:
        path: The path of its file.

    Returns:
        The run.

    Raises:
        ValueError: It is damaged, of a newer version, or of no study.
    """
    file, found = record.read(path)
    try:
        known, run = Record.from_json(found), found["comparison"]
        return StudyRun(
            record=known,
            arm=run["arm"],
            seed=run["seed"],
            overrides=with_present_paths(run["overrides"]),
            filled=run["filled"],
            rates=[(rates, steps) for rates, steps in run["rates"]],
            resumed=run.get("resumed", False),
            wall_seconds=run.get("seconds"),
        )
    except KeyError as error:
        raise ValueError(f"{file} is not of a study: it has no {error}") from error
    except ValueError as error:
        raise ValueError(f"{file} {error}") from error
