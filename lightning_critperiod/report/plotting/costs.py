"""Where the time went, beside where the full recipe's would have gone."""

from typing import TYPE_CHECKING

from lightning_critperiod.record import Projected, Record
from lightning_critperiod.report.plotting.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SHADE,
    SKY,
    VERMILLION,
    name_axes,
    sheet,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PHASES = {
    "training": ("training", BLUE),
    "data_wait": ("waiting for data", SKY),
    "validation": ("validation", GREEN),
    "detector": ("detector", VERMILLION),
    "start_up": ("start-up", ORANGE),
    "metering": ("starting the meter", MUTED),
    "overhead": ("everything else", PURPLE),
}


def costs_figure(record: Record) -> "Figure | None":
    """Seconds by phase, measured above the projected full recipe with its 95% interval.

    Args:
        record: The record of a run.

    Returns:
        None if nothing was measured.
    """
    measured, projected = record.measured, record.projected
    if measured is None:
        return None
    figure, (panel,) = sheet(2.6)
    _stacked(panel, 1, measured.seconds_by_phase)
    labels, unit = ["measured"], "seconds"
    if projected is not None:
        _stacked(panel, 0, projected.seconds_by_phase)
        unit = _interval(panel, projected)
        labels = ["projected\nfull recipe", "measured"]
    panel.set_yticks(range(2 - len(labels), 2), labels, color=INK, fontsize=9)
    panel.set_ylim(0.5 - len(labels) + 0.9, 1.5)
    name_axes(panel, unit, "")
    handles, names = panel.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK, handlelength=1
    )
    return figure


def _stacked(panel: "Axes", y: int, seconds: dict[str, float]) -> None:
    left = 0.0
    for phase, (name, color) in PHASES.items():
        width = seconds.get(phase, 0.0)
        label = f"{name} {width:,.1f} s" if y == 1 and width else None
        panel.barh(y, width, left=left, height=0.55, color=color, label=label, edgecolor=SHADE, linewidth=0.3)
        left += width


def _interval(panel: "Axes", projected: Projected) -> str:
    """Draw it, if there is one, and hand back the label of the axis."""
    low, high, middle = projected.seconds_low, projected.seconds_high, projected.seconds
    if low is None or high is None or high <= low:
        return "seconds"
    panel.errorbar(middle, 0, xerr=[[middle - low], [high - middle]], color=INK, capsize=4, linewidth=1.2)
    return "seconds (whiskers: 95%, by the noise within this run)"
