"""The last words of a run: the decision, the table of costs, what to change and where the report lies."""

import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report import html
from lightning_critperiod.report.advice import ADVICE, advice
from lightning_critperiod.report.table import cells, table
from lightning_critperiod.report.words import headline, notes

if TYPE_CHECKING:
    from rich.console import Console

MOST = 3
"""How many pieces of advice are shown at the end of a run; the report has all of them."""


def display(record: Record, folder: Path | None) -> None:
    """Show the summary where the run was started: on the terminal, or as HTML below the cell of a notebook.

    Args:
        record: The record of the run.
        folder: Where its report lies, if anywhere.
    """
    if in_notebook():
        from IPython.display import HTML
        from IPython.display import display as show

        show(HTML(as_html(record, folder)))  # type: ignore[no-untyped-call, unused-ignore]
    else:
        from rich.console import Console

        # A pipe has no width of its own, and 80 columns would break the table.
        width = None if sys.stdout.isatty() else 160
        print_summary(Console(width=width, markup=False, emoji=False, highlight=False), record, folder)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def print_summary(terminal: "Console", record: Record, folder: Path | None) -> None:
    """Print the summary.

    Args:
        terminal: A console of rich.
        record: The record of the run.
        folder: Where its report lies, if anywhere.
    """
    terminal.print(headline(record), markup=False)
    if len(cells(record)) > 1:
        terminal.print(table(record))
    for text in notes(record):
        terminal.print(text, markup=False)
    for one in advice(record)[:MOST]:
        terminal.print(f"{ADVICE}: {one.text}", markup=False, soft_wrap=True)
    if folder is not None:
        terminal.print(f"Report: {folder}", soft_wrap=True, markup=False)


def as_html(record: Record, folder: Path | None) -> str:
    """The summary as HTML.

    Args:
        record: The record of the run.
        folder: Where its report lies, if anywhere.

    Returns:
        Elements for the output of a notebook's cell.
    """
    head, *rows = cells(record)
    parts = [f"<p><b>{escape(headline(record))}</b></p>", html.table(head, rows)]
    parts += [f"<p>{escape(text)}</p>" for text in notes(record)]
    parts += [f"<p>{ADVICE}: {escape(one.text)}</p>" for one in advice(record)[:MOST]]
    if folder is not None:
        parts.append(f"<p>Report: <code>{escape(str(folder))}</code></p>")
    return "\n".join(parts)
