"""What the rules that read a signal share: the measured part of a history, and the epochs before any verdict.

Two clocks. A value that is not finite, or so large that its square is not, counts as not measured: it is left out of
every window, fit and quartile, as if its epoch were missing. The time of a verdict (min_epochs, cadences,
``AtEpoch``) is that of training: the largest epoch in the history, measured or not.
"""

import math

from lightning_critperiod.recipe import require_int
from lightning_critperiod.rules.base import History

# What a run without a last epoch counts as where the length matters: no verdict in its first ten epochs.
_OPEN_ENDED_LENGTH = 100
_LARGEST = 1e100


def last_epoch(history: History) -> int:
    """The largest epoch in the history, measured or not; -1 before the first."""
    return max(history, default=-1)


def is_measured(value: float) -> bool:
    """Whether a value counts as measured."""
    return abs(value) < _LARGEST


def measured(history: History) -> list[tuple[int, float]]:
    """The values that count, with their epochs, in the order of the epochs."""
    return [(epoch, float(history[epoch])) for epoch in sorted(history) if is_measured(history[epoch])]


def may_judge(history: History, max_epochs: int | None, min_epochs: int | None) -> bool:
    """Whether enough epochs are over: ``min_epochs``, None for a tenth of the run; never in a run of one."""
    length = _OPEN_ENDED_LENGTH if max_epochs is None else max_epochs
    least = math.ceil(length / 10) if min_epochs is None else min_epochs
    return length > 1 and last_epoch(history) + 1 >= least


def require_min_epochs(value: object) -> None:
    """Refuse a ``min_epochs`` that is neither None (a tenth of the run) nor an int from 0 up."""
    if value is not None:
        require_int("min_epochs", value, low=0)


def require_mode(mode: object) -> None:
    """Refuse a ``mode`` that is neither "min" nor "max".

    Args:
        mode: What the user gave.

    Raises:
        ValueError: ``mode`` is something else.
    """
    if mode not in ("min", "max"):
        raise ValueError(f'mode must be "min" (lower is better) or "max" (higher is better), got {mode!r}')
