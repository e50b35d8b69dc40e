"""How every figure looks: a narrow sheet that a phone can show, few lines, colours that the colour-blind tell apart."""

import io
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lightning_critperiod.report.colors import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, SHADE = LIGHT["ink"], LIGHT["muted"], LIGHT["shade"]
BLUE, SKY, GREEN, VERMILLION = LIGHT["blue"], LIGHT["sky"], LIGHT["green"], LIGHT["vermillion"]
PURPLE, ORANGE = LIGHT["purple"], LIGHT["orange"]
LINE = 10  # points between the labels of curves that meet
LONGEST = 32  # characters of such a label: a longer one, as of a metric, would leave no room for the curve
WIDTH = 4.6  # inches: on a phone's 360 pixels a text of 9 points is still one of 7


def sheet(height: float = 2.7, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """An empty figure with ``rows`` panels below each other, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(MUTED)
        panel.tick_params(colors=INK, labelsize=8)
        panel.set_facecolor("none")
    figure.patch.set_alpha(0)
    return figure, panels


def name_axes(panel: "Axes", x: str, y: str) -> None:
    """Label both axes. The name of a metric is no formula, whatever dollar signs are in it."""
    panel.set_xlabel(x, color=INK, fontsize=9, parse_math=False)
    panel.set_ylabel(y, color=INK, fontsize=9, parse_math=False)


def whole_epochs(panel: "Axes") -> None:
    """Ticks of an epoch axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def mark(panel: "Axes", x: float, text: str) -> None:
    """A vertical line at x with a label above the panel."""
    panel.axvline(x, color=VERMILLION, linewidth=1, linestyle=(0, (4, 2)))
    left = x < sum(panel.get_xlim()) / 2
    panel.annotate(
        text,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom",
        color=INK,
        fontsize=8,
    )


def label_ends(panel: "Axes", ends: Iterable[tuple[float, float, str]]) -> None:
    """Labels (x, y, text) at the right ends of curves, apart where the curves meet."""
    bottom, top = panel.get_ylim()
    height = panel.get_window_extent().height * 72 / panel.figure.dpi
    points = height / (top - bottom)  # per unit of y
    lowest = -math.inf
    for x, y, text in sorted(ends, key=lambda end: end[1]):
        at = max((y - bottom) * points, lowest)
        panel.annotate(
            text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…",
            (x, y),
            xytext=(4, at - (y - bottom) * points),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=8,
            annotation_clip=False,
            parse_math=False,
        )
        lowest = at + LINE


def as_svg(figure: "Figure", name: str) -> str:
    """The figure as an SVG element for a page: text as text, colours as the page's ``--ink``, ``--blue`` and so on.

    Args:
        figure: To be drawn.
        name: Keeps the ids of several figures on one page apart.

    Returns:
        The element, without a size of its own; equal figures give equal text.
    """
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": ["sans-serif"]}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'\bid="(?=\w)', f'id="{name}-', svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", svg)
    for variable, color in LIGHT.items():
        svg = svg.replace(color, f"var(--{variable})")
    return svg.strip()
