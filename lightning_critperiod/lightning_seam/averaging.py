"""Lightning's own weight averaging, with a window that grows with the run."""

import importlib
from typing import Any

import torch
from typing_extensions import override

WINDOW = 0.1
"""Of the average, as a part of the optimizer steps so far."""


def averages_weights(callback: Any) -> bool:
    """Whether a callback averages weights: one of Lightning's, or one with EMA in its name."""
    names = [kind.__name__ for kind in type(callback).__mro__]
    return any("WeightAveraging" in name or "EMA" in name for name in names)


def grow(averaged: list[torch.Tensor], current: list[torch.Tensor], updates: Any) -> None:
    """Take the current weights into the average, an exponential one whose window is a tenth of the updates so far.

    In place, a + (w - a) min(1, 1 / (0.1 (n + 1))), with a the average, w the weights and n the updates before this
    one. Whole numbers, such as the count of batches of a batch norm, are taken over.

    Args:
        averaged: a, tensors of one device and type.
        current: w, of the same shapes.
        updates: n.
    """
    part = min(1.0, 1.0 / (WINDOW * (float(updates) + 1.0)))
    if averaged[0].is_floating_point() or averaged[0].is_complex():
        torch._foreach_lerp_(averaged, current, part)
    else:
        torch._foreach_copy_(averaged, current)


def growing_average(trainer: Any) -> Any:
    """A callback that averages the weights, buffers included, and lets validation see the average.

    Returns:
        A ``WeightAveraging`` of the trainer's own namespace. Its attribute ``keeps_raw`` is whether the module, and the
        checkpoints from then on, get the raw weights in the end.
    """
    callbacks: Any = importlib.import_module(f"{type(trainer).__module__.partition('.trainer')[0]}.callbacks")

    class GrowingAverage(callbacks.WeightAveraging):  # type: ignore[misc]
        keeps_raw = False

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
        def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
            super().on_save_checkpoint(trainer, pl_module, checkpoint)
            if self.keeps_raw and "current_model_state" in checkpoint:
                checkpoint["state_dict"] = checkpoint["current_model_state"]

        @override
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            if not self.keeps_raw:
                super().on_train_end(trainer, pl_module)

    return GrowingAverage(use_buffers=True, multi_avg_fn=grow)


def shards_weights(trainer: Any) -> bool:
    """Whether a process holds only a part of the weights, which Lightning does not average."""
    names = {kind.__name__ for kind in type(trainer.strategy).__mro__}
    return bool(names & {"FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy"})


def is_ours(callback: Any) -> bool:
    """Whether ``growing_average`` made a callback."""
    return type(callback).__qualname__ == "growing_average.<locals>.GrowingAverage"


def evaluate_quietly(trainer: Any, *callbacks: Any) -> dict[str, float]:
    """One more validation, which no logger and no callback sees but the progress bar.

    Args:
        trainer: That fits. Its ``callback_metrics`` are afterwards what they were before.
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
