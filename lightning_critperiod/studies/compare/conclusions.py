"""What a comparison says, in sentences."""

from lightning_critperiod.report.words import plural
from lightning_critperiod.studies.compare.levers.recommendation import recommend
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.rows import Row, Summary
from lightning_critperiod.studies.statistics import Paired


def conclusions(summary: Summary) -> list[str]:
    """The recommendation if there is one, the result against the full recipe and the arms of equal cost, what to mind.

    Args:
        summary: The summary of the comparison.

    Returns:
        One sentence or two each.
    """
    ours, recipe = summary.row("ours"), recommend(summary)
    found = [] if ours is None else _about(ours, summary)
    return [*(recipe.why if recipe else []), *found, *_to_mind(summary)]


def _about(ours: Row, summary: Summary) -> list[str]:
    return [
        *_without_a_switch(ours),
        *_against_full(ours, summary),
        *_cheaper_still(ours, summary),
        *_at_equal_cost(summary),
        *_against_placebo(ours, summary),
    ]


def _without_a_switch(ours: Row) -> list[str]:
    stayed = len(ours.values) - len(ours.switches)
    if not stayed:
        return []
    if not ours.switches:
        return [
            f"ours never switched: its rule fired in none of {plural(stayed, 'seed')}, so ours is the full recipe, and "
            "this comparison says nothing about a switch. Train longer, or take another rule or signal."
        ]
    return [f"In {stayed} of {plural(len(ours.values), 'seed')} ours did not switch: there it is the full recipe."]


def _against_full(ours: Row, summary: Summary) -> list[str]:
    full = summary.row("full")
    if full is None or ours.verdict is None:
        return []
    return [
        f"Against the full recipe, ours is {ours.verdict} at the margin of {summary.margin:g} {summary.metric.unit} "
        f"stated beforehand: {_change(ours, 'full', summary.metric)}, with {_less(ours, full)}."
    ]


def _less(row: Row, other: Row) -> str:
    """How much less one arm cost than another."""
    samples = f"{1 - row.samples / other.samples:.0%} fewer samples"
    if row.flops is None or not other.flops:
        return samples
    return f"{samples} ({1 - row.flops / other.flops:.0%} fewer FLOPs)"


def _cheaper_still(ours: Row, summary: Summary) -> list[str]:
    """Arms that never switch, cost less than ours, and keep as much as the full recipe or more than ours."""
    others = [row for row in summary.rows if not row.switches and "ours" in row.against]
    cheaper = [row for row in others if summary.cost(row) < summary.cost(ours)]
    enough = [row for row in cheaper if row.verdict == "non-inferior" or _is_above(summary.gain(row, "ours"))]
    return [f"{_saved(row, ours, summary.metric)}. A rule has nothing to gain here." for row in enough]


def _is_above(gain: Paired) -> bool:
    return gain.t is not None and gain.t[0] > 0


def _is_below(gain: Paired) -> bool:
    return gain.t is not None and gain.t[1] < 0


def _saved(row: Row, ours: Row, metric: Metric) -> str:
    against = [f"{_change(row, arm, metric)} against {arm}" for arm in ("full", "ours") if arm in row.against]
    return f"{row.arm} draws {_less(row, ours)} than ours: {', '.join(against)}"


def _at_equal_cost(summary: Summary) -> list[str]:
    rows = [row for row in summary.rows if row.equal_cost and "ours" in row.against]
    baselines = [row for row in rows if summary.gain(row, "ours").t is not None]
    if not baselines:
        names = ", ".join(_versus(row, summary.metric) for row in rows)
        return [f"At equal cost, one seed cannot tell ours from {names}: give more with --seeds."] if rows else []
    worse = [row for row in baselines if _is_below(summary.gain(row, "ours"))]
    better = [row for row in baselines if _is_above(summary.gain(row, "ours"))]
    equal = [row for row in baselines if row not in worse and row not in better]
    groups = {"ours beats": worse, "ours is beaten by": better, "ours is statistically indistinguishable from": equal}
    said = [
        f"{words} {', '.join(_versus(row, summary.metric) for row in rows)}" for words, rows in groups.items() if rows
    ]
    if not said:
        return []
    text = f"At equal cost, {'; '.join(said)}"
    if better or equal:
        text += ". Where it does not beat them, its saving comes from fewer steps, not from when they are taken"
    return [f"{text}."]


def _against_placebo(ours: Row, summary: Summary) -> list[str]:
    placebo = summary.row("placebo")
    if placebo is None or not ours.switches:
        return []
    same = [seed for seed, epoch in ours.switches.items() if placebo.switches.get(seed) == epoch]
    if not same:
        return []
    return [
        f"In {len(same)} of {len(ours.switches)} seeds the placebo switched at the same epoch as ours: "
        "there the values of the signal decided nothing."
    ]


def _to_mind(summary: Summary) -> list[str]:
    mind = ["The intervals are for one comparison each; they are not corrected for there being many."]
    mind += [*summary.lost_seeds, *_rounded(summary)]
    open_rates = ", ".join(f"{row.arm} ({row.last_rate:.0%})" for row in summary.rows if row.last_rate > 0.05)
    if open_rates:
        mind.append(
            f"The learning rate had not decayed to a twentieth of its highest value at the end of: {open_rates}."
        )
    return mind


def _rounded(summary: Summary) -> list[str]:
    """Which arms are shorter than the full recipe, at the FLOPs or seconds of ours, and had to be of whole epochs."""
    full = summary.row("full")
    if full is None:
        return []
    whole = full.samples / full.epochs
    shorter = [row for row in summary.rows if row.budget != "samples" and row.epochs < full.epochs]
    return [
        f"{row.arm} has the budget of {row.samples / whole:.2f} epochs of the full recipe. It trains {row.epochs:.3g}, "
        f"each with {row.samples / whole / row.epochs:.1%} of the samples of one."
        for row in shorter
        if abs(row.samples / whole - row.epochs) > 0.005
    ]


def _versus(row: Row, metric: Metric) -> str:
    """What ours has more than an arm."""
    return f"{row.arm} ({metric.difference(row.against['ours'].negated())})"


def _change(row: Row, reference: str, metric: Metric) -> str:
    difference = row.against[reference]
    seeds = f"{difference.seeds} seed{'s' * (difference.seeds > 1)}"
    return f"{metric.difference(difference)} {metric.unit} over {seeds}"
