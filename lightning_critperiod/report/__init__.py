"""What a run left behind, as JSON, Markdown and a page, and what it saved against the projected full recipe."""

from lightning_critperiod.report.caveats import caveats
from lightning_critperiod.report.console import console
from lightning_critperiod.report.files import FORMAT, Record, load
from lightning_critperiod.report.save import pages, save
from lightning_critperiod.report.savings import Saving, savings
from lightning_critperiod.report.side_by_side import comparison_pages, comparison_table
from lightning_critperiod.report.table import table
from lightning_critperiod.report.words import headline

__all__ = [
    "FORMAT",
    "Record",
    "Saving",
    "caveats",
    "comparison_pages",
    "comparison_table",
    "console",
    "headline",
    "load",
    "pages",
    "save",
    "savings",
    "table",
]
