"""The callback that leaves the report of a run in its folder."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from rich.console import Console
from typing_extensions import override

from lightning_critperiod.costs.logged import finite
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.plotting import svgs
from lightning_critperiod.recorder.artifacts import log_figures, log_report
from lightning_critperiod.recorder.record import collect
from lightning_critperiod.report import Record, headline, save, table
from lightning_critperiod.report.files import as_json, write


class RunRecorder(Callback):
    """Writes the report of a run into its folder: at the end of training, after the test, and when the run dies.

    While training runs, ``report.json`` says so and is renewed after an epoch, so that a process that is killed leaves
    what it did so far. The folder is the run's own of the first logger, where Lightning keeps its checkpoints, or
    ``default_root_dir`` without one. It stands behind ``CriticalPeriodCallback`` and ``CostMonitor`` in the list of
    callbacks; either may be missing. Only rank 0 writes, and nothing is written under ``fast_dev_run``. The loggers of
    TensorBoard, W&B and MLflow get the report and its figures. What cannot be written or sent is a warning.

    Args:
        config: The run's configuration as text, for the report.

    Attributes:
        record: What was written last, None before.
        folder: Where to; None before ``fit``.
    """

    def __init__(self, config: str | None = None) -> None:
        self.config = config
        self.record: Record | None = None
        self.folder: Path | None = None
        self._renewed = 0.0
        self._running = False

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        folder = _folder(trainer)
        self.folder = None if trainer.fast_dev_run else folder
        self.record = None
        self._renewed = 0.0
        self._running = True

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self.folder is None or not trainer.is_global_zero or time.monotonic() - self._renewed < 10:
            return
        with _no_loss("Training goes on."):
            write({"report.json": as_json(collect(trainer, "running", config=self.config))}, self.folder)
        self._renewed = time.monotonic()

    @override
    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._save(trainer, "completed")

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        # Not what goes wrong in a later test, nor before our setup: the last report stays.
        if self._running:
            error = f"{type(exception).__name__}: {exception}".removesuffix(": ")
            self._save(trainer, "interrupted", error)

    @override
    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        # On all ranks: metrics may be reduced when they are read.
        metrics = {name: finite(value) for name, value in trainer.callback_metrics.items()}
        if self.record is None or self.folder is None:
            return
        self.record["metrics"]["test"] = metrics
        with _no_loss("The report of the training stays."):
            save(self.record, self.folder, svgs(self.record))
        log_report(self.record, trainer.loggers, trainer.global_step)

    def _save(self, trainer: Any, status: str, error: str | None = None) -> None:
        self._running = False
        if self.folder is None or not trainer.is_global_zero:
            return
        with _no_loss("The training is not touched by it."):
            self.record = collect(trainer, status, error, self.config)
            save(self.record, self.folder, svgs(self.record))
        if self.record is not None:
            log_report(self.record, trainer.loggers, trainer.global_step)
            log_figures(self.record, trainer.loggers, trainer.global_step)

    def show(self, console: Console) -> None:
        """Print the decision, the table and where the report lies: the last words of a run."""
        if self.record is None:
            return
        console.print(headline(self.record))
        console.print(table(self.record))
        console.print(f"Report: {self.folder}", soft_wrap=True)


def _folder(trainer: Any) -> Path:
    """Where this run alone writes. All ranks call it: log_dir is a collective."""
    log_dir = trainer.log_dir
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    if log_dir is not None and log_dir != logger.save_dir:
        return Path(log_dir)
    # All runs of a W&B or MLflow logger share its save_dir; checkpoints go to name and version below it.
    own = [str(part) for part in (logger.name, logger.version) if part is not None]
    return Path(logger.save_dir or trainer.default_root_dir, *own)


@contextmanager
def _no_loss(consequence: str) -> Generator[None]:
    """A report that cannot be drawn or written must not cost the model that was trained."""
    try:
        yield
    except Exception as error:
        rank_zero_warn(f"The report of the run was not written ({type(error).__name__}: {error}). {consequence}")
