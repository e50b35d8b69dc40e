"""What a comparison says, in sentences."""

from collections.abc import Sequence

from lightning_critperiod.compare.summary import Row


def findings(rows: Sequence[Row], margin: float | None) -> list[str]:
    """The result, first against the full recipe, then against the arms of equal cost, then what to mind.

    Args:
        rows: Of the comparison.
        margin: Of non-inferiority, in points.

    Returns:
        One sentence or two each.
    """
    ours = next((row for row in rows if row.arm == "ours"), None)
    found = (
        []
        if ours is None
        else [
            *_against_full(ours, rows, margin),
            *_cheaper_still(ours, rows),
            *_at_equal_cost(rows),
            *_against_placebo(ours, rows),
        ]
    )
    return [*found, *_to_mind(rows)]


def _against_full(ours: Row, rows: Sequence[Row], margin: float | None) -> list[str]:
    full = next((row for row in rows if row.arm == "full"), None)
    if full is None or ours.verdict is None:
        return []
    less = 1 - ours.samples / full.samples
    return [
        f"Against the full recipe, ours is {ours.verdict} at the margin of {margin:g} points stated beforehand: "
        f"{_points(ours, 'full')}, with {less:.0%} fewer samples."
    ]


def _cheaper_still(ours: Row, rows: Sequence[Row]) -> list[str]:
    """Arms that never switch, cost less than ours and keep as much as the full recipe, or more than ours."""
    cheaper = [row for row in rows if row.samples < ours.samples and not row.switches and "ours" in row.against]
    enough = [row for row in cheaper if row.verdict == "non-inferior" or (row.against["ours"].t or (0.0,))[0] > 0]
    return [f"{_saved(row, ours)}. Here there is nothing for a rule to win." for row in enough]


def _saved(row: Row, ours: Row) -> str:
    against = [f"{_points(row, arm)} against {arm}" for arm in ("full", "ours") if arm in row.against]
    return f"{row.arm} draws {1 - row.samples / ours.samples:.0%} fewer samples than ours: {', '.join(against)}"


def _at_equal_cost(rows: Sequence[Row]) -> list[str]:
    opponents = [row for row in rows if row.equal_cost and "ours" in row.against]
    if not opponents:
        return []
    worse = [row for row in opponents if (t := row.against["ours"].t) is not None and t[1] < 0]
    better = [row for row in opponents if (t := row.against["ours"].t) is not None and t[0] > 0]
    equal = [row for row in opponents if row not in worse and row not in better]
    text = "At equal cost, " + "; ".join(
        f"{said} {', '.join(_versus(row) for row in group)}"
        for said, group in (
            ("ours beats", worse),
            ("ours is beaten by", better),
            ("ours is not told apart from", equal),
        )
        if group
    )
    if better or equal:
        text += ". Where it does not beat them, its saving comes from fewer steps, not from when they are taken"
    return [text + "."]


def _against_placebo(ours: Row, rows: Sequence[Row]) -> list[str]:
    placebo = next((row for row in rows if row.arm == "placebo"), None)
    if placebo is None or not ours.switches:
        return []
    same = [seed for seed, epoch in ours.switches.items() if placebo.switches.get(seed) == epoch]
    if not same:
        return []
    return [
        f"In {len(same)} of {len(ours.switches)} seeds the placebo switched at the same epoch as ours: "
        "there the values of the signal decided nothing."
    ]


def _to_mind(rows: Sequence[Row]) -> list[str]:
    open_rates = [row for row in rows if row.last_rate > 0.05]
    mind = ["The intervals are for one comparison each; they are not corrected for there being many."]
    if open_rates:
        names = ", ".join(f"{row.arm} ({row.last_rate:.0%})" for row in open_rates)
        mind.append(f"The learning rate had not decayed to a twentieth of its highest value at the end of: {names}.")
    return mind


def _versus(row: Row) -> str:
    difference = row.against["ours"]
    text = f"{row.arm} ({0.0 - difference.mean:+.2f}"
    return (
        f"{text})" if difference.t is None else f"{text} [{0.0 - difference.t[1]:+.2f}, {0.0 - difference.t[0]:+.2f}])"
    )


def _points(row: Row, reference: str) -> str:
    difference = row.against[reference]
    interval = "" if difference.t is None else f" [{difference.t[0]:+.2f}, {difference.t[1]:+.2f}]"
    return f"{difference.mean:+.2f}{interval} points over {difference.seeds} seed{'s' * (difference.seeds > 1)}"
