"""Training steps with something around them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import LBFGS

from lightning_critperiod.lightning_seam.override import Overrides


def around_training_steps(trainer: Any, around: Callable[..., Any]) -> Overrides:
    """Have ``around(step, *arguments)`` called in place of each ``step(*arguments)``.

    A step is what Lightning does with one batch: forward, backward and, where it is due, the optimizer's step, in
    automatic and in manual optimization. The hooks at the start and the end of a batch are not in it.

    Args:
        trainer: The trainer that fits.
        around: Calls ``step(*arguments)`` once and returns what it returns.

    Returns:
        To be undone when training ends.
    """
    overrides, loop = Overrides(), trainer.fit_loop.epoch_loop
    for steps in (loop.automatic_optimization, loop.manual_optimization):
        overrides.put(steps, "run", partial(around, steps.run))
    return overrides


def accumulates(trainer: Any) -> bool:
    """Whether the step that begins only adds to the gradients."""
    return bool(trainer.fit_loop._should_accumulate())


def runs_the_model_repeatedly(trainer: Any) -> bool:
    """Whether an optimizer runs the model as often as it needs in one step."""
    return any(isinstance(optimizer, LBFGS) for optimizer in trainer.optimizers)
