"""The oracle as tables: for a terminal and as Markdown."""

from collections.abc import Sequence

from lightning_critperiod.studies.cells import Cells, as_markdown, bullets, conditions, passes_text
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.oracle.sweep import Point, Sweep, change
from lightning_critperiod.studies.oracle.switches import RULE

NOT_INDEPENDENT = (
    "The points of one seed share their training up to the earlier of two switches: they are not independent of each "
    "other, neighbours least of all, and a curve through them looks smoother than it is."
)


def switch_cells(sweep: Sweep) -> Cells:
    """Header and one line a switch epoch, the full recipe last."""
    head = ("switch at epoch", "passes", "saved", "extra time", sweep.metric.label, "against full", "seeds")
    at_rule = [] if sweep.at_rule is None else [sweep.at_rule]
    points = [*sweep.switches, *at_rule, sweep.full]
    return [head, *(_switch_line(point, cheapest(sweep), sweep.metric) for point in points)]


def cheapest(sweep: Sweep) -> float:
    """Usual seconds of the point that takes least time."""
    return min(point.usual_seconds for point in (*sweep.switches, sweep.full))


def _switch_line(point: Point, least: float, metric: Metric) -> tuple[str, ...]:
    name = "never" if point.epoch is None else "where the rule fires" if point.epoch == RULE else str(point.epoch)
    return (
        name,
        passes_text(point.row.passes),
        f"{point.saved:.0%}",
        f"{point.usual_seconds / least - 1:+.0%}",
        metric.mean(point.row.mean, point.row.interval),
        metric.difference(point.to_full),
        str(len(point.row.values)),
    )


def annealing_cells(points: Sequence[Point], metric: Metric) -> Cells:
    """Header and one line a fraction.

    Args:
        points: The points of one place of the switch, no annealing first.
        metric: The metric that decides.

    Returns:
        The cells.
    """
    head = ("annealing fraction", "epochs", "passes", "saved", metric.label, "against none", "against full", "seeds")
    return [head, *(_annealing_line(point, points[0], metric) for point in points)]


def _annealing_line(point: Point, none: Point, metric: Metric) -> tuple[str, ...]:
    return (
        f"{point.annealing:g}",
        f"{point.annealed:g}",
        passes_text(point.row.passes),
        f"{point.saved:.0%}",
        metric.mean(point.row.mean, point.row.interval),
        metric.difference(None if point is none else change(point, none)),
        metric.difference(point.to_full),
        str(len(point.row.values)),
    )


def findings(sweep: Sweep) -> list[str]:
    """What the points say, and what to mind."""
    return [
        _choices(sweep),
        *_worse(sweep),
        *sweep.summary.lost_seeds,
        NOT_INDEPENDENT,
        "The intervals are for one comparison each, not corrected for there being many.",
    ]


def _worse(sweep: Sweep) -> list[str]:
    gains = [(point.epoch, sweep.metric.gain(point.to_full).t) for point in sweep.switches if point.to_full is not None]
    intervals = [(epoch, t) for epoch, t in gains if t is not None]
    if not intervals:
        return ["One seed has no intervals: no difference can be distinguished from chance."]
    worse = ", ".join(str(epoch) for epoch, (_, high) in intervals if high < 0)
    others = ", ".join(str(epoch) for epoch, (_, high) in intervals if high >= 0)
    found = [f"Worse than the full recipe, by the whole interval: switches at {worse}."] if worse else []
    if others:
        found.append(
            f"Not shown to be worse: switches at {others}. That is no proof of equality: the worse ends of their "
            "intervals say how much may be lost."
        )
    return found


def _choices(sweep: Sweep) -> str:
    said = ", ".join(f"{'never' if e is None else e} (seed {seed})" for seed, e in sorted(sweep.choices.items()))
    would = f"would switch at epoch {said}" if set(sweep.choices.values()) != {None} else "would never switch"
    text = f"The config's own rule, {sweep.rule}, asked on what the full runs recorded, {would}"
    if sweep.at_rule is None:
        return f"{text}. That switch was not trained."
    kept, unit = sweep.metric.difference(sweep.at_rule.to_full), sweep.metric.unit
    return f"{text}: {kept} {unit} against the full recipe, {sweep.at_rule.saved:.0%} of its samples saved."


def place_words(place: int | str) -> str:
    """Where a switch is."""
    return "where the rule fires" if place == RULE else f"at epoch {place}"


def markdown(sweep: Sweep) -> str:
    """All tables, what they say, and what they rest on."""
    seeds = f"{len(sweep.seeds)} seed{'s' * (len(sweep.seeds) > 1)}"
    parts = [
        f"# {sweep.name}: the switch at every epoch of a grid, {seeds}",
        bullets(findings(sweep)),
        "## Figure 1: when to switch",
        as_markdown(switch_cells(sweep)),
        f"The config's own recipe without annealing, in runs of {sweep.max_epochs} epochs; an epoch is the first one "
        f"after the switch. `{sweep.metric.name}`: {sweep.metric.reading}. Means over seeds, in brackets 95% "
        "t-intervals; differences are paired by seed. Passes over the data and samples are those of whole runs, the "
        "shared beginning included. Extra time is against the cheapest switch, had every epoch taken the median of all "
        "epochs of its volume in all runs, with the detector, which the full run has too.",
    ]
    for place, points in sweep.annealed.items():
        parts += [
            f"## Figure 2: annealing, switch {place_words(place)}",
            as_markdown(annealing_cells(points, sweep.metric)),
        ]
    if sweep.annealed:
        parts.append(
            "The fraction is that of the epochs after the switch which have the full recipe again, at the end of the "
            "run, in whole epochs."
        )
    parts += ["## Hardware and versions", bullets(conditions(sweep.runs)), _origin(sweep)]
    return "\n\n".join(parts) + "\n"


def _origin(sweep: Sweep) -> str:
    resumed = sum(run.resumed for run in sweep.runs)
    return (
        f"{resumed} of {len(sweep.runs)} runs went on from a checkpoint of the full run of their seed, the others "
        "began at the beginning; both give the same numbers."
    )
