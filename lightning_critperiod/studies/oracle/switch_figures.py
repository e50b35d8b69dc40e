"""Figure 1, the metric against the switch epoch, and Figure 2, its change against the annealing fraction."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightning_critperiod.report.plotting.style import BLUE, INK, MUTED, ORANGE, SHADE, VERMILLION, name_axes, sheet
from lightning_critperiod.studies.charts import points as draw_points
from lightning_critperiod.studies.oracle.sweep import Point, Sweep, change
from lightning_critperiod.studies.oracle.switch_table import cheapest, place_words
from lightning_critperiod.studies.statistics import Paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARED = "points of one seed share their prefix: not independent"


def figure1(sweep: Sweep) -> "Figure":
    """The metric when the switch comes at each epoch, and the extra time; below it the paired difference to full.

    Args:
        sweep: The sweep of an oracle.

    Returns:
        A matplotlib figure without any global state.
    """
    figure, (above, below) = sheet(5.2, rows=2)
    _means(above, sweep)
    _extra_time(above, sweep)
    _differences(below, sweep)
    for panel in (above, below):
        _epochs(panel, sweep)
        _choices(panel, sweep)
    above.set_title(_choice_words(sweep), color=VERMILLION, fontsize=8, loc="left")
    name_axes(above, "", sweep.metric.axis)
    name_axes(below, "epoch of the switch", f"against full, {sweep.metric.short_unit}")
    figure.text(0.995, 0.003, SHARED, ha="right", va="bottom", fontsize=7, color=MUTED)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))  # type: ignore[union-attr, call-arg]
    return figure


def _means(panel: "Axes", sweep: Sweep) -> None:
    mean = sweep.full.row.mean
    panel.axhline(mean, color=SHADE, linewidth=4, zorder=0)
    points = [*sweep.switches, sweep.full]
    x = [_x(point, sweep) for point in points]
    draw_points(panel, x, [(point.row.mean, point.row.interval) for point in points], BLUE)
    said = f"full recipe {sweep.metric.text(mean)}"
    panel.annotate(said, (0, mean), xytext=(2, -4), textcoords="offset points", va="top", color=INK, fontsize=8)
    if sweep.at_rule is not None:
        _trained_choice(panel, sweep, sweep.at_rule.row.mean)


def _extra_time(panel: "Axes", sweep: Sweep) -> None:
    """On a second axis, with its own colour."""
    second = panel.twinx()
    points, least = [*sweep.switches, sweep.full], cheapest(sweep)
    extra = [100 * (point.usual_seconds / least - 1) for point in points]
    second.plot([_x(point, sweep) for point in points], extra, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)))
    second.spines[["top", "left", "bottom"]].set_visible(False)
    second.spines["right"].set_color(ORANGE)
    second.tick_params(colors=ORANGE, labelsize=8)
    second.set_ylim(0, 1.6 * max(*extra, 1.0))
    second.set_ylabel("extra time to the cheapest, %", color=ORANGE, fontsize=9)


def _differences(panel: "Axes", sweep: Sweep) -> None:
    panel.axhline(0, color=SHADE, linewidth=4, zorder=0)
    found = [(point, point.to_full) for point in sweep.switches]
    x = [_x(point, sweep) for point, difference in found if difference]
    draw_points(panel, x, [(difference.mean, difference.t) for _, difference in found if difference], BLUE)
    if sweep.at_rule is not None and sweep.at_rule.to_full is not None:
        _trained_choice(panel, sweep, sweep.at_rule.to_full.mean)


def _trained_choice(panel: "Axes", sweep: Sweep, y: float) -> None:
    """The switch where the rule fires, at the mean of its epochs."""
    x = statistics.fmean(epoch for epoch in sweep.choices.values() if epoch is not None)
    panel.plot(x, y, color=VERMILLION, marker="D", markersize=5, zorder=3)


def _x(point: Point, sweep: Sweep) -> int:
    return point.epoch if isinstance(point.epoch, int) else sweep.max_epochs


def _epochs(panel: "Axes", sweep: Sweep) -> None:
    ticks = [_x(point, sweep) for point in sweep.switches]
    panel.set_xticks([*ticks, sweep.max_epochs], [*map(str, ticks), "never"])
    panel.set_xlim(0, sweep.max_epochs * 1.03)


def _choices(panel: "Axes", sweep: Sweep) -> None:
    for epoch in {epoch for epoch in sweep.choices.values() if epoch is not None}:
        panel.axvline(epoch, color=VERMILLION, linewidth=1, linestyle=(0, (4, 2)), zorder=1)


def _choice_words(sweep: Sweep) -> str:
    epochs = sorted({epoch for epoch in sweep.choices.values() if epoch is not None})
    return f"the rule's own choice: epoch {', '.join(map(str, epochs))}" if epochs else "the rule never fires"


def figure2(sweep: Sweep) -> "Figure | None":
    """Change of the metric against the annealing fraction, paired with no annealing.

    Args:
        sweep: The sweep of an oracle.

    Returns:
        None if no fraction was trained.
    """
    if not sweep.annealed:
        return None
    figure, (panel,) = sheet(3.2)
    panel.axhline(0, color=SHADE, linewidth=4, zorder=0)
    places = zip((BLUE, ORANGE, VERMILLION), sweep.annealed.items(), strict=False)
    for row, (color, (place, points)) in enumerate(places):
        _changes(panel, points, color)
        said = f"switch {place_words(place)}; above the points: extra samples"
        panel.annotate(said, (0, 1.03 + 0.08 * row), xycoords="axes fraction", color=color, fontsize=8)
    name_axes(panel, "annealing fraction of the epochs after the switch", f"against none, {sweep.metric.short_unit}")
    return figure


def _changes(panel: "Axes", points: Sequence[Point], color: str) -> None:
    none, *others = points
    found: list[tuple[Point, Paired]] = [(p, d) for p in others if (d := change(p, none)) is not None]
    draw_points(
        panel, [0.0, *(p.annealing for p, _ in found)], [(0.0, None), *((d.mean, d.t) for _, d in found)], color
    )
    for point, difference in found:
        top = difference.t[1] if difference.t else difference.mean
        _above(panel, point.annealing, top, f"{point.row.samples / none.row.samples - 1:+.0%}")


def _above(panel: "Axes", x: float, y: float, text: str) -> None:
    panel.annotate(text, (x, y), xytext=(0, 4), textcoords="offset points", ha="center", color=MUTED, fontsize=7)
