"""What ran: the run, its epochs and the metrics that it logged."""

from dataclasses import dataclass, field

from lightning_critperiod.recipe import Volume
from lightning_critperiod.timeline import Phase

Setting = float | int | str | bool | None
"""A plain value that a setting of a run may have."""


@dataclass(frozen=True)
class Run:
    """What was trained.

    Args:
        model: Class name of the module.
        max_epochs: The planned number of epochs; None for a run without a last epoch.
        epochs_done: Epochs that are over.
        steps: Optimizer steps taken.
        processes: Number of ranks.
        nodes: Number of machines.
        precision: Lightning's name for it.
        seed: The seed of ``seed_everything``; None if it is not known.
        limit_train_batches: The Trainer's cap: a float is a share of an epoch, an int a number of batches.
        loader: ``num_workers`` and the like of the first train DataLoader; empty if there is none.
        monitor: The metric that the checkpoint callback or early stopping looks at.
        mode: "min" or "max", as that callback has it.
    """

    model: str
    max_epochs: int | None
    epochs_done: int
    steps: int = 0
    processes: int = 1
    nodes: int = 1
    precision: str | None = None
    seed: int | None = None
    limit_train_batches: float | int | None = None
    loader: dict[str, Setting] = field(default_factory=dict)
    monitor: str | None = None
    mode: str | None = None


@dataclass(frozen=True)
class Epoch:
    """What one epoch drew, took, logged and was measured to be.

    Args:
        epoch: 0-based epoch.
        samples: Samples drawn, on all ranks together; None if they were not counted.
        batches: Training batches of one rank.
        seconds: Where the time went -> s, see ``costs.PHASES``.
        flops: Floating-point operations of its training steps; None if they were not counted.
        learning_rate: The learning rate of the first parameter group, at the last step.
        metrics: What was logged, by name; None where the value is not finite.
        signal: What the signal of the decision was; None if it was not measured.
        phase: "during" the critical period, "after" it, "annealing" or "cooldown"; None without a callback.
        volume: What the epoch was told to draw.
        settings: What each other change of the run had in this epoch, by name.
    """

    epoch: int
    samples: int | None = None
    batches: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    flops: float | None = None
    learning_rate: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    signal: float | None = None
    phase: Phase | None = None
    volume: Volume | None = None
    settings: dict[str, Setting] = field(default_factory=dict)

    @property
    def total_seconds(self) -> float:
        """All of its time, s."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Metrics:
    """The last values of what was logged, by name; None where a value is not finite.

    Args:
        validation: Values of the last validation.
        test: Values of the test, if there was one.
    """

    validation: dict[str, float | None] = field(default_factory=dict)
    test: dict[str, float | None] = field(default_factory=dict)
