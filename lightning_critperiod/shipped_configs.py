"""The configs that come with the package: ``digits``, ``small/digits``, ``paper/resnet20`` and others."""

from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parent
# In the wheel they are inside the package, in a checkout beside it.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def folder() -> Path:
    """Where the shipped configs are."""
    return next((found for found in _FOLDERS if (found / "digits.yaml").is_file()), _FOLDERS[0])


def names() -> list[str]:
    """The names of the shipped configs."""
    return sorted(file.relative_to(folder()).with_suffix("").as_posix() for file in folder().rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The file of a config.

    Args:
        name: A file, or the name of a shipped config, without a suffix.

    Returns:
        The file.

    Raises:
        FileNotFoundError: There is neither.
    """
    file, shipped = Path(name), folder() / f"{name}.yaml"
    if file.is_file() or file.suffix or name not in names():
        if not file.is_file():
            raise FileNotFoundError(f"config {name!r} is no file, and no shipped config either: {', '.join(names())}")
        return file
    return shipped


def with_files(arguments: Sequence[str]) -> list[str]:
    """A command line in which the names of shipped configs are their files.

    Args:
        arguments: Those of a command of LightningCLI; ``--config NAME``, ``--config=NAME``, ``-c NAME`` are looked at.

    Returns:
        The arguments; what is a config itself, as text, stays as it is.
    """
    found: list[str] = []
    for word in arguments:
        option, _, name = word.partition("=")
        if found and found[-1] in {"-c", "--config"}:
            found.append(_file(word))
        else:
            found.append(f"{option}={_file(name)}" if name and option in {"-c", "--config"} else word)
    return found


def _file(name: str) -> str:
    is_text = any(mark in name for mark in "{:\n")
    return name if is_text else str(find_config(name))
