"""Code of the project that was edited after the runs that are kept: a study would mix runs of two versions of it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


def edited_since(runs: Iterable[Path]) -> list[str]:
    """The imported modules below the working directory that are newer than the oldest of these files.

    Args:
        runs: The files of finished runs.

    Returns:
        Their paths from the working directory; none if there are no runs. Ours and installed ones are left out.
    """
    oldest, here = min((run.stat().st_mtime for run in runs), default=float("inf")), Path.cwd()
    newer = (file.relative_to(here) for file in _of_project(here) if file.stat().st_mtime > oldest)
    return sorted(file.as_posix() for file in newer)


def _of_project(here: Path) -> set[Path]:
    ours = __name__.partition(".")[0]
    others = (module for name, module in list(sys.modules.items()) if name.partition(".")[0] != ours)
    # Not by getattr, which makes a module that is loaded when it is first used load.
    files = {
        Path(file) for module in others if isinstance(module, ModuleType) and (file := vars(module).get("__file__"))
    }
    return {
        file for file in files if file.is_relative_to(here) and "site-packages" not in file.parts and file.is_file()
    }
