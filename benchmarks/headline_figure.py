"""The figure of the headline study: how far each cheaper arm is from the full recipe."""

from typing import Any

from matplotlib.figure import Figure
from paired_runs import Values, points

from lightning_critperiod.studies.charts import as_text
from lightning_critperiod.studies.statistics import Paired, paired

CHEAPER = {"short": "full recipe, fewer steps", "grown": "growing images, cosine", "together": "together"}
"""Arm -> its name in the figure, from the bottom to the top."""


def difference(values: Values, arm: str, other: str) -> Paired:
    """Paired by seed, in points; the seeds that both have."""
    found = paired(points(values[arm]), points(values[other]))
    assert found is not None
    return found


def draw(panel: Any, setup: str, values: Values) -> None:
    """Means and 95% t-intervals of one data set."""
    panel.axvline(0, color="0.5", linewidth=0.8)
    for height, arm in enumerate(CHEAPER):
        found = difference(values, arm, "full recipe")
        low, high = found.t or (found.mean, found.mean)
        error = [[found.mean - low], [high - found.mean]]
        color = "C0" if arm == "together" else "0.35"
        panel.errorbar(found.mean, height, xerr=error, color=color, marker="o", markersize=4, linewidth=1.2)
    panel.set_title(setup, fontsize=9)
    panel.set_yticks(range(len(CHEAPER)), CHEAPER.values(), fontsize=8)
    panel.set_ylim(-0.6, len(CHEAPER) - 0.4)
    panel.tick_params(axis="x", labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def figure(sets: dict[str, Values]) -> str:
    """SVG text."""
    drawn = Figure(figsize=(7.5, 1.9), layout="constrained")
    panels = drawn.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for panel, (setup, values) in zip(panels, sets.items(), strict=True):
        draw(panel, setup, values)
    drawn.supxlabel("points of test accuracy against the full recipe, at 40% of its operations or less", fontsize=8)
    return as_text(drawn)
