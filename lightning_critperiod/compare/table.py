"""The comparison as tables: for a terminal and as Markdown."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from lightning_critperiod.compare.as_dict import Record
from lightning_critperiod.compare.findings import findings
from lightning_critperiod.compare.statistics import Interval, Paired
from lightning_critperiod.compare.summary import REFERENCES, Row

Cells = list[tuple[str, ...]]


def main_cells(rows: Sequence[Row]) -> Cells:
    """Header and one line an arm: what it cost, what it kept."""
    head = (
        "arm",
        "passes",
        "samples",
        "seconds",
        "switch",
        "accuracy %",
        "against full",
        "verdict",
        "against ours",
    )
    return [head, *(_main_line(row) for row in sorted(rows, key=lambda row: -row.mean))]


def _main_line(row: Row) -> tuple[str, ...]:
    against = [difference_text(row.against.get(name)) for name in REFERENCES]
    return (
        row.arm,
        "-" if row.passes is None else f"{row.passes:.1f}",
        f"{row.samples:,.0f}",
        f"{row.seconds:.1f}",
        _switches(row),
        f"{row.mean:.2f}{in_brackets(row.interval)}",
        against[0],
        row.verdict or "-",
        against[1],
    )


def _switches(row: Row) -> str:
    epochs = sorted(set(row.switches.values()))
    if not epochs:
        return "-"
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}"


def difference_cells(rows: Sequence[Row], reference: str) -> Cells:
    """Header and one line an arm: its paired difference to a reference."""
    head = ("arm", "difference", "95% t", "95% bootstrap", "sd", "seeds")
    full = reference == "full"
    lines = [_difference_line(row, row.against[reference], full) for row in rows if reference in row.against]
    return [(*head, "verdict", "seeds needed") if full else head, *lines]


def _difference_line(row: Row, difference: Paired, full: bool) -> tuple[str, ...]:
    cells = (
        row.arm,
        f"{difference.mean:+.2f}",
        in_brackets(difference.t).strip() or "-",
        in_brackets(difference.bootstrap).strip() or "-",
        "-" if difference.sd is None else f"{difference.sd:.2f}",
        str(difference.seeds),
    )
    needed = "-" if row.seeds_needed is None else str(row.seeds_needed)
    return (*cells, row.verdict or "-", needed) if full else cells


def difference_text(difference: Paired | None) -> str:
    """Mean and t-interval with their signs."""
    return "-" if difference is None else f"{difference.mean:+.2f}{in_brackets(difference.t, signed=True)}"


def in_brackets(interval: Interval | None, signed: bool = False) -> str:
    """What follows a mean; nothing where there is no interval."""
    sign = "+" if signed else ""
    return "" if interval is None else f" [{interval[0]:{sign}.2f}, {interval[1]:{sign}.2f}]"


def rich_table(rows: Sequence[Row], title: str) -> Table:
    """The main table for a terminal."""
    return as_rich(main_cells(rows), title)


def as_rich(cells: Cells, title: str) -> Table:
    """Header and lines as a table for a terminal."""
    head, *lines = cells
    table = Table(title=title)
    for index, name in enumerate(head):
        table.add_column(name, justify="left" if index == 0 else "right")
    for line in lines:
        table.add_row(*line)
    return table


def markdown(rows: Sequence[Row], title: str, margin: float | None, records: Sequence[Record]) -> str:
    """All tables, the findings, and what they rest on.

    Args:
        rows: Of the comparison.
        title: Of the page.
        margin: Of non-inferiority, in points.
        records: Of all runs, for hardware and versions.

    Returns:
        A Markdown page.
    """
    parts = [
        f"# {title}",
        "\n".join(f"- {text}" for text in findings(rows, margin)),
        as_markdown(main_cells(rows)),
    ]
    parts.append(
        "Means over seeds, in brackets 95% t-intervals; differences are paired by seed, in points. A pass is one pass "
        "over the training data. Seconds are wall-clock time of one run with its detector; whatever else the machine "
        "did meanwhile is in them. A switch is the first epoch after the critical period."
    )
    for reference in REFERENCES:
        if any(reference in row.against for row in rows):
            parts += [f"## Paired differences to {reference}", as_markdown(difference_cells(rows, reference))]
    parts += ["## The arms", "\n".join(f"- {row.arm}: {row.description}" for row in rows)]
    parts += ["## Hardware and versions", "\n".join(f"- {text}" for text in conditions(records))]
    return "\n\n".join(parts) + "\n"


def as_markdown(cells: Cells) -> str:
    """Header and lines as a Markdown table."""
    rule = tuple("---" if index == 0 else "--:" for index in range(len(cells[0])))
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:]))


def conditions(records: Iterable[Record]) -> list[str]:
    """Every set of hardware and versions that occurs."""
    seen = {
        ", ".join(f"{name} {value}" for name, value in (record["hardware"] | record["versions"]).items())
        for record in records
    }
    return sorted(seen)
