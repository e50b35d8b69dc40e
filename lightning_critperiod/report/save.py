"""The report of a run in its folder."""

import os

from lightning_critperiod.record import Record, as_json, write
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page
from lightning_critperiod.report.plotting import svgs


def pages(record: Record, stem: str = "report") -> dict[str, str]:
    """File name -> text of the pages that are drawn from a record.

    Args:
        record: The record of a run.
        stem: The stem of the file names.

    Returns:
        ``<stem>.md`` and ``<stem>.html``.
    """
    return {f"{stem}.md": markdown(record), f"{stem}.html": page(record, svgs(record))}


def save(record: Record, folder: str | os.PathLike[str]) -> None:
    """Write ``report.json``, ``report.md`` and ``report.html`` into a run's folder, all of them or none.

    Args:
        record: The record of a run.
        folder: Is made if it is not there.
    """
    write({"report.json": as_json(record.to_json()), **pages(record)}, folder)
