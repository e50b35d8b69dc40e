"""The metric against what the runs cost."""

from typing import TYPE_CHECKING

from lightning_critperiod.report.plotting.style import BLUE, MUTED, ORANGE, SHADE, VERMILLION, name_axes, sheet
from lightning_critperiod.studies.charts import points
from lightning_critperiod.studies.rows import Row, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto_front(summary: Summary) -> list[Row]:
    """The arms that no other one beats in both the mean of the metric and cost, cheapest first."""
    sign = summary.metric.sign
    front: list[Row] = []
    for row in sorted(summary.rows, key=lambda row: (summary.cost(row), -sign * row.mean)):
        if not front or sign * row.mean > sign * front[-1].mean:
            front.append(row)
    return front


def pareto_figure(summary: Summary) -> "Figure":
    """The mean of the metric of every arm against what it cost, with 95% t-intervals and the Pareto front.

    Args:
        summary: The summary of the comparison; it says what the cost is in.

    Returns:
        A matplotlib figure without any global state.
    """
    figure, (panel,) = sheet(4.2)
    for row in summary.rows:
        points(panel, [summary.cost(row)], [(row.mean, row.interval)], _color(row))
    front = pareto_front(summary)
    panel.plot([summary.cost(row) for row in front], [row.mean for row in front], color=SHADE, linewidth=4, zorder=0)
    _label(panel, summary)
    name_axes(panel, _unit(summary), summary.metric.axis)
    return figure


def _unit(summary: Summary) -> str:
    if summary.steps_differ:
        return "training FLOPs"
    return "samples drawn" if any(row.passes is None for row in summary.rows) else "passes over the data"


def _color(row: Row) -> str:
    if row.arm.startswith("ours"):
        return VERMILLION
    return BLUE if row.equal_cost else ORANGE


def _label(panel: "Axes", summary: Summary) -> None:
    """Names in a column at the right, evenly spaced by the order of the means: equal cost means close together."""
    ordered = sorted(summary.rows, key=lambda row: row.mean)
    for position, row in enumerate(ordered):
        panel.annotate(
            row.arm,
            (summary.cost(row), row.mean),
            xytext=(1.04, (position + 0.5) / len(ordered)),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=_color(row),
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.3, "shrinkB": 3},
            annotation_clip=False,
        )
