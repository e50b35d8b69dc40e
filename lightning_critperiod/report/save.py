"""The report of a run in its folder."""

import os

from lightning_critperiod.report.files import Record, as_json, write
from lightning_critperiod.report.markdown import markdown


def save(record: Record, folder: str | os.PathLike[str]) -> None:
    """Write ``report.json`` and ``report.md`` into a run's folder, all of them or none.

    Args:
        record: Of a run.
        folder: Is made if it is not there.
    """
    write({"report.json": as_json(record), "report.md": markdown(record)}, folder)
