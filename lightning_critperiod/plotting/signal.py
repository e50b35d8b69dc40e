"""The signal, epoch by epoch, with the verdict."""

from typing import TYPE_CHECKING, Any

from lightning_critperiod.plotting.style import BLUE, GREEN, INK, SKY, mark, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def signal_figure(record: dict[str, Any]) -> "Figure | None":
    """The signal over the epochs: dark while the rule said "not over", light from its verdict on.

    What the rule compared with when it fired, or last, is drawn too: ``Rule.lines``, as the record holds them.

    Args:
        record: Of a run.

    Returns:
        None if no epoch has a value.
    """
    points = [epoch for epoch in record["epochs"] if epoch.get("signal") is not None]
    if not points or record["decision"] is None:
        return None
    figure, (panel,) = sheet()
    epochs, values = [p["epoch"] for p in points], [p["signal"] for p in points]
    panel.plot(epochs, values, color=SKY, linewidth=1)
    panel.scatter(epochs, values, s=14, color=[SKY if point["over"] else BLUE for point in points], zorder=3)
    name_axes(panel, "epoch", record["decision"]["signal"].replace("_", " "))
    whole_epochs(panel)
    for label, line in record["decision"].get("lines", {}).items():  # a record of an older version has none
        _compared(panel, label, line)
    end = record["decision"]["end_epoch"]
    if end is not None:
        mark(panel, end - 0.5, f"over after epoch {end - 1}" if end else "over before the first epoch")
    return figure


def _compared(panel: "Axes", label: str, line: list[list[float]]) -> None:
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
    )
