"""The metrics.csv of Lightning's CSVLogger, or any CSV file with a column of epochs or steps."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_critperiod.inspection import names
from lightning_critperiod.inspection.entries import Entry
from lightning_critperiod.inspection.logs import Logs

MISSING = "it has no column 'epoch'"
_BOUNDS = ("__MIN", "__MAX")
"""What Weights & Biases adds to the name of a value in the columns of its range."""
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


def read_csv(file: Path, logs: Logs) -> None:
    """Add what the file logged.

    Commas, semicolons, tabs or bars may part the columns, and a comma may be the decimal point. Names may have a
    logger's prefix. Cells that are no number are left out; so is a last line without an end, as it may be half a line,
    and rows between two epochs, as of a trainer that counts them in parts.

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
        header, *rows = [*_cells(whole, delimiter)] or [[]]
        columns, decimal = _columns(header), _decimal(rows, delimiter)
        logs.notes += [f"{file} has more than one column {name!r}; the last one is read." for name in _twice(columns)]
        entries = list(_entries(rows, columns, decimal))
        between = sum(_is_between_epochs(row, columns, decimal) for row in rows)
        if between:
            logs.notes.append(f"{file}: {between} of {len(rows)} rows lie between two epochs, and are left out.")
        if _counts_from_one(entries):
            entries = [replace(entry, epoch=None if entry.epoch is None else entry.epoch - 1) for entry in entries]
            logs.notes.append(f"{file} counts epochs from 1; here they are counted from 0.")
    except (csv.Error, UnicodeError) as error:
        raise ValueError(f"{file} is not the log of a run: {error}") from error
    logs.add_entries(file, entries, MISSING)


def _text(file: Path) -> str:
    data = file.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # of a spreadsheet


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


def _twice(columns: _Columns) -> list[str]:
    return [name for name, times in Counter(columns.values.values()).items() if name and times > 1]


def _run_name(columns: Sequence[str]) -> str:
    """What Weights & Biases puts before every name in the export of one run's chart."""
    runs = {name.rpartition(" - ")[0] for name in columns if not names.is_clock(name)}
    return f"{runs.pop()} - " if len(runs) == 1 and "" not in runs else ""


def _is_bound(name: str, columns: Sequence[str]) -> bool:
    return name.endswith(_BOUNDS) and name.rpartition("__")[0] in columns


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """What begins the decimals; a comma inside quotes may part groups of thousands, too."""
    commas = [cell for row in rows for cell in row if "," in cell and _number(cell.replace(",", ".")) is not None]
    return "," if delimiter != "," or not all(_THOUSANDS.fullmatch(cell) for cell in commas) else "."


def _cell(row: Sequence[str], column: int | None, decimal: str) -> float | None:
    cell = "" if column is None or column >= len(row) else row[column]
    return _number(cell.replace(decimal, ".")) if cell else None


def _is_between_epochs(row: Sequence[str], columns: _Columns, decimal: str) -> bool:
    epoch = _cell(row, columns.epoch, decimal)
    return epoch is not None and epoch % 1 > 0


def _entries(rows: Sequence[list[str]], columns: _Columns, decimal: str) -> Iterator[Entry]:
    if columns.epoch is None and columns.step is None:
        raise csv.Error(MISSING)

    for row in rows:
        epoch = _count(_cell(row, columns.epoch, decimal))
        if epoch is None and columns.epoch is not None and "".join(row[columns.epoch : columns.epoch + 1]).strip():
            continue  # an epoch that is no epoch: it is not known what the row is
        values = {name: value for i, name in columns.values.items() if (value := _cell(row, i, decimal)) is not None}
        yield Entry(values, epoch, _count(_cell(row, columns.step, decimal)), _cell(row, columns.time, decimal))


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
