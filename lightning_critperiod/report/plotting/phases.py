"""The phases of a run, as shades behind a figure."""

import math
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from lightning_critperiod.record import Epoch, Record
from lightning_critperiod.report.plotting.style import INK, SHADE, SKY, mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADES = {"after": (SHADE, 1.0), "annealing": (SHADE, 0.5), "cooldown": (SKY, 0.3)}
"""Phase -> colour and opacity; the critical period has no shade."""
_LETTER = 4.5
"""Width of a letter of 8 points, on the average."""


def by_epoch(epochs: Sequence[Epoch]) -> list[float]:
    """The borders of epochs on an axis of epochs, one more than there are epochs."""
    return [epoch.epoch - 0.5 for epoch in epochs] + [epoch.epoch + 0.5 for epoch in epochs[-1:]]


def by_cost(spent: Sequence[float]) -> list[float]:
    """The borders of epochs on an axis of what was spent so far."""
    return list(accumulate(spent, initial=0.0))


def shade_phases(panel: "Axes", epochs: Sequence[Epoch], borders: Sequence[float]) -> None:
    """Shade every phase but the first and name them all, above the curves.

    Args:
        panel: With its curves; it gets room for the names on top.
        epochs: The epochs that are drawn.
        borders: Where they begin and end on the x-axis.
    """
    numbered = groupby(enumerate(epochs), key=lambda pair: pair[1].phase)
    spans = [(phase, [number for number, _ in members]) for phase, members in numbered]
    if len(spans) < 2:
        return
    bottom, top = panel.get_ylim()
    panel.set_ylim(bottom, top + 0.14 * (top - bottom))
    seen = [(phase or "", (borders[members[0]], borders[members[-1] + 1])) for phase, members in spans]
    for phase, (left, right) in seen:
        if phase in SHADES:
            color, alpha = SHADES[phase]
            panel.axvspan(left, right, color=color, alpha=alpha, zorder=0, linewidth=0)
    room = math.inf
    for phase, span in reversed(seen):
        room = _name(panel, phase, span, room)


def _name(panel: "Axes", phase: str, span: tuple[float, float], room: float) -> float:
    """Above the part of the span that is seen: a first epoch that took nearly all of the time begins far outside.

    Args:
        panel: Of the figure.
        phase: The name.
        span: Where the phase begins and ends.
        room: Where the next name begins; infinite for the last phase. A name that has no room before it is left out.

    Returns:
        Where this name begins.
    """
    first, last = panel.get_xlim()
    left, right, at_the_end = max(span[0], first), min(span[1], last), room == math.inf
    points = panel.get_window_extent().width * 72 / panel.figure.dpi
    width = _LETTER * len(phase) * (last - first) / points
    x = right if at_the_end else max(first, (left + right) / 2)
    begins, ends = (x - width, x) if at_the_end else (x - width / 2, x + width / 2)
    if ends > room:
        return room
    panel.text(
        x,
        0.99,
        phase,
        transform=panel.get_xaxis_transform(),
        ha="right" if at_the_end else "center",
        va="top",
        color=INK,
        fontsize=8,
    )
    return begins


def mark_switch(panel: "Axes", record: Record, epochs: Sequence[Epoch], borders: Sequence[float]) -> None:
    """Where the critical period ended and the run switched, or in an observed run would have."""
    decision = record.decision
    if decision is None or decision.end_epoch is None:
        return
    before = sum(epoch.epoch < decision.end_epoch for epoch in epochs)
    if before:
        mark(panel, borders[before], "would have switched" if decision.observe_only else "switch")
