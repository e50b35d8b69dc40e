"""A moment that Lightning has no hook for: all of one epoch is over, nothing of the next one has begun."""

import functools
from collections.abc import Callable
from typing import Any

from lightning_critperiod.lightning_seam.override import Overrides


class EpochStart:
    """Calls back between the last hook of one epoch and the first hook of the next.

    ``on_train_epoch_end`` would be too early: the hooks after ours still belong to the epoch that ends.
    ``on_train_epoch_start`` would be too late for the callbacks before ours, and Lightning may set its loaders up again
    in between. It does that first of all in an epoch, by ``setup_data``, which is where this is called. The epochs in
    which a learning rate or batch size finder tries something, without the run's callbacks, do not count.

    Args:
        trainer: The trainer that fits.
        before: Called with the 0-based epoch that starts, before Lightning sets its loaders up again, if it does.
        after: Called when the loaders of the epoch are there.

    Attributes:
        begun: The last epoch that has begun; None before training starts, when nothing is called.
    """

    def __init__(self, trainer: Any, before: Callable[[int], None], after: Callable[[int], None]) -> None:
        loop = trainer.fit_loop
        setup_data = loop.setup_data
        self._overrides = Overrides()
        self.begun: int | None = None
        of_the_run = list(trainer.callbacks)

        @functools.wraps(setup_data)
        def with_callbacks() -> None:
            epoch = int(loop.epoch_progress.current.processed)
            is_trial = not any(one is other for one in trainer.callbacks for other in of_the_run)
            begins = self.begun is not None and epoch > self.begun and not is_trial
            if begins:
                self.begun = epoch
                before(epoch)
            setup_data()
            if begins:
                after(epoch)

        self._overrides.put(loop, "setup_data", with_callbacks)

    def undo(self) -> None:
        """Call back no more."""
        self._overrides.undo()
