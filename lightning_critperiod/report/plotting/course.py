"""What the rule went by, and what was spent of a budget, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.recipe import limit_in_words
from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.phases import by_epoch, mark_switch, shade_phases
from lightning_critperiod.report.plotting.style import (
    BLUE,
    GREEN,
    MUTED,
    PURPLE,
    SKY,
    VERMILLION,
    label_ends,
    name_axes,
    sheet,
    whole_epochs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (BLUE, SKY, GREEN, PURPLE, VERMILLION)
Lines = Mapping[str, Sequence[tuple[float, float]]]


def course_figure(record: Record) -> "Figure | None":
    """What the rule went by after every epoch, ``Rule.course``.

    Args:
        record: The record of a run.

    Returns:
        None if the rule says nothing of it.
    """
    if record.decision is None or not record.decision.course:
        return None
    figure, panel = _drawn(record, record.decision.course, record.decision.signal)
    values = [y for line in record.decision.course.values() for _, y in line[len(line) // 4 :]]
    panel.set_ylim(1.1 * min(0.0, *values), 1.1 * max(values))  # the first epochs would make the others a flat line
    _finish(record, panel, record.decision.course)
    return figure


def budget_figure(record: Record) -> "Figure | None":
    """The part of each limit of the budget that was spent after every epoch.

    Args:
        record: The record of a run.

    Returns:
        None if the run had no budget.
    """
    decision = record.decision
    if decision is None or not decision.spent:
        return None
    parts = {
        f"of {limit_in_words(name, decision.limits[name])}": [
            (epoch, 100 * value / decision.limits[name]) for epoch, value in line
        ]
        for name, line in decision.spent.items()
    }
    figure, panel = _drawn(record, parts, "% of the budget")
    panel.plot([record.epochs[0].epoch, record.epochs[-1].epoch], [100, 100], color=MUTED, linewidth=1, dashes=(4, 2))
    panel.set_ylim(0, max(105.0, 1.05 * max(y for line in parts.values() for _, y in line)))
    _finish(record, panel, parts)
    return figure


def _drawn(record: Record, lines: Lines, unit: str) -> "tuple[Figure, Axes]":
    figure, (panel,) = sheet()
    for (_, line), color in zip(lines.items(), COLORS, strict=False):
        panel.plot(*zip(*line, strict=True), color=color, linewidth=1.4, marker="." if len(line) == 1 else "")
    name_axes(panel, "epoch", unit.replace("_", " "))
    whole_epochs(panel)
    return figure, panel


def _finish(record: Record, panel: "Axes", lines: Lines) -> None:
    borders = by_epoch(record.epochs)
    panel.set_xlim(borders[0], borders[-1] + 0.3 * (borders[-1] - borders[0]))  # room for the labels
    shade_phases(panel, record.epochs, borders)
    label_ends(panel, [(*line[-1], label) for label, line in lines.items()])
    mark_switch(panel, record, record.epochs, borders)
