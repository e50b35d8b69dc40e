"""The cost monitor for a Trainer: it measures what a training costs and leaves the report."""

from typing import Any

from typing_extensions import override

from lightning_critperiod import costs
from lightning_critperiod.report.recorder import RunRecorder


class CostMonitor(costs.CostMeter):
    """Measures the time, energy, CO2 and money of ``Trainer.fit`` and leaves the report in the run's folder.

    What it measures, and its arguments, are those of ``costs.CostMeter``. At the end of training it prints the
    decision and the table of costs, and leaves ``report.html``, ``report.md`` and ``report.json``. To
    switch either off, add a ``RunRecorder`` to the callbacks; it replaces the one that this callback brings along.

    Attributes:
        recorder: What writes the report; None before ``fit`` and where the callbacks list a ``RunRecorder``.

    Example:
        >>> from lightning_critperiod import CostMonitor, RunRecorder
        >>> loud = [CostMonitor(price_per_hour=2.5)]
        >>> quiet = [CostMonitor(price_per_hour=2.5), RunRecorder(show=False)]
    """

    recorder: RunRecorder | None = None

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        listed = any(isinstance(callback, RunRecorder) for callback in trainer.callbacks)
        if stage == "fit":
            self.recorder = None if listed else RunRecorder()
        if self.recorder is not None:
            self.recorder.setup(trainer, pl_module, stage)

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self.recorder is not None:
            self.recorder.on_train_epoch_end(trainer, pl_module)

    @override
    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_fit_end(trainer, pl_module)
        if self.recorder is not None:
            self.recorder.on_fit_end(trainer, pl_module)

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        super().on_exception(trainer, pl_module, exception)
        if self.recorder is not None:
            self.recorder.on_exception(trainer, pl_module, exception)

    @override
    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_test_end(trainer, pl_module)
        if self.recorder is not None:
            self.recorder.on_test_end(trainer, pl_module)

    @override
    def found(self) -> dict[str, Any]:
        return {**super().found(), "report": None if self.recorder is None else self.recorder.found()}

    @override
    def receive(self, found: dict[str, Any]) -> None:
        super().receive(found)
        if found["report"] is not None:
            self.recorder = RunRecorder()
            self.recorder.receive(found["report"])
