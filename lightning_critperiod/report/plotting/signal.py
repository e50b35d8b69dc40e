"""The signal, epoch by epoch, with the verdict."""

from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.phases import by_epoch, shade_phases
from lightning_critperiod.report.plotting.style import (
    BLUE,
    GREEN,
    SKY,
    label_ends,
    mark,
    name_axes,
    sheet,
    whole_epochs,
)
from lightning_critperiod.report.words import switched_at

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def signal_figure(record: Record) -> "Figure | None":
    """The signal over the epochs: dark while the rule said "not over", light from its verdict on.

    What the rule compared with when it fired, or last, is drawn too: ``Rule.lines``, as the record holds them.

    Args:
        record: The record of a run.

    Returns:
        None if no epoch has a value.
    """
    decision, history = record.decision, record.history
    if not history or decision is None:
        return None
    figure, (panel,) = sheet()
    panel.plot(list(history), list(history.values()), color=SKY, linewidth=1)
    colors = [SKY if decision.is_over(epoch) else BLUE for epoch in history]
    panel.scatter(list(history), list(history.values()), s=14, color=colors, zorder=3)
    name_axes(panel, "epoch", decision.signal.replace("_", " "))
    whole_epochs(panel)
    for line in decision.lines.values():
        panel.plot(*zip(*line, strict=True), color=GREEN, linewidth=1.8, alpha=0.8, zorder=2)
    left, right = panel.get_xlim()
    panel.set_xlim(left, right + 0.25 * (right - left) * bool(decision.lines))  # room for the labels
    shade_phases(panel, record.epochs, by_epoch(record.epochs))
    label_ends(panel, [(*line[-1], label) for label, line in decision.lines.items()])
    if decision.end_epoch is not None:
        mark(panel, decision.end_epoch - 0.5, f"over {switched_at(decision)}")
    return figure
