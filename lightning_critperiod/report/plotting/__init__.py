"""Figures of a run, drawn from its record alone. matplotlib is imported inside the functions."""

from lightning_critperiod.report.plotting.costs import costs_figure
from lightning_critperiod.report.plotting.course import budget_figure, course_figure
from lightning_critperiod.report.plotting.figures import figures, svgs
from lightning_critperiod.report.plotting.learning_rate import learning_rate_figure
from lightning_critperiod.report.plotting.metrics import metrics_figures
from lightning_critperiod.report.plotting.samples import samples_figure
from lightning_critperiod.report.plotting.signal import signal_figure
from lightning_critperiod.report.plotting.style import as_svg

__all__ = [
    "as_svg",
    "budget_figure",
    "costs_figure",
    "course_figure",
    "figures",
    "learning_rate_figure",
    "metrics_figures",
    "samples_figure",
    "signal_figure",
    "svgs",
]
