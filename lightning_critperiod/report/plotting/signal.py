"""The signal, epoch by epoch, with the verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.phases import by_epoch, shade_phases
from lightning_critperiod.report.plotting.style import BLUE, GREEN, INK, SKY, mark, name_axes, sheet, whole_epochs
from lightning_critperiod.report.words import switched_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def signal_figure(record: Record) -> "Figure | None":
    """The signal over the epochs: dark while the rule said "not over", light from its verdict on.

    What the rule compared with when it fired, or last, is drawn too: ``Rule.lines``, as the record holds them.

    Args:
        record: Of a run.

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
    for label, line in decision.lines.items():
        _compared(panel, label, line)
    shade_phases(panel, record.epochs, by_epoch(record.epochs))
    if decision.end_epoch is not None:
        mark(panel, decision.end_epoch - 0.5, f"over {switched_at(decision)}")
    return figure


def _compared(panel: "Axes", label: str, line: Sequence[tuple[float, float]]) -> None:
    xs, ys = zip(*line, strict=True)
    panel.plot(xs, ys, color=GREEN, linewidth=1.8, alpha=0.8, zorder=2)
    x, y = line[len(line) // 2] if len(line) > 2 else ((xs[0] + xs[-1]) / 2, (ys[0] + ys[-1]) / 2)
    above = ys[-1] < ys[0]
    panel.annotate(
        label,
        (x, y),
        xytext=(4, 4 if above else -4),
        textcoords="offset points",
        va="bottom" if above else "top",
        color=INK,
        fontsize=8,
        parse_math=False,
    )
