"""A run's record in its folder: written whole or not at all, read with one clear line for whatever is wrong."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_critperiod.record.record import Record


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


def as_json(found: object) -> str:
    """Plain values as text. Not-a-number is not JSON: it is refused, None stands for no value."""
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def load(path: str | os.PathLike[str]) -> Record:
    """Read the record of a run, of this version or an older one.

    Args:
        path: A run folder, or its ``report.json``.

    Returns:
        The record as it was saved.

    Raises:
        ValueError: It is damaged, or of a newer version.
    """
    file, found = read(path)
    try:
        return Record.from_json(found)
    except ValueError as error:
        raise ValueError(f"{file} {error}") from error


def read(path: str | os.PathLike[str]) -> tuple[Path, Any]:
    """The file of a record, and what JSON has in it.

    Args:
        path: A run folder, or its ``report.json``.

    Returns:
        The path of the file, and its content.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is not JSON.
    """
    file = Path(path)
    file = file / "report.json" if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: expected the report of a run, or the folder it is in")
    try:
        return file, json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: expected JSON, got {error}") from None
