"""Where a run stands: the counters of Lightning's loops."""

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


def finished_epochs(trainer: Any) -> int:
    """Epochs that are over, the one whose end hooks run included; also the 0-based number of the one that runs."""
    return int(trainer.fit_loop.epoch_progress.current.processed)


def unfinished_batches(trainer: Any) -> int:
    """Batches that a run resumed in mid-epoch has behind it in that epoch."""
    loop = trainer.fit_loop
    counted = loop.epoch_progress.current
    unfinished = loop.epoch_loop.restarting and counted.processed < counted.ready
    # `ready` counts a batch that an exception has cut short.
    return int(loop.epoch_loop.batch_progress.current.processed) if unfinished else 0


def begin_next_epoch(trainer: Any) -> None:
    """Let a run that goes on after an epoch's last batch begin the next epoch as any other.

    From a checkpoint of that batch Lightning would neither call ``on_train_epoch_start`` nor count the next epoch as
    begun (so that a second resume in mid-epoch would repeat it), and would start it in its middle where it is longer
    than the one that is over.
    """
    loop = trainer.fit_loop
    if not loop.restarted_mid_epoch or loop.epoch_progress.current.processed < loop.epoch_progress.current.ready:
        return
    if loop.epoch_loop.restarted_on_train_batch_end:
        loop.epoch_loop._batches_that_stepped += 1  # the checkpoint is older than this count
    loop.reset_restart_stage()
    loop.restarting = False


@contextmanager
def last_epoch_again(trainer: Any) -> Generator[None]:
    """``trainer.current_epoch`` is the last finished epoch inside, as it is in that epoch's end hooks."""
    current = trainer.fit_loop.epoch_progress.current
    before, current.completed = current.completed, current.processed - 1
    try:
        yield
    finally:
        current.completed = before


def planned_epochs(trainer: Any) -> int | None:
    """The number of epochs that the run was planned for; None for a run without a last epoch."""
    epochs = trainer.max_epochs
    return None if epochs is None or epochs < 0 else int(epochs)


def epochs_in_steps(trainer: Any, batches: float) -> int | None:
    """The number of epochs of so many batches in ``max_steps``; None where it, or their steps, are not known."""
    is_known = 0 < batches < math.inf and trainer.lightning_module.automatic_optimization
    if trainer.max_steps < 0 or not is_known:
        return None
    steps: int = math.ceil(batches / trainer.accumulate_grad_batches)
    return math.ceil(int(trainer.max_steps) / steps)


def begun_batches(trainer: Any) -> int:
    """Training batches that have begun, in all sessions of the run."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.ready)


def optimizer_steps(trainer: Any, batches: float) -> float:
    """Steps that ``trainer.global_step`` counts in an epoch of so many batches.

    Returns:
        A number; under manual optimization, where a batch may have any number of steps, as many per batch as so far.
    """
    if trainer.lightning_module.automatic_optimization:
        return batches if batches == math.inf else math.ceil(batches / trainer.accumulate_grad_batches)
    begun = begun_batches(trainer)
    return batches * trainer.global_step / begun if begun and trainer.global_step else batches


def steps_before_epoch(trainer: Any) -> int:
    """What ``trainer.estimated_stepping_batches`` counts, up to the beginning of the epoch that runs.

    Returns:
        Optimizer steps; under manual optimization batches, as Lightning does not know how many steps are in one.
    """
    unfinished = unfinished_batches(trainer)
    if not trainer.lightning_module.automatic_optimization:
        return begun_batches(trainer) - unfinished
    return int(trainer.global_step) - unfinished // int(trainer.accumulate_grad_batches)


@contextmanager
def steps_read(trainer: Any, steps: int) -> Generator[None]:
    """``trainer.global_step`` reads ``steps`` inside."""
    total = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
    before, total.completed = total.completed, steps
    try:
        yield
    finally:
        total.completed = before
