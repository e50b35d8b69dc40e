"""EarlyStopping ends a run at once; here the end of its patience is passed on instead."""

import functools
from collections.abc import Callable
from typing import Any

from lightning_critperiod.lightning_seam.override import Overrides

HOOKS = ("on_validation_end", "on_train_epoch_end")
"""In one of them EarlyStopping looks at its metric."""
_PATIENT = {"NOT_STOPPED", "PATIENCE_EXHAUSTED"}


def hand_on_stops(overrides: Overrides, trainer: Any, stops: Callable[[str], None]) -> None:
    """Let no EarlyStopping end the run because its patience is over, but call ``stops`` every time that it would.

    A metric that is not finite, that has diverged or has reached its threshold ends the run as before.

    Args:
        overrides: The overrides that take it back.
        trainer: The trainer of the run.
        stops: Called on every rank with the name of the hook.
    """
    for callback in trainer.callbacks:
        if "EarlyStopping" in {kind.__name__ for kind in type(callback).__mro__}:
            for name in HOOKS:
                overrides.put(callback, name, _handing_on(callback, name, stops))


def _handing_on(callback: Any, name: str, stops: Callable[[str], None]) -> Callable[[Any, Any], None]:
    hook = getattr(callback, name)

    @functools.wraps(hook)
    def handing_on(trainer: Any, pl_module: Any) -> None:
        stopped_before = trainer.should_stop
        hook(trainer, pl_module)
        # All ranks agree so far; why it stops is each rank's own.
        if trainer.should_stop and not stopped_before and _is_patience(callback, trainer):
            trainer.should_stop = False
            stops(name)

    return handing_on


def _is_patience(callback: Any, trainer: Any) -> bool:
    reason = getattr(getattr(callback, "stopping_reason", None), "name", "")
    return bool(trainer.strategy.reduce_boolean_decision(reason in _PATIENT, all=True))
