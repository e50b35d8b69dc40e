"""Records as JSON has them, with their ``comparison``, until the studies read the typed record."""

from pathlib import Path
from typing import Any

from lightning_critperiod import record

Record = dict[str, Any]


def load(path: Path) -> Record:
    """The record of a run of a study.

    Args:
        path: Its file.

    Returns:
        What JSON has of it, in the present format.

    Raises:
        ValueError: It is damaged, or of a newer version.
    """
    file, found = record.read(path)
    try:
        known = record.Record.from_json(found).to_json()
    except ValueError as error:
        raise ValueError(f"{file} {error}") from error
    return {**known, "comparison": found.get("comparison", {})}
