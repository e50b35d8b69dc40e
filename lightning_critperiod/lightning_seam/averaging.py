"""Lightning's own weight averaging, with a window that grows with the run."""

import importlib
from typing import TYPE_CHECKING, Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import WeightAveraging as Base
else:
    Base = object

WINDOW = 0.1
"""Of the average, as a part of the optimizer steps so far."""


def averages_weights(callback: Any) -> bool:
    """Whether a callback averages weights: one of Lightning's, or one with EMA in its name."""
    names = [kind.__name__ for kind in type(callback).__mro__]
    return any("WeightAveraging" in name or "EMA" in name for name in names)


def averages_at_the_end(callback: Any) -> bool:
    """Whether a callback uses its average only once the planned epochs are over: StochasticWeightAveraging."""
    return any(kind.__name__ == "StochasticWeightAveraging" for kind in type(callback).__mro__)


def grown(averaged: torch.Tensor, current: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
    """The average after one more update: an exponential one, whose window is a tenth of the updates so far.

    Whole numbers, such as the count of batches of a batch norm, are taken over. Nothing waits for a graphics card.

    Args:
        averaged: a.
        current: The weights w, of the same shape, possibly less precise.
        updates: n, before this one.

    Returns:
        a + (w - a) min(1, 1 / (0.1 (n + 1))).
    """
    if not (averaged.is_floating_point() or averaged.is_complex()):
        return current
    part = torch.as_tensor(1.0 / (WINDOW * (updates + 1.0))).clamp(max=1.0)
    return averaged + (current - averaged) * part


class GrowingAverage(Base):
    """What is ours of a ``WeightAveraging``, which has to be of the trainer's own namespace of Lightning.

    Attributes:
        keeps_raw: Whether the module, and the checkpoints from then on, get the raw weights in the end.
    """

    keeps_raw = False

    @property
    def is_lost(self) -> bool:
        """Whether there is no average: it could not follow the module."""
        return self._average_model is None

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        try:
            super().setup(trainer, pl_module, stage)
        except Exception as error:
            raise ValueError(
                f"average=True needs a module that can be copied, but copying it failed ({error}): give "
                "average=False, or a weight-averaging callback of your own."
            ) from error

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_start(trainer, pl_module)
        average = self._average_model
        if average is not None and pl_module.dtype == torch.float64:
            average.double()  # its memory holds the raw weights during validation

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.is_lost:
            return
        try:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        except Exception as error:
            self._average_model = None
            rank_zero_warn(
                f"The weights are averaged no longer ({error}): something has given the module other parameters than "
                "it had when training started. Training goes on, and validation sees the raw weights from here on."
            )

    @override
    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self.keeps_raw:
            checkpoint["state_dict"] = checkpoint["current_model_state"]

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if not (self.keeps_raw or self.is_lost):
            super().on_train_end(trainer, pl_module)


def growing_average(trainer: Any) -> Any:
    """A callback that averages the weights, buffers included, and lets validation see the average.

    Returns:
        A ``GrowingAverage`` that is a ``WeightAveraging`` of the trainer's own namespace.
    """
    callbacks: Any = importlib.import_module(f"{type(trainer).__module__.partition('.trainer')[0]}.callbacks")
    kind = type("GrowingAverage", (GrowingAverage, callbacks.WeightAveraging), {})
    return kind(use_buffers=True, avg_fn=grown)


def shards_weights(trainer: Any) -> bool:
    """Whether a process holds only a part of the weights, which Lightning does not average."""
    names = {kind.__name__ for kind in type(trainer.strategy).__mro__}
    return bool(names & {"FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy"})


def evaluate_quietly(trainer: Any, *callbacks: Any) -> dict[str, float]:
    """One more validation, which no logger and no callback sees but the progress bar.

    Args:
        trainer: The trainer that fits. Its ``callback_metrics`` are afterwards what they were before.
        callbacks: Those that see it, too.

    Returns:
        Name -> value of what it logged.
    """
    loop, before = trainer.fit_loop.epoch_loop.val_loop, dict(trainer.callback_metrics)
    theirs = trainer.callbacks, trainer.loggers
    bar = trainer.progress_bar_callback  # rich asks the trainer for it in another thread, at any time
    trainer.callbacks, trainer.loggers = [*callbacks, *([] if bar is None else [bar])], []
    trainer.validating = True
    try:
        type(loop).run(loop)  # also where a validation is left out in this epoch
        after = dict(trainer.callback_metrics)
    finally:
        trainer.training = True
        trainer.callbacks, trainer.loggers = theirs
        trainer.callback_metrics.update(before)
    return {name: float(value) for name, value in after.items() if value is not before.get(name)}
