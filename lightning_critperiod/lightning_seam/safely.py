"""After the first batch nothing of ours may end a training."""

from types import TracebackType

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

    def __call__(self, task: str) -> "_Attempt":
        """Let an Exception inside go no further; ``KeyboardInterrupt`` and the like do.

        Args:
            task: What is attempted, in words that follow "failed while".

        Returns:
            What to enter.
        """
        return _Attempt(self, task)

    def note(self, task: str, problem: str) -> None:
        """Say a problem, the first one of each task only."""
        if task not in self.failed:
            self.failed[task] = problem
            rank_zero_warn(f"{self._who} failed while {task} ({problem}). Training goes on and is not affected.")


class _Attempt:
    """Entered several times in a step: a generator takes several times as long."""

    __slots__ = ("_safely", "_task")

    def __init__(self, safely: Safely, task: str) -> None:
        self._safely, self._task = safely, task

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._safely.note(self._task, f"{type(error).__name__}: {error}")
        return True
