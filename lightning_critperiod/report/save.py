"""The report of a run in its folder."""

import os
from collections.abc import Mapping

from lightning_critperiod.report.files import Record, as_json, write
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page


def pages(record: Record, figures: Mapping[str, str], stem: str = "report") -> dict[str, str]:
    """File name -> text of the pages that are drawn from a record.

    Args:
        record: Of a run.
        figures: Caption -> SVG element.
        stem: Of the file names.

    Returns:
        ``<stem>.md`` and ``<stem>.html``.
    """
    return {f"{stem}.md": markdown(record), f"{stem}.html": page(record, figures)}


def save(record: Record, folder: str | os.PathLike[str], figures: Mapping[str, str]) -> None:
    """Write ``report.json``, ``report.md`` and ``report.html`` into a run's folder, all of them or none.

    Args:
        record: Of a run.
        folder: Is made if it is not there.
        figures: Caption -> SVG element for the page, as ``plotting.svgs`` draws them.
    """
    write({"report.json": as_json(record), **pages(record, figures)}, folder)
