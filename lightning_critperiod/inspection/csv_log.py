"""The metrics.csv of Lightning's CSVLogger, or any CSV file with a column of epochs or steps."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_critperiod.inspection import names
from lightning_critperiod.inspection.entries import Entry
from lightning_critperiod.inspection.logs import Logs

MISSING = "it has no column 'epoch'"
_BOUNDS = ("__MIN", "__MAX")
"""What Weights & Biases adds to the name of a value in the columns of its range."""


def read_csv(file: Path, logs: Logs) -> None:
    """Add what the file logged.

    Commas, semicolons, tabs or bars may part the columns; with others than commas a comma is a decimal point. Names may
    have a logger's prefix. Cells that are no number are left out; so is a last line without an end, as it may be half a
    line.

    Args:
        file: To read.
        logs: To add to.

    Raises:
        ValueError: It is no CSV file, or nothing in it tells the epochs.
    """
    try:
        text = _text(file)
        whole = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
        if whole != text:
            logs.notes.append(f"{file} ends in the middle of a line, which is left out.")
        delimiter = max(",;\t|", key=lambda mark: len(next(_cells(whole, mark), [])))
        entries = list(_entries(_cells(whole, delimiter), decimal="." if delimiter == "," else ","))
        if _counts_from_one(entries):
            entries = [replace(entry, epoch=None if entry.epoch is None else entry.epoch - 1) for entry in entries]
            logs.notes.append(f"{file} counts epochs from 1; here they are counted from 0.")
    except (csv.Error, UnicodeError) as error:
        raise ValueError(f"{file} is not the log of a run: {error}") from error
    logs.add_entries(file, entries, MISSING)


def _text(file: Path) -> str:
    data = file.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig")


def _cells(text: str, delimiter: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(io.StringIO(text, newline=None), delimiter=delimiter) if any(row))


@dataclass(frozen=True)
class _Columns:
    """Where in a row the clocks are, None without, and the names of the values."""

    epoch: int | None
    step: int | None
    time: int | None
    values: dict[int, str]


def _columns(header: list[str]) -> _Columns:
    found = [cell.strip() for cell in header]
    clocks = [find(found) for find in (names.epoch_column, names.step_column, names.time_column)]
    prefix = names.prefix_of(clocks[0]) or _run_name(found)
    values = {i: n.removeprefix(prefix) for i, n in enumerate(found) if n != clocks[0] and not _is_bound(n, found)}
    epoch, step, time = (None if name is None else found.index(name) for name in clocks)
    return _Columns(epoch, step, time, values)


def _run_name(columns: Sequence[str]) -> str:
    """What Weights & Biases puts before every name in the export of one run's chart."""
    runs = {name.rpartition(" - ")[0] for name in columns if not names.is_clock(name)}
    return f"{runs.pop()} - " if len(runs) == 1 and "" not in runs else ""


def _is_bound(name: str, columns: Sequence[str]) -> bool:
    return name.endswith(_BOUNDS) and name.rpartition("__")[0] in columns


def _entries(rows: Iterator[list[str]], decimal: str) -> Iterator[Entry]:
    columns = _columns(next(rows, []))
    if columns.epoch is None and columns.step is None:
        raise csv.Error(MISSING)

    def number(row: list[str], column: int | None) -> float | None:
        cell = "" if column is None or column >= len(row) else row[column]
        return _number(cell.replace(decimal, ".")) if cell else None

    for row in rows:
        epoch = _count(number(row, columns.epoch))
        if epoch is None and columns.epoch is not None and "".join(row[columns.epoch : columns.epoch + 1]).strip():
            continue  # an epoch that is no epoch: it is not known what the row is
        values = {name: value for i, name in columns.values.items() if (value := number(row, i)) is not None}
        yield Entry(values, epoch, _count(number(row, columns.step)), number(row, columns.time))


def _counts_from_one(entries: Sequence[Entry]) -> bool:
    """Whether the first epoch is 1: what Lightning writes has steps, and its first epoch is 0."""
    epochs = {entry.epoch for entry in entries if entry.epoch is not None}
    return {1, 2} <= epochs and 0 not in epochs and all(entry.step is None for entry in entries)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _count(number: float | None) -> int | None:
    return int(number) if number is not None and number >= 0 and number.is_integer() else None
