"""What a run drew and how long it took, from its record."""

from typing import Any

from lightning_critperiod.recipe import Volume
from lightning_critperiod.report import Record


def pass_samples(record: Record) -> int:
    """Samples of one pass over the training data, from the epoch that drew most."""
    epoch = max(record["epochs"], key=lambda epoch: int(epoch["samples"]))
    return round(int(epoch["samples"]) / volume_of(epoch).fraction)


def volume_of(epoch: dict[str, Any]) -> Volume:
    """What the epoch of a record drew."""
    return Volume(**epoch["volume"])


def epoch_seconds(epoch: dict[str, Any]) -> float:
    """Wall-clock time of an epoch."""
    return float(sum(epoch["seconds"].values()))


def overhead_seconds(record: Record) -> float:
    """Wall-clock time of a run beside its epochs: reading the config, starting and testing."""
    whole: float = record["comparison"].get("seconds", record["measured"]["seconds"])
    return whole - run_seconds(record)


def run_seconds(record: Record) -> float:
    """Wall-clock time of all epochs, with the detector. Start-up is left out: a branch of another run has two."""
    return sum(epoch_seconds(epoch) for epoch in record["epochs"])
