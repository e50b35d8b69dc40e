"""A run's record in its folder: written whole or not at all, read with one clear line for whatever is wrong."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the record. A change that an older reader would misread gets the next number."""

Record = dict[str, Any]
"""What a run left: plain Python values as JSON has them. ``recorder.record`` says what is in it."""

KEYS = ("format", "status", "run", "decision", "epochs", "measured", "projected", "metrics", "versions", "hardware")


def write(texts: Mapping[str, str], folder: str | os.PathLike[str]) -> None:
    """Write files, name -> text: first all of them beside their places, then each into its place.

    Args:
        texts: Name in the folder -> content.
        folder: Is made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pending: dict[str, str] = {}
    try:
        for name, text in texts.items():
            handle, pending[name] = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            os.chmod(pending[name], 0o644)
        for name in texts:
            os.replace(pending.pop(name), folder / name)
    finally:
        for path in pending.values():
            os.unlink(path)


def as_json(record: Record) -> str:
    """The record as text. Not-a-number is not JSON: it is refused, None stands for no value."""
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def load(path: str | os.PathLike[str]) -> Record:
    """Read the record of a run.

    Args:
        path: A run folder, or its ``report.json``.

    Returns:
        The record as it was saved.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or of another version.
    """
    file = Path(path)
    file = file / "report.json" if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: expected the report of a run, or the folder it is in")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: expected JSON, got {error}") from None
    _check(file, record)
    return dict(record)


def _check(file: Path, record: object) -> None:
    if not isinstance(record, dict) or "format" not in record:
        raise ValueError(f"{file} is not the report of a run: it has no 'format'")
    if record["format"] != FORMAT:
        raise ValueError(f"{file} has format {record['format']!r}, this version reads {FORMAT}: make the report again")
    missing = [key for key in KEYS if key not in record]
    if missing:
        raise ValueError(f"{file} is damaged: it has no {', '.join(repr(key) for key in missing)}")
