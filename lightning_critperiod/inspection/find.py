"""Where below a folder the logs and the checkpoints of runs are."""

import re
from pathlib import Path

TABLE = "metrics.csv"
EVENTS = "events.out.tfevents.*"


def event_files(folder: Path) -> list[Path]:
    """The event files of a run, in the order in which they were begun: their names say when, and count."""
    return sorted(folder.glob(EVENTS), key=_by_number)


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder."""
    return sorted({*folder.glob("*.ckpt"), *folder.glob("checkpoints/*.ckpt")})


def has_log(folder: Path) -> bool:
    """Whether there is a log in the folder itself."""
    return (folder / TABLE).is_file() or bool(event_files(folder))


def logs_below(folder: Path) -> list[Path]:
    """The folders with a log at any depth, the newest last: ``version_10`` comes after ``version_9``."""
    found = {file.parent for pattern in (TABLE, EVENTS) for file in folder.rglob(pattern) if file.is_file()}
    return sorted(found, key=_by_number)


def _by_number(path: Path) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]
