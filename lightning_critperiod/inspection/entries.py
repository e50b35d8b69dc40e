"""What a log holds: entry by entry, in the order in which they were logged."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_critperiod.inspection.names import is_clock, is_rate, is_validation


@dataclass(frozen=True)
class Entry:
    """Values that were logged together.

    Args:
        values: Name -> value.
        epoch: 0-based epoch that was logged beside them; None if there was none.
        step: The step logged beside them, if any: of training as a rule, but it may be any number.
        time: When they were logged, in seconds since any moment; None if the log does not say.
    """

    values: dict[str, float]
    epoch: int | None = None
    step: int | None = None
    time: float | None = None


def without_evaluations(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Leave out what ``trainer.validate`` and ``trainer.test`` logged after training.

    Lightning logs it as one epoch more, or, from a new Trainer, as epoch 0 at step 0.

    Args:
        entries: The entries that have an epoch, without those of test data.

    Returns:
        The entries up to the end of training.
    """
    while (start := _last_block(entries)) and _is_evaluation(entries[:start], entries[start:]):
        entries = entries[:start]
    return entries


def _last_block(entries: Sequence[Entry]) -> int:
    """Where the entries of the last epoch begin."""
    start = len(entries)
    while start and entries[start - 1].epoch == entries[-1].epoch:
        start -= 1
    return start


def _is_evaluation(before: Sequence[Entry], last: Sequence[Entry]) -> bool:
    """Whether nothing was trained between ``before`` and ``last``, the entries of one epoch."""
    previous = before[_last_block(before) :]
    trained, reached = _last_step(previous), _last_step(last)
    if previous[0].epoch > last[0].epoch:  # type: ignore[operator]  # every entry has an epoch here
        return last[0].epoch == 0 == reached and any(e.epoch == 0 and (e.step or 0) > 0 for e in before)
    begun = _last_step(before[: _last_block(before)])
    # With one step an epoch an evaluation is as far from the last epoch as another epoch would be.
    if trained is None or reached is None or trained - (-1 if begun is None else begun) <= 1:
        return _looks_like_evaluation(before, previous, last)
    return reached <= trained + 1


def _looks_like_evaluation(before: Sequence[Entry], previous: Sequence[Entry], last: Sequence[Entry]) -> bool:
    """By the names alone: what training logs is missing, and all that is there is new or of validation data."""
    known, usual, found = _names(before), _names(previous), _names(last)
    missing = any(not is_validation(name) for name in usual - found)
    return missing and all(is_validation(name) or name not in known for name in found)


def _names(entries: Sequence[Entry]) -> set[str]:
    return {name for entry in entries for name in entry.values if not (is_clock(name) or is_rate(name))}


def _last_step(entries: Sequence[Entry]) -> int | None:
    return max((entry.step for entry in entries if entry.step is not None), default=None)
