"""The signal, epoch by epoch, with the verdict."""

from typing import TYPE_CHECKING, Any

from lightning_critperiod.plotting.style import BLUE, GREEN, INK, SKY, mark, name_axes, sheet, whole_epochs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def signal_figure(record: dict[str, Any]) -> "Figure | None":
    """The signal over the epochs: dark while the rule said "not over", light from its verdict on.

    What the rule compared with when it fired, or last, is drawn too: the fitted line of ``Slope``, the quartiles and
    the limit of ``LowOutlier``.

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
    reference = {"Slope": _fitted_line, "LowOutlier": _quartiles}.get(record["decision"]["rule_name"])
    if reference is not None:
        reference(panel, record, points)
    end = record["decision"]["end_epoch"]
    if end is not None:
        mark(panel, end - 0.5, f"over after epoch {end - 1}" if end else "over before the first epoch")
    return figure


def _fitted_line(panel: "Axes", record: dict[str, Any], points: list[dict[str, Any]]) -> None:
    from statistics import linear_regression

    end = record["decision"]["end_epoch"]
    seen = [point for point in points if end is None or point["epoch"] < end]
    window = seen[-record["decision"]["rule_arguments"]["window"] :]
    if len(window) < 2:
        return
    first, last = window[0]["epoch"], window[-1]["epoch"]
    slope, intercept = linear_regression([p["epoch"] for p in window], [p["signal"] for p in window])
    reach = (first - 0.5, last + 0.5)
    panel.plot(reach, [intercept + slope * x for x in reach], color=GREEN, linewidth=2.5, alpha=0.8, zorder=2)
    middle = (first + last) / 2
    panel.annotate(
        "fitted line",
        (middle, intercept + slope * middle),
        xytext=(6, -4 if slope >= 0 else 4),
        textcoords="offset points",
        va="top" if slope >= 0 else "bottom",
        color=INK,
        fontsize=8,
    )


def _quartiles(panel: "Axes", record: dict[str, Any], points: list[dict[str, Any]]) -> None:
    import numpy as np

    end, rule = record["decision"]["end_epoch"], record["decision"]["rule_arguments"]
    seen = [point["epoch"] for point in points if end is None or point["epoch"] < end]
    looks = [epoch for epoch in seen if (epoch + 1) % rule["every_n_epochs"] == 0]
    past = [point["signal"] for point in points if looks and point["epoch"] < looks[-1] - 1]
    if not past:
        return
    low, high = np.quantile(past, [0.25, 0.75])
    limit, reach = low - rule["threshold"] * (high - low), (0, looks[-1])
    panel.fill_between(reach, low, high, color=GREEN, alpha=0.25, linewidth=0, zorder=0)
    panel.plot(reach, [limit, limit], color=GREEN, linewidth=1.2, zorder=2)
    for value, text in ((high, "quartiles"), (limit, f"Q1 - {rule['threshold']:g} IQR")):
        panel.annotate(text, (0, value), xytext=(2, 2), textcoords="offset points", color=INK, fontsize=8)
