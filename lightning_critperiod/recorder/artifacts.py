"""The report on the loggers that can show one: TensorBoard."""

import sys
from collections.abc import Iterable
from typing import Any

from lightning_critperiod.namespace import NAMES
from lightning_critperiod.plotting import figures
from lightning_critperiod.report import Record
from lightning_critperiod.report.markdown import markdown

TAG = "critical_period"


def log_report(record: Record, loggers: Iterable[Any], step: int) -> None:
    """The report as text, ``critical_period/report``; TensorBoard renders Markdown.

    Args:
        record: Of the run.
        loggers: Of the trainer; those that show no text are left alone.
        step: The optimizer step it is about.
    """
    for logger in _tensorboards(loggers):
        logger.experiment.add_text(f"{TAG}/report", markdown(record), step)


def log_figures(record: Record, loggers: Iterable[Any], step: int) -> None:
    """The figures of the report as images, ``critical_period/<caption>``.

    Args:
        record: Of the run.
        loggers: Of the trainer; those that show no images are left alone.
        step: The optimizer step they are about.
    """
    for logger in _tensorboards(loggers):
        for caption, figure in figures(record).items():
            figure.patch.set_alpha(1)  # an image without transparency would have it black
            logger.experiment.add_figure(f"{TAG}/{caption}", figure, step, close=False)


def _tensorboards(loggers: Iterable[Any]) -> list[Any]:
    modules = [sys.modules[f"{name}.loggers"] for name in NAMES if f"{name}.loggers" in sys.modules]
    kinds = tuple(module.TensorBoardLogger for module in modules)
    return [logger for logger in loggers if isinstance(logger, kinds)]
