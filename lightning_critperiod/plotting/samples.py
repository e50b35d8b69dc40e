"""What every epoch drew."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

from lightning_critperiod.plotting.style import BLUE, INK, SHADE, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def samples_figure(record: dict[str, Any]) -> "Figure | None":
    """Samples drawn in each epoch; the part after the period, until annealing, is shaded.

    Args:
        record: Of a run.

    Returns:
        None if nothing was counted.
    """
    epochs = [epoch for epoch in record["epochs"] if epoch["samples"]]
    if not epochs:
        return None
    figure, (panel,) = sheet(2.3)
    panel.bar([e["epoch"] for e in epochs], [e["samples"] for e in epochs], color=BLUE, width=0.8)
    panel.set_ylim(0, 1.2 * max(e["samples"] for e in epochs))
    for phase, group in groupby(epochs, key=lambda epoch: epoch.get("phase", "")):
        members = [epoch["epoch"] for epoch in group]
        left, right = members[0] - 0.5, members[-1] + 0.5
        if phase == "after":
            panel.axvspan(left, right, color=SHADE, zorder=0, linewidth=0)
        middle = (left + right) / 2
        panel.text(
            middle, 0.99, phase, transform=panel.get_xaxis_transform(), ha="center", va="top", color=INK, fontsize=8
        )
    name_axes(panel, "epoch", "samples drawn")
    panel.yaxis.set_major_formatter("{x:,.0f}")
    whole_epochs(panel)
    return figure
