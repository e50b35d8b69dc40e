"""All figures of a run."""

from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.costs import costs_figure
from lightning_critperiod.report.plotting.course import budget_figure, course_figure
from lightning_critperiod.report.plotting.learning_rate import learning_rate_figure
from lightning_critperiod.report.plotting.metrics import metrics_figures
from lightning_critperiod.report.plotting.samples import samples_figure
from lightning_critperiod.report.plotting.signal import signal_figure
from lightning_critperiod.report.plotting.style import as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(record: Record) -> "dict[str, Figure]":
    """Caption -> figure, in reading order; what the record has no data for is left out.

    Args:
        record: The record of a run.

    Returns:
        matplotlib figures without any global state, to be saved or shown.
    """
    found = {
        "Signal and verdict, by epoch": signal_figure(record),
        "What one more doubling brings, by epoch": course_figure(record),
        "Spent of the budget, by epoch": budget_figure(record),
        "Samples drawn, by epoch": samples_figure(record),
        **{f"{name}, over what was spent": figure for name, figure in metrics_figures(record).items()},
        "Learning rate, by epoch": learning_rate_figure(record),
        "Time by phase": costs_figure(record),
    }
    return {caption: figure for caption, figure in found.items() if figure is not None}


def svgs(record: Record) -> dict[str, str]:
    """Caption -> the figure as an SVG element, for the page of a report.

    Args:
        record: The record of a run.

    Returns:
        The same captions in the same order as ``figures``.
    """
    return {
        caption: as_svg(figure, f"figure{number}")
        for number, (caption, figure) in enumerate(figures(record).items(), start=1)
    }
