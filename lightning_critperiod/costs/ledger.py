"""Seconds by phase, epoch by epoch: what the cost monitor accumulates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lightning_critperiod.costs.amounts import Energy, plus

PHASES = ("start_up", "metering", "training", "data_wait", "validation", "detector", "overhead")
"""Where time goes: before the first epoch; the energy meter's own imports, and the wait for it at the end of a short
run; training steps; waiting for data (transfer to the device included); validation; measuring, deciding and setting the
volume; everything else (checkpoints, logging, callbacks)."""


@dataclass
class EpochCosts:
    """What one training epoch drew, took and logged.

    Args:
        epoch: 0-based epoch.
        samples: Samples really drawn, on all ranks together; None if they were not counted.
        flops: The FLOPs of the training steps, on all ranks together; None if they were not counted.
        batches: Training batches of one rank.
        seconds: Phase -> s.
        learning_rate: The learning rate of the first parameter group, at the last step.
        metrics: What was logged in this epoch, by name; a value that is not finite is None.
    """

    epoch: int
    samples: int | None = 0
    flops: float | None = 0.0
    batches: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)

    def __add__(self, later: "EpochCosts") -> "EpochCosts":
        """The same epoch, begun in one session and finished in a later one."""
        return EpochCosts(
            epoch=self.epoch,
            samples=plus(self.samples, later.samples),
            flops=plus(self.flops, later.flops),
            batches=self.batches + later.batches,
            seconds=added(self.seconds, later.seconds),
            learning_rate=self.learning_rate if later.learning_rate is None else later.learning_rate,
            metrics={**self.metrics, **later.metrics},
        )


def added(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Sums by key."""
    return {key: first.get(key, 0.0) + second.get(key, 0.0) for key in {**first, **second}}


@dataclass
class Ledger:
    """Everything that was charged in one session of a training, or in several added up.

    Args:
        seconds: Phase -> s, all epochs and what lies outside of them.
        energy: None if it was not measured.
        epochs: Epoch -> its costs.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    energy: Energy | None = field(default_factory=Energy)
    epochs: dict[int, EpochCosts] = field(default_factory=dict)

    def charge(self, phase: str, seconds: float, epoch: int | None) -> None:
        """Add ``seconds`` to a phase, and to the epoch if there is one."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        if epoch is not None:
            spent = self.epoch(epoch).seconds
            spent[phase] = spent.get(phase, 0.0) + seconds

    def epoch(self, epoch: int) -> EpochCosts:
        """The costs of an epoch, to be added to."""
        found = self.epochs.get(epoch)
        if found is None:
            found = self.epochs[epoch] = EpochCosts(epoch)
        return found

    def __add__(self, later: "Ledger") -> "Ledger":
        epochs = {
            e: self.epochs.get(e, EpochCosts(e)) + later.epochs.get(e, EpochCosts(e))
            for e in sorted({*self.epochs, *later.epochs})
        }
        return Ledger(
            seconds=added(self.seconds, later.seconds),
            energy=None if self.energy is None or later.energy is None else self.energy + later.energy,
            epochs=epochs,
        )

    def state_dict(self) -> dict[str, Any]:
        """Plain Python values, so that a checkpoint loads with ``weights_only=True``."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Ledger":
        """The ledger that ``state_dict`` was called on."""
        energy = state["energy"]
        # Earlier versions did not count FLOPs.
        epochs = {int(e): EpochCosts(**{"flops": None, **costs}) for e, costs in state["epochs"].items()}
        return cls(dict(state["seconds"]), None if energy is None else Energy(**energy), epochs)
