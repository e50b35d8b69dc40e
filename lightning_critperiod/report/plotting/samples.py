"""What every epoch drew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.record import Epoch, Record
from lightning_critperiod.report.plotting.phases import by_epoch, shade_phases
from lightning_critperiod.report.plotting.style import BLUE, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


AMOUNT = {"samples drawn": "{x:,.0f}", "batches": "{x:,.0f}", "training FLOPs": "{x:.2g}", "seconds": "{x:,.10g}"}
"""How an axis writes its numbers."""


def samples_figure(record: Record) -> "Figure | None":
    """Samples drawn in each epoch, batches where samples were not counted; below them FLOPs, if steps differ in them.

    Args:
        record: The record of a run.

    Returns:
        None if nothing was drawn.
    """
    amounts = [drawn_by(record.epochs), *([spent_by(record.epochs)] if steps_differ(record.epochs) else [])]
    if not any(amounts[0][1]):
        return None
    figure, panels = sheet(2.3 * len(amounts), rows=len(amounts))
    for panel, (unit, spent) in zip(panels, amounts, strict=True):
        panel.bar([epoch.epoch for epoch in record.epochs], spent, color=BLUE, width=0.8)
        panel.set_ylim(0, 1.05 * max(spent))
        name_axes(panel, "epoch", unit)
        panel.yaxis.set_major_formatter(AMOUNT[unit])
        whole_epochs(panel)
        shade_phases(panel, record.epochs, by_epoch(record.epochs))
    return figure


def steps_differ(epochs: Sequence[Epoch]) -> bool:
    """Whether a sample cost more FLOPs in one epoch than in another: then samples do not say what an epoch cost."""
    costs = [epoch.flops / epoch.samples for epoch in epochs if epoch.flops and epoch.samples]
    return len(costs) == len(epochs) > 0 and max(costs) > 1.01 * min(costs)


def spent_by(epochs: Sequence[Epoch]) -> tuple[str, Sequence[float]]:
    """In what the epochs are compared, and how much of it each one took: FLOPs where steps differ in them."""
    if steps_differ(epochs):
        return "training FLOPs", [epoch.flops or 0.0 for epoch in epochs]
    return drawn_by(epochs)


def drawn_by(epochs: Sequence[Epoch]) -> tuple[str, Sequence[float]]:
    """What is counted, and how much of it each epoch drew."""
    samples = [epoch.samples for epoch in epochs if epoch.samples is not None]
    if len(samples) == len(epochs):
        return "samples drawn", samples
    return "batches", [epoch.batches for epoch in epochs]
