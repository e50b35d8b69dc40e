"""The report of a run in its folder."""

import os
from collections.abc import Mapping

from lightning_critperiod.report.files import Record, as_json, write
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page


def save(record: Record, folder: str | os.PathLike[str], figures: Mapping[str, str]) -> None:
    """Write ``report.json``, ``report.md`` and ``report.html`` into a run's folder, all of them or none.

    Args:
        record: Of a run.
        folder: Is made if it is not there.
        figures: Caption -> SVG element for the page, as ``plotting.svgs`` draws them.
    """
    texts = {"report.json": as_json(record), "report.md": markdown(record), "report.html": page(record, figures)}
    write(texts, folder)
