"""What the callback logs of an epoch, on every logger and in the progress bar."""

from typing import Any

from lightning_critperiod.recipe import Volume


def log_epoch(pl_module: Any, name: str, value: float | None, volume: Volume, over: bool) -> None:
    """Log ``critical_period/...`` from inside an epoch-end hook.

    Args:
        pl_module: The module that logs.
        name: Name of the signal.
        value: What the signal was, None where it had no value: then it is not logged.
        volume: What the epoch drew.
        over: Whether the critical period is over.
    """
    values = {
        name: value,
        "augmentation_multiplier": volume.augmentation_multiplier,
        "pruning_ratio": volume.pruning_ratio,
        "over": float(over),
    }
    for key, number in values.items():
        if number is not None:
            bar = key == "over"  # the verdict alone: a bar has little room
            pl_module.log(f"critical_period/{key}", float(number), prog_bar=bar, batch_size=1, sync_dist=True)
