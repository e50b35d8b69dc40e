"""What a run left behind, as JSON, Markdown, a page and figures; what it saved against the full recipe."""

from typing import TYPE_CHECKING

from lightning_critperiod.lazy_names import lazily
from lightning_critperiod.record import Record, load
from lightning_critperiod.report.caveats import caveats
from lightning_critperiod.report.console import command_console, console
from lightning_critperiod.report.save import pages, save
from lightning_critperiod.report.savings import Saving, savings
from lightning_critperiod.report.side_by_side import comparison_pages, comparison_table
from lightning_critperiod.report.table import table
from lightning_critperiod.report.words import headline

if TYPE_CHECKING:
    from lightning_critperiod.report.cost_monitor import CostMonitor
    from lightning_critperiod.report.recorder import RunRecorder

# They need torch, who draws pages again does not.
__getattr__ = lazily(__name__, {"cost_monitor": ("CostMonitor",), "recorder": ("RunRecorder",)})

__all__ = [
    "CostMonitor",
    "Record",
    "RunRecorder",
    "Saving",
    "caveats",
    "command_console",
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
