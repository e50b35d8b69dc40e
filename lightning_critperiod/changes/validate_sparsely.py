"""Validation only when it can matter."""

import math
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info
from typing_extensions import override

from lightning_critperiod.lightning_seam import SomeValidations, only_checks_validations
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.recipe import require_number
from lightning_critperiod.signals import MonitoredMetric

CHECKS_EVERY_EPOCH = {"EarlyStopping", "ModelCheckpoint"}


class ValidateSparsely(Callback):
    """Validates after the epochs of a geometric grid, after every epoch of a cooldown, and at the end.

    A curve flattens with the logarithm of the epochs, so what is known about it grows with the number of doublings, not
    of epochs. After n epochs there is a validation if a power of ``factor`` lies in (n - 1, n], so the first epochs
    are all validated. Training is not affected: the weights are those of the run with all validations.

    A rule on a validation metric gets fewer measurements and fires later, which may cost more than the validations. It
    is meant for a rule on another signal, a budget, or ``max_epochs``. The default leaves ``Worthwhile`` the four
    measurements that it needs to fire.

    Args:
        factor: Ratio of successive numbers of epochs, above 1 and at most 2.

    Raises:
        TypeError: ``factor`` is not a number.
        ValueError: ``factor`` is out of its range. At the start of ``fit``: the run has ReduceLROnPlateau, or an
            EarlyStopping or ModelCheckpoint that reads the metric after epochs without a validation, or it validates by
            the clock.

    >>> [n for n in range(1, 33) if ValidateSparsely(factor=1.5).is_on_grid(n)]
    [1, 2, 3, 4, 6, 8, 12, 18, 26]
    """

    def __init__(self, factor: float = 1.08) -> None:
        require_number("factor", factor, low=1, high=2, open_low=True, closed=True)
        self.factor = factor
        self._validations: SomeValidations | None = None

    def is_on_grid(self, finished: int) -> bool:
        """Whether the grid has a validation after so many epochs, at least 1."""
        return finished == 1 or self._power(finished) > self._power(finished - 1)

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        self._undo()
        self._check_callbacks(trainer)
        self._say_delays(trainer)
        self._validations = SomeValidations(trainer, lambda: self._is_due(trainer))

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if any(config.reduce_on_plateau for config in trainer.lr_scheduler_configs):
            raise ValueError(
                "ValidateSparsely cannot be combined with ReduceLROnPlateau, which would count epochs without a "
                "validation: leave one of them out."
            )

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._undo()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._undo()

    def _undo(self) -> None:
        if self._validations is not None:
            self._validations.undo()
        self._validations = None

    def _is_due(self, trainer: Any) -> bool:
        epoch = trainer.current_epoch
        is_last = epoch + 1 == trainer.max_epochs or 0 <= trainer.max_steps <= trainer.global_step
        always = trainer.sanity_checking or trainer.should_stop or is_last
        return bool(always) or self.is_on_grid(epoch + 1) or _cools_down(trainer, epoch)

    def _power(self, finished: int) -> int:
        # 1e-9: float noise in a whole power must not move it.
        return math.floor(math.log(finished) / math.log(self.factor) + 1e-9)

    @staticmethod
    def _say_delays(trainer: Any) -> None:
        for callback in trainer.callbacks:
            signal = getattr(callback, "signal", None)
            if isinstance(signal, MonitoredMetric):
                rank_zero_info(
                    f"ValidateSparsely leaves {signal.name} fewer measurements: {callback.rule} fires later."
                )

    @staticmethod
    def _check_callbacks(trainer: Any) -> None:
        if getattr(trainer, "val_check_interval", None) is None:
            raise ValueError("ValidateSparsely counts epochs, so val_check_interval can't be a time: give a number.")
        for callback in trainer.callbacks:
            kinds = CHECKS_EVERY_EPOCH & {kind.__name__ for kind in type(callback).__mro__}
            if kinds and callback.monitor is not None and not only_checks_validations(callback):
                option = "check_on_train_epoch_end" if "EarlyStopping" in kinds else "save_on_train_epoch_end"
                raise ValueError(
                    f"ValidateSparsely cannot be combined with {type(callback).__name__}(monitor={callback.monitor!r}) "
                    f"that reads the metric after every epoch, validated or not: give it {option}=False."
                )


def _cools_down(trainer: Any, epoch: int) -> bool:
    starts = (getattr(callback, "cooldown_epoch", None) for callback in trainer.callbacks)
    return any(start is not None and epoch >= start for start in starts)
