"""The metrics.csv of Lightning's CSVLogger, or any CSV file with a column ``epoch``."""

import csv
from collections.abc import Generator
from pathlib import Path

from lightning_critperiod.inspection.logs import Logs


def read_csv(file: Path, logs: Logs) -> None:
    """Add what the file logged.

    Rows without an epoch (LearningRateMonitor writes such) and cells that are no number are left out; so is a last line
    without an end, as it may be half a line.

    Args:
        file: To read.
        logs: To add to.

    Raises:
        ValueError: It has no column ``epoch``, or is no CSV file.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        if len(lines) > 1 and not lines[-1].endswith("\n"):
            lines.pop()
            logs.notes.append(f"{file} ends in the middle of a line, which is left out.")
        reader = csv.DictReader(lines)
        if "epoch" not in (reader.fieldnames or ()):
            raise ValueError("it has no column 'epoch'")
        logs.add(file, _rows(reader))
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{file} is not the log of a run: {error}") from error


def _rows(reader: "csv.DictReader[str]") -> Generator[tuple[str, int, float]]:
    for row in reader:
        epoch = _number(row["epoch"])
        if epoch is None or epoch < 0 or epoch != epoch // 1:
            continue
        for name, cell in row.items():
            value = _number(cell)
            if value is not None and name not in {"epoch", None}:
                yield name, int(epoch), value


def _number(cell: object) -> float | None:
    try:
        return float(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
