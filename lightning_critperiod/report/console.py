"""Standard output for text that holds names of the user's: paths, runs and metrics."""

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def command_console() -> "Console":
    """Make the console of a command, which shows every name as it is.

    What the encoding of standard output cannot say is shown as an escape. Standard output is the command's own: in a
    user's training it would not be ours to change.

    Returns:
        The console.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return console()


def console() -> "Console":
    """Make a console on standard output. Square brackets are no markup and ``:word:`` is no emoji.

    Returns:
        The console; a pipe, which has no width of its own, gets room for a table.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
