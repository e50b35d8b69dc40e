"""The learning rate, epoch by epoch."""

from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.phases import by_epoch, mark_switch, shade_phases
from lightning_critperiod.report.plotting.style import BLUE, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_rate_figure(record: Record) -> "Figure | None":
    """The learning rate of the last step of each epoch.

    Args:
        record: The record of a run.

    Returns:
        None if none was seen.
    """
    rates = {epoch.epoch: epoch.learning_rate for epoch in record.epochs if epoch.learning_rate is not None}
    if not rates:
        return None
    figure, (panel,) = sheet(2.0)
    panel.plot(list(rates), list(rates.values()), color=BLUE, marker="." if len(rates) < 3 else "")
    panel.set_ylim(0, 1.1 * max(rates.values()) or None)
    name_axes(panel, "epoch", "learning rate")
    whole_epochs(panel)
    borders = by_epoch(record.epochs)
    shade_phases(panel, record.epochs, borders)
    mark_switch(panel, record, record.epochs, borders)
    return figure
