"""What every epoch drew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.record import Epoch, Record
from lightning_critperiod.report.plotting.phases import by_epoch, shade_phases
from lightning_critperiod.report.plotting.style import BLUE, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def samples_figure(record: Record) -> "Figure | None":
    """Samples drawn in each epoch, batches where samples were not counted.

    Args:
        record: Of a run.

    Returns:
        None if nothing was drawn.
    """
    unit, drawn = drawn_by(record.epochs)
    if not any(drawn):
        return None
    figure, (panel,) = sheet(2.3)
    panel.bar([epoch.epoch for epoch in record.epochs], drawn, color=BLUE, width=0.8)
    panel.set_ylim(0, 1.05 * max(drawn))
    name_axes(panel, "epoch", unit)
    panel.yaxis.set_major_formatter("{x:,.0f}")
    whole_epochs(panel)
    shade_phases(panel, record.epochs, by_epoch(record.epochs))
    return figure


def drawn_by(epochs: Sequence[Epoch]) -> tuple[str, Sequence[float]]:
    """What is counted, and how much of it each epoch drew."""
    samples = [epoch.samples for epoch in epochs if epoch.samples is not None]
    if len(samples) == len(epochs):
        return "samples drawn", samples
    return "batches", [epoch.batches for epoch in epochs]
