"""The report as Markdown."""

from collections.abc import Iterable, Sequence

from lightning_critperiod.record import Record
from lightning_critperiod.report.advice import ADVICE, advice
from lightning_critperiod.report.caveats import CAVEATS, caveats
from lightning_critperiod.report.facts import CITATION, facts
from lightning_critperiod.report.table import cells
from lightning_critperiod.report.words import headline, notes


def markdown(record: Record) -> str:
    """The report of a run as one Markdown page.

    Args:
        record: The record of a run.

    Returns:
        Its text.
    """
    head, *rows = cells(record)
    parts = ["# What this training cost", headline(record), markdown_table(head, rows), *notes(record)]
    if found := advice(record):
        parts += [f"## {ADVICE}", bullets(one.text for one in found)]
    parts += [f"## {CAVEATS}", bullets(caveats(record))]
    for heading, entries in facts(record).items():
        parts += [f"## {heading}", bullets(f"{name}: {value}" for name, value in entries.items())]
    if record.config:
        parts += ["## Configuration", f"```yaml\n{record.config.rstrip()}\n```"]
    return "\n\n".join([*parts, "## To cite", CITATION]) + "\n"


def bullets(texts: Iterable[str]) -> str:
    """A list of plain texts."""
    return "\n".join(f"- {text}" for text in texts)


def markdown_table(head: Sequence[str], body: Iterable[Iterable[str]]) -> str:
    """Cells of plain text, the first column left-aligned, the others right-aligned."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(_row(cells) for cells in (head, rule, *body))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
