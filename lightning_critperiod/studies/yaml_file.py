"""A YAML file of the user's: read, or refused in one line."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]


def read_yaml(file: Path, what: str) -> dict[str, Any]:
    """What a file says.

    Args:
        file: To read.
        what: What it must hold, in words.

    Returns:
        The mapping in it; empty for an empty file.

    Raises:
        ValueError: It is no YAML, or holds something else than a mapping.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (UnicodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{file} must hold {what} in YAML, but it can't be read: {problem}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file} must hold {what}, got {found!r}")
    return found
