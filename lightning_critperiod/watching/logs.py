"""What the callback logs of an epoch, on every logger, and what the progress bar says."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning_critperiod.lightning_seam import Overrides

PREFIX = "critical_period/"


def log_epoch(pl_module: Any, prefix: str, values: Mapping[str, object]) -> None:
    """Log the numbers of an epoch from inside an epoch-end hook.

    Args:
        pl_module: The module that logs.
        prefix: The prefix of every name, such as "critical_period/".
        values: Name -> value; a bool counts as 0 or 1, and what is no number is not logged.
    """
    for name, value in values.items():
        if isinstance(value, bool | int | float):
            pl_module.log(f"{prefix}{name}", float(value), batch_size=1, sync_dist=True)


def show_verdict(overrides: Overrides, trainer: Any, label: str, verdict: Callable[[], str]) -> None:
    """Let the progress bar show beside the metrics whether the period is over.

    Not by ``log``: the bar would show the whole name of the scalar, for which 80 columns have no room.

    Args:
        overrides: Takes the bar's own metrics back when it is undone.
        trainer: Whose bar it is; it may have none.
        label: What is shown in front of the verdict.
        verdict: Asked at every refresh.
    """
    bar = trainer.progress_bar_callback
    if bar is None:
        return
    get_metrics = bar.get_metrics

    @functools.wraps(get_metrics)
    def with_verdict(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**get_metrics(*args, **kwargs), label: verdict()}

    overrides.put(bar, "get_metrics", with_verdict)


def observer_prefix(observer: Any, callbacks: Sequence[Any]) -> str:
    """The prefix of the names of a callback that observes beside others: its own, whatever they measure.

    Args:
        observer: The callback.
        callbacks: All of its kind in the run, in their order.

    Returns:
        The prefix, with a number where two observers have one signal.
    """
    observers = [callback for callback in callbacks if callback.observe_only]
    name = observer.signal.name
    alike = [callback for callback in observers if callback.signal.name == name]
    number = f"_{alike.index(observer) + 1}" if len(alike) > 1 else ""
    return f"{PREFIX}observed/{name}{number}/"
