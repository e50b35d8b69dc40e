"""Accuracy against cost."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.compare.summary import Row
from lightning_critperiod.report.plotting.style import BLUE, MUTED, ORANGE, SHADE, VERMILLION, name_axes, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """The arms that no other one beats in both mean accuracy and samples, cheapest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.samples, -row.mean)):
        if not front or row.mean > front[-1].mean:
            front.append(row)
    return front


def pareto_figure(rows: Sequence[Row]) -> "Figure":
    """Mean test accuracy of every arm against what it drew, with 95% t-intervals and the Pareto front.

    Args:
        rows: Of the comparison; what was drawn is in passes over the data, or in samples where that is not known.

    Returns:
        A matplotlib figure without any global state.
    """
    figure, (panel,) = sheet(4.2)
    for row in rows:
        _point(panel, row)
    front = pareto_front(rows)
    panel.plot([_cost(row) for row in front], [row.mean for row in front], color=SHADE, linewidth=4, zorder=0)
    _label(panel, rows)
    unit = "samples drawn" if any(row.passes is None for row in rows) else "passes over the data"
    name_axes(panel, unit, "test accuracy, %")
    return figure


def _cost(row: Row) -> float:
    return row.samples if row.passes is None else row.passes


def _color(row: Row) -> str:
    if row.arm.startswith("ours"):
        return VERMILLION
    return BLUE if row.equal_cost else ORANGE


def _point(panel: "Axes", row: Row) -> None:
    low, high = row.interval or (row.mean, row.mean)
    error = [[row.mean - low], [high - row.mean]]
    panel.errorbar(_cost(row), row.mean, yerr=error, color=_color(row), marker="o", markersize=4, linewidth=0.8)


def _label(panel: "Axes", rows: Sequence[Row]) -> None:
    """Names in a column at the right, evenly spaced in the order of accuracy: arms of equal cost lie close together."""
    ordered = sorted(rows, key=lambda row: row.mean)
    for position, row in enumerate(ordered):
        panel.annotate(
            row.arm,
            (_cost(row), row.mean),
            xytext=(1.04, (position + 0.5) / len(ordered)),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=_color(row),
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.3, "shrinkB": 3},
            annotation_clip=False,
        )


def as_text(figure: "Figure") -> str:
    """The figure as SVG; equal figures give equal text."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({
        "svg.fonttype": "none",
        "svg.hashsalt": "critperiod",
        "font.family": ["sans-serif"],
    }):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return file.getvalue()
