"""Tables of a study as cells of text, for a terminal and as Markdown."""

from collections.abc import Iterable

from rich.table import Table

from lightning_critperiod.studies.study_run import StudyRun

Cells = list[tuple[str, ...]]
"""Header and lines."""


def as_rich(cells: Cells, title: str) -> Table:
    """Header and lines as a table for a terminal."""
    head, *lines = cells
    table = Table(title=title)
    for index, name in enumerate(head):
        table.add_column(name, justify="left" if index == 0 else "right")
    for line in lines:
        table.add_row(*line)
    return table


def as_markdown(cells: Cells) -> str:
    """Header and lines as a Markdown table."""
    rule = tuple("---" if index == 0 else "--:" for index in range(len(cells[0])))
    return "\n".join(f"| {' | '.join(line)} |" for line in (cells[0], rule, *cells[1:]))


def bullets(texts: Iterable[str]) -> str:
    """Sentences as a Markdown list."""
    return "\n".join(f"- {text}" for text in texts)


def passes_text(passes: float | None) -> str:
    """Passes over the training data; a dash where they are not known."""
    return "-" if passes is None else f"{passes:.1f}"


def conditions(runs: Iterable[StudyRun]) -> list[str]:
    """Every set of hardware and versions that occurs."""
    found = ({**run.record.hardware, **run.record.versions} for run in runs)
    return sorted({", ".join(f"{name} {value}" for name, value in machine.items()) for machine in found})
