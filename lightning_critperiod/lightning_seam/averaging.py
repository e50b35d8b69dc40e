"""Lightning's own weight averaging, with a window that grows with the run."""

from collections.abc import Callable
from typing import Any

import torch
from typing_extensions import override

from lightning_critperiod.lightning_seam.namespace import _namespaces

WINDOW = 0.1
"""Of the average, as a part of the optimizer steps so far."""


def _bases() -> tuple[Any, ...]:
    return tuple(namespace.callbacks.WeightAveraging for namespace in _namespaces())


def averages_weights(callback: Any) -> bool:
    """Whether a callback averages weights as Lightning does."""
    return any(kind.__name__ == "WeightAveraging" for kind in type(callback).__mro__)


def grown_average(averaged: torch.Tensor, current: torch.Tensor, updates: Any) -> torch.Tensor:
    """The average after one more update: an exponential one, whose window is a tenth of the updates so far.

    Returns:
        a + (w - a) min(1, 1 / (0.1 (n + 1))), with a the average, w the weights and n the updates before this one.
    """
    part = 1.0 / (WINDOW * (float(updates) + 1.0))
    return averaged + (current - averaged) * min(1.0, part)


def growing_average(keep_average: Callable[[Any, Any], bool]) -> Any:
    """A callback that averages the weights, buffers included, and lets validation see the average.

    Args:
        keep_average: Called with trainer and module when training ends, raw weights in place. Whether the module is to
            get the average.

    Returns:
        A ``WeightAveraging`` of the namespaces of Lightning that are loaded.
    """

    class GrowingAverage(*_bases()):  # type: ignore[misc]
        @override
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            average: Any = self._average_model  # type: ignore[has-type]
            self._average_model = None  # an evaluation now is one of the raw weights
            try:
                keep = keep_average(trainer, pl_module)
            finally:
                self._average_model = average
            if keep:
                super().on_train_end(trainer, pl_module)

    return GrowingAverage(use_buffers=True, avg_fn=grown_average)


def evaluate_quietly(trainer: Any, monitor: str) -> float | None:
    """One more validation of the weights as they are, which no callback and no logger sees.

    Args:
        trainer: That fits.
        monitor: Name of the metric.

    Returns:
        Its value; None if validation does not log it.
    """
    loop, metrics = trainer.fit_loop.epoch_loop.val_loop, dict(trainer.callback_metrics)
    callbacks, loggers = trainer.callbacks, trainer.loggers
    trainer.callbacks, trainer.loggers = [], []
    trainer.validating = True
    try:
        found = {name: value for values in loop.run() for name, value in values.items()}
    finally:
        trainer.training = True
        trainer.callbacks, trainer.loggers = callbacks, loggers
        trainer.callback_metrics.update(metrics)
    return float(found[monitor]) if monitor in found else None
