"""What the figures of a study share."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.studies.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def points(panel: "Axes", x: Sequence[float], values: Sequence[tuple[float, Interval | None]], color: str) -> None:
    """Points joined by a line, each with its interval.

    Args:
        panel: To draw in.
        x: Where the points are.
        values: Mean and interval of each.
        color: The colour of points and line.
    """
    ends = [interval or (mean, mean) for mean, interval in values]
    y = [mean for mean, _ in values]
    below = [mean - low for mean, (low, _) in zip(y, ends, strict=True)]
    above = [high - mean for mean, (_, high) in zip(y, ends, strict=True)]
    panel.errorbar(x, y, yerr=[below, above], color=color, marker="o", markersize=4, linewidth=1.2, elinewidth=0.8)


def as_text(figure: "Figure") -> str:
    """The figure as SVG; equal figures give equal text."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "critperiod", "font.family": ["sans-serif"]}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return file.getvalue()
