"""Standard output for text that holds names of the user's: paths, runs and metrics."""

import io
import sys

from rich.console import Console


def console() -> Console:
    """Make a console that shows every name as it is.

    Square brackets are no markup and ``:word:`` is no emoji. What the encoding of standard output cannot say is shown
    as an escape, and a pipe, which has no width of its own, gets room for a table.

    Returns:
        The console.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
