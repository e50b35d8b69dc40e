"""Which epoch an entry belongs to that was logged without one: by where it stands in the log, and by its step."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lightning_critperiod.inspection.entries import Entry
from lightning_critperiod.inspection.names import is_signal, is_validation

_CLOSER = 3.0
"""Times that an entry must be nearer to one neighbour than to the other before the clock on the wall decides."""


_UNEVEN = 0.01
"""Part of an epoch by which its number of steps may differ from another's."""


class Around(NamedTuple):
    """An entry without an epoch, and the nearest ones with an epoch before and after it."""

    entry: Entry
    before: Entry | None
    after: Entry | None

    @property
    def low(self) -> int:
        """The first epoch that it can be of."""
        return 0 if self.before is None or self.before.epoch is None else self.before.epoch

    @property
    def high(self) -> int:
        """The last epoch that it can be of; behind the last entry with an epoch one more may have begun."""
        return self.low + 1 if self.after is None or self.after.epoch is None else self.after.epoch

    @property
    def steps(self) -> tuple[int | None, int | None, int | None]:
        """Its own step, and those before and after it."""
        before, after = (None if entry is None else entry.step for entry in (self.before, self.after))
        return self.entry.step, before, after

    @property
    def may_be_of_step(self) -> bool:
        """Whether its step is one of training, by those around it."""
        step, before, after = self.steps
        return step is not None and (before is None or before <= step) and (after is None or step <= after + 1)

    def may_be_of(self, epoch: int) -> bool:
        """Whether it can be of an epoch. Where a run was resumed, the epochs go back."""
        return min(self.low, self.high) <= epoch <= max(self.low, self.high)


def place(entries: Sequence[Entry]) -> tuple[list[Entry], set[str]]:
    """Give every value its epoch, or leave it out.

    An epoch that was logged beside a value is its epoch. A series that was logged without one is either logged by
    epoch, if all its steps fit as epoch numbers between the epochs logged around them, or each of its values is of the
    epoch that was logged before and after it. Where these differ, its step or its time must show to which it belongs.

    Args:
        entries: In the order in which they were logged; at least one has an epoch.

    Returns:
        Entries that all have an epoch, and the names of which values were left out.
    """
    loose = _around(entries)
    series: dict[str, list[int]] = {}
    for index, around in loose.items():
        for name in around.entry.values:
            series.setdefault(name, []).append(index)
    found: dict[int, list[Entry]] = {}
    lost = set()
    for name, indices in series.items():
        for index, epoch in zip(indices, _epochs([loose[i] for i in indices]), strict=True):
            entry = entries[index]
            if epoch is None:
                lost.add(name)
            else:
                found.setdefault(index, []).append(Entry({name: entry.values[name]}, epoch, None, entry.time))
    placed = [e for i, entry in enumerate(entries) for e in ([entry] if i not in loose else found.get(i, []))]
    return placed, {name for name in lost if is_signal(name)}


def _around(entries: Sequence[Entry]) -> dict[int, Around]:
    afters: list[Entry | None] = []
    after = None
    for entry in reversed(entries):
        after = after if entry.epoch is None else entry
        afters.append(after)
    found, before = {}, None
    for index, entry in enumerate(entries):
        if entry.epoch is None:
            found[index] = Around(entry, before, afters[-1 - index])
        else:
            before = entry
    return found


def _epochs(series: Sequence[Around]) -> list[int | None]:
    """The epoch of each value of a series; None where it cannot be told."""
    for first in (1, 0):  # a counter that begins with 1 would often pass for one that begins with 0, not vice versa
        numbers = [None if a.entry.step is None else a.entry.step - first for a in series]
        if all(n is not None and a.may_be_of(n) for n, a in zip(numbers, series, strict=True)):
            return list(numbers)
    of_training = all(around.may_be_of_step for around in series)
    return [_epoch(around, of_training) for around in series]


def _epoch(around: Around, of_training: bool) -> int | None:
    if around.low == around.high:
        return around.low
    side = (_by_step(around) if of_training else None) or _by_time(around)
    return {"before": around.low, "after": around.high}.get(side or "")


def _by_step(around: Around) -> str | None:
    """Lightning logs the number of the last batch, ``trainer.global_step`` is one more at the same moment."""
    step, before, after = around.steps
    if step is None or before is None:
        return None
    if before <= step <= before + 1 and (after is None or step < after):
        return "before"
    return "after" if after is not None and step == after + 1 else None


def _by_time(around: Around) -> str | None:
    time, before, after = (None if e is None else e.time for e in around)
    if time is None or before is None or after is None:
        return None
    since, until = time - before, after - time
    if since * _CLOSER < until:
        return "before"
    return "after" if until * _CLOSER < since else None


def place_by_steps(entries: Sequence[Entry]) -> tuple[list[Entry], str]:
    """Make epochs of a log that has none: one ends where a validation metric was logged, if that was at even steps.

    Args:
        entries: Without epochs.

    Returns:
        Entries that all have an epoch, and a note on what was assumed; no entries if no value was logged evenly.
    """
    name, steps = _evenly_logged(entries)
    if not steps:
        return [], ""
    distance = max(after - before for before, after in pairwise(steps))
    first = max(0, round((steps[0] + 1) / distance) - 1)
    placed = [
        Entry(entry.values, first + bisect_left(steps, entry.step), entry.step, entry.time)
        for entry in entries
        if entry.step is not None
    ]
    if distance == 1:
        return placed, f"no epochs are logged: the steps, one for each value of {name}, are taken as epochs."
    return placed, f"no epochs are logged: the {distance} steps from one value of {name} to the next are taken as one."


def _evenly_logged(entries: Sequence[Entry]) -> tuple[str, list[int]]:
    """Name and steps of a validation metric, or of the only value there is, with a value every so many steps."""
    steps: dict[str, list[int]] = {}
    for entry in entries:
        for name in entry.values if entry.step is not None else ():
            if is_signal(name):
                steps.setdefault(name, []).append(entry.step)  # type: ignore[arg-type]  # it is not None here
    for name, found in steps.items():
        distances = [after - before for before, after in pairwise(found)]
        even = len(distances) > 1 and min(distances) > 0 and max(distances) - min(distances) <= _UNEVEN * max(distances)
        if even and (is_validation(name) or len(steps) == 1):
            return name, found
    return "", []
