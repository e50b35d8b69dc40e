"""The metrics over what they cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.plotting.phases import by_cost, mark_switch, shade_phases
from lightning_critperiod.report.plotting.samples import AMOUNT, spent_by
from lightning_critperiod.report.plotting.style import BLUE, ORANGE, VERMILLION, label_ends, name_axes, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING = "train"
Values = Sequence[float | None]


def metrics_figures(record: Record) -> "dict[str, Figure]":
    """Each validation metric over samples drawn and over seconds, with its training counterpart if there is one.

    Where a sample cost more FLOPs in one epoch than in another, FLOPs take the place of the samples.

    ``val_acc`` goes with ``train_acc``: the same name but for its first word. Where the weights are averaged, a
    validation metric is that of the average; that of the raw weights, to which it was compared, is a point at the end.

    Args:
        record: The record of a run.

    Returns:
        Name of the metric -> figure; a metric without a single value is left out.
    """
    return {
        name: _metric_figure(record, name)
        for name in record.metrics.validation
        if any(epoch.metrics.get(name) is not None for epoch in record.epochs)
    }


def _metric_figure(record: Record, name: str) -> "Figure":
    figure, panels = sheet(4.2, rows=2)
    seconds: tuple[str, Sequence[float]] = ("seconds", [epoch.total_seconds for epoch in record.epochs])
    for panel, (unit, spent) in zip(panels, (spent_by(record.epochs), seconds), strict=True):
        borders = by_cost(spent)
        ends = [end for curve in _curves(record, name) for end in _draw(panel, borders[1:], *curve)]
        ends += _draw(panel, borders[-1:], "raw", _raw(record, name), VERMILLION)
        name_axes(panel, unit, name)
        panel.xaxis.set_major_formatter(AMOUNT[unit])
        panel.margins(x=0.12)
        shade_phases(panel, record.epochs, borders)
        label_ends(panel, ends)
        mark_switch(panel, record, record.epochs, borders)
    return figure


def _curves(record: Record, name: str) -> list[tuple[str, Values, str]]:
    """Label, values and colour: of training, then of the metric itself."""
    first, _, rest = name.partition("_")
    averaged = record.decision is not None and record.decision.final_weights
    curves = [(TRAINING, f"{TRAINING}_{rest}", ORANGE), ("averaged" if averaged else first, name, BLUE)]
    return [(label, [epoch.metrics.get(key) for epoch in record.epochs], color) for label, key, color in curves]


def _raw(record: Record, name: str) -> Values:
    """The metric with the raw weights: one value, at the end, where they were compared with the averaged ones."""
    found = record.decision
    return [found.final_values.get("raw")] if found is not None and found.signal == name else [None]


def _draw(
    panel: "Axes", spent: Sequence[float], label: str, values: Values, color: str
) -> list[tuple[float, float, str]]:
    """Draw a curve, if there is a value, and hand back where its label goes: x, y, text."""
    points = [(x, y) for x, y in zip(spent, values, strict=True) if y is not None]
    if not points:
        return []
    panel.plot(*zip(*points, strict=True), color=color, linewidth=1.2, marker="." if len(points) < 3 else "")
    return [(*points[-1], label)]
