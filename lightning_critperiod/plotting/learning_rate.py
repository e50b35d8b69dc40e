"""The learning rate, epoch by epoch."""

from typing import TYPE_CHECKING, Any

from lightning_critperiod.plotting.style import BLUE, mark_switch, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_rate_figure(record: dict[str, Any]) -> "Figure | None":
    """The learning rate of the last step of each epoch.

    Args:
        record: Of a run.

    Returns:
        None if none was seen.
    """
    epochs = [epoch for epoch in record["epochs"] if epoch["learning_rate"] is not None]
    if not epochs:
        return None
    figure, (panel,) = sheet(2.0)
    marker = "." if len(epochs) < 3 else ""
    panel.plot([e["epoch"] for e in epochs], [e["learning_rate"] for e in epochs], color=BLUE, marker=marker)
    panel.set_ylim(0, 1.1 * max(e["learning_rate"] for e in epochs) or None)
    name_axes(panel, "epoch", "learning rate")
    whole_epochs(panel)
    end = record["decision"] and record["decision"]["end_epoch"]
    if end is not None:
        mark_switch(panel, end - 0.5, record)
    return figure
