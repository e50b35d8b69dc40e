"""The callback that leaves the report of a run in its folder."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_critperiod.costs.logged import finite
from lightning_critperiod.lightning_seam import register, send_back
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.record import Record, as_json, collect
from lightning_critperiod.record import write as write_files
from lightning_critperiod.report.loggers import log_figures, log_report
from lightning_critperiod.report.save import pages
from lightning_critperiod.report.summary import display, print_summary

if TYPE_CHECKING:
    from rich.console import Console

UNTOUCHED = "The training is not affected."


class RunRecorder(Callback):
    """Writes the report of a run into its folder: after training, after the test, and when an error ends the run.

    ``CostMonitor`` brings one along; list one yourself for other settings, or for a report without costs. While
    training runs, ``report.json`` is updated after an epoch, so that a process that is killed leaves a record of what
    it did so far. The folder is the run's own of the first logger, where Lightning keeps its checkpoints, or
    ``default_root_dir`` without one. Only rank 0 writes, and nothing is written under ``fast_dev_run``. The loggers of
    TensorBoard, W&B and MLflow get the report and its figures. If something cannot be drawn, written or sent, a
    warning says so. List it after ``CriticalPeriodCallback`` and ``CostMonitor``.

    Args:
        write: Leave ``report.html``, ``report.md`` and ``report.json`` in the folder and on the loggers.
        show: Print the decision and the table of costs when training ends; a notebook shows them as HTML.
        config: The run's configuration as text, for the report.

    Attributes:
        record: What was collected last, None before.
        folder: The folder of the run; None before ``fit``.

    Raises:
        TypeError: ``write`` or ``show`` is not a bool.
    """

    def __init__(self, write: bool = True, show: bool = True, config: str | None = None) -> None:
        for name, value in (("write", write), ("show", show)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        self.write = write
        self.show = show
        self.config = config
        self.record: Record | None = None
        self.folder: Path | None = None
        self.token = register(self)
        self._renewed = 0.0
        self._running = False

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        send_back(trainer, self)
        folder = _folder(trainer)
        self.folder = None if trainer.fast_dev_run else folder
        self.record = None
        self._renewed = 0.0
        self._running = True

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if not self.write or not trainer.is_global_zero or time.monotonic() - self._renewed < 10:
            return
        with _no_loss("The report of the run was not written", "Training goes on."):
            self._write({"report.json": as_json(collect(trainer, "running", config=self.config).to_json())})
        self._renewed = time.monotonic()

    @override
    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._finish(trainer)

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        # Not what goes wrong in a later test, nor before our setup: the last report stays.
        if self._running:
            error = f"{type(exception).__name__}: {exception}".removesuffix(": ")
            self._finish(trainer, error, by_hand=isinstance(exception, KeyboardInterrupt))

    @override
    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        # On all ranks: metrics may be reduced when they are read.
        metrics = {name: finite(value) for name, value in trainer.callback_metrics.items()}
        if self.record is not None:
            self.record = self.record.tested(metrics)
            self._leave(self.record, "The report of the training stays.")
            self._send(trainer, log_report)

    def _finish(self, trainer: Any, error: str | None = None, by_hand: bool = False) -> None:
        self._running = False
        if self.folder is None or not trainer.is_global_zero:
            return
        with _no_loss("The report of the run was not collected", UNTOUCHED):
            self.record = collect(trainer, "interrupted" if error else "completed", error, self.config)
            self._leave(self.record, UNTOUCHED)
            self._send(trainer, log_report)
            self._send(trainer, log_figures)
        with _no_loss("The summary of the run was not shown", UNTOUCHED):
            # Below the traceback of an error nobody would look for it.
            if self.show and self.record is not None and (by_hand or not error):
                display(self.record, self.folder if self.write else None)

    def _leave(self, record: Record, consequence: str) -> None:
        """Write the report; the record is written even if no page can be drawn from it."""
        texts = {"report.json": as_json(record.to_json())}
        if self.write:
            with _no_loss("The pages of the report were not drawn", consequence):
                texts |= pages(record)
            with _no_loss("The report of the run was not written", consequence):
                self._write(texts)

    def _write(self, texts: Mapping[str, str]) -> None:
        if self.folder is not None:
            write_files(texts, self.folder)

    def _send(self, trainer: Any, log: Any) -> None:
        if self.write and self.record is not None:
            log(self.record, trainer.loggers, trainer.global_step)

    def found(self) -> dict[str, Any]:
        """What a process that was spawned sends back to the one that called ``fit``."""
        return {"record": None if self.record is None else self.record.to_json(), "folder": self.folder}

    def receive(self, found: dict[str, Any]) -> None:
        """Take what ``found`` returned in another process."""
        self.record = None if found["record"] is None else Record.from_json(found["record"])
        self.folder = found["folder"]

    def show_on(self, console: "Console") -> None:
        """Print the decision, the table and where the report lies: the last words of a run."""
        if self.record is not None:
            print_summary(console, self.record, self.folder if self.write else None)


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
def _no_loss(problem: str, consequence: str) -> Generator[None]:
    """A report that cannot be drawn or written must not cost the model that was trained."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        rank_zero_warn(f"{problem} ({package} is not installed: pip install {package}). {consequence}")
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")
        rank_zero_warn(f"{problem} ({type(error).__name__}: {said}). {consequence}")
