"""After the first batch nothing of ours may end a training."""

from collections.abc import Generator
from contextlib import contextmanager

from lightning_utilities.core.rank_zero import rank_zero_warn


class Safely:
    """Turns an unexpected failure into one warning per task.

    Args:
        who: Name of the callback that the user knows.

    Attributes:
        failed: Task -> what went wrong first.
    """

    def __init__(self, who: str = "CriticalPeriodCallback") -> None:
        self._who = who
        self.failed: dict[str, str] = {}

    @contextmanager
    def __call__(self, task: str) -> Generator[None]:
        """Let an Exception inside go no further; ``KeyboardInterrupt`` and the like do.

        Args:
            task: What is attempted, in words that follow "failed while".

        Yields:
            Nothing.
        """
        try:
            yield
        except Exception as error:
            self.note(task, f"{type(error).__name__}: {error}")

    def note(self, task: str, problem: str) -> None:
        """Say a problem, the first one of each task only."""
        if task not in self.failed:
            self.failed[task] = problem
            rank_zero_warn(f"{self._who} failed while {task} ({problem}). Training goes on and is not affected.")
