"""The metrics over what they cost."""

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from lightning_critperiod.plotting.style import BLUE, ORANGE, label_ends, mark_switch, name_axes, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING = "train"


def metrics_figures(record: dict[str, Any]) -> "dict[str, Figure]":
    """Each validation metric over samples drawn and over seconds, with its training counterpart if there is one.

    ``val_acc`` goes with ``train_acc``: the same name but for its first word.

    Args:
        record: Of a run.

    Returns:
        Name of the metric -> figure; a metric without a single value is left out.
    """
    names = {name for epoch in record["epochs"] for name in epoch["metrics"]}
    return {
        name: _metric_figure(record, name)
        for name in record["metrics"]["validation"]
        if name in names and any(epoch["metrics"].get(name) is not None for epoch in record["epochs"])
    }


def _metric_figure(record: dict[str, Any], name: str) -> "Figure":
    figure, panels = sheet(4.2, rows=2)
    counterpart = f"{TRAINING}_{name.partition('_')[2]}"
    costs = (
        ("samples drawn", [epoch["samples"] for epoch in record["epochs"]]),
        ("seconds", [sum(epoch["seconds"].values()) for epoch in record["epochs"]]),
    )
    for panel, (unit, spent) in zip(panels, costs, strict=True):
        total = list(accumulate(spent))
        ends = _curve(panel, record, counterpart, total, ORANGE) + _curve(panel, record, name, total, BLUE)
        name_axes(panel, unit, name)
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.margins(x=0.12)
        label_ends(panel, ends)
        _mark_switch(panel, record, total)
    return figure


def _curve(
    panel: "Axes", record: dict[str, Any], name: str, spent: list[float], color: str
) -> list[tuple[float, float, str]]:
    """Draw it, if there is a value, and hand back where its label goes: x, y, text."""
    values = [epoch["metrics"].get(name) for epoch in record["epochs"]]
    points = [(x, y) for x, y in zip(spent, values, strict=True) if y is not None]
    if not points:
        return []
    panel.plot(*zip(*points, strict=True), color=color, linewidth=1.2, marker="." if len(points) < 3 else "")
    return [(*points[-1], name.partition("_")[0])]


def _mark_switch(panel: "Axes", record: dict[str, Any], spent: list[float]) -> None:
    end = record["decision"] and record["decision"]["end_epoch"]
    before = [x for x, epoch in zip(spent, record["epochs"], strict=True) if end is not None and epoch["epoch"] < end]
    if before:
        mark_switch(panel, before[-1], record)
