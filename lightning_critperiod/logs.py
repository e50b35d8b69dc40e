"""What the callback logs of an epoch, on every logger, and what the progress bar says."""

import functools
from collections.abc import Callable
from typing import Any

from lightning_critperiod.override import Overrides
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
            pl_module.log(f"critical_period/{key}", float(number), batch_size=1, sync_dist=True)


def show_verdict(overrides: Overrides, trainer: Any, label: str, is_over: Callable[[], bool]) -> None:
    """Let the progress bar say beside the metrics whether the period is over.

    Not by ``log``: the bar would show the whole name of the scalar, for which 80 columns have no room.

    Args:
        overrides: Takes the bar's own metrics back when it is undone.
        trainer: Whose bar it is; it may have none.
        label: What is over.
        is_over: Asked at every refresh.
    """
    bar = trainer.progress_bar_callback
    if bar is None:
        return
    get_metrics = bar.get_metrics

    @functools.wraps(get_metrics)
    def with_verdict(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**get_metrics(*args, **kwargs), label: "over" if is_over() else "critical"}

    overrides.put(bar, "get_metrics", with_verdict)
