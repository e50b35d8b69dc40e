"""What a run logged, epoch by epoch, wherever it was logged to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_critperiod.inspection.entries import Entry, without_evaluations
from lightning_critperiod.inspection.names import VOLUME, is_clock, is_rate, is_signal, is_test, is_validation, own_name
from lightning_critperiod.inspection.placing import place, place_by_steps
from lightning_critperiod.recipe import Volume

STEP, TIME = "step", "wall_time"
_LOST = "values that were logged without an epoch, and whose steps do not tell it, are left out"


@dataclass
class Logs:
    """Values by name and 0-based epoch; of several in one epoch the last one.

    Args:
        values: Name -> epoch -> value, in the order of the epochs; the last training step and the last moment in
            seconds of an epoch are called ``step`` and ``wall_time``.
        rates: Name of a learning rate -> its values in the order in which they were logged.
        notes: What a reader must know about them.
    """

    values: dict[str, dict[int, float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_entries(self, source: Path, entries: Sequence[Entry], missing: str) -> None:
        """Add a log's entries, in the order in which they were logged.

        Args:
            source: The source of them.
            entries: With or without epochs.
            missing: What to say where none has an epoch.

        Raises:
            ValueError: Nothing tells the epochs.
        """
        for entry in entries:
            for name in filter(is_rate, entry.values):
                self.rates.setdefault(name, []).append(entry.values[name])
        trained = [_without_tests(entry) for entry in entries]
        if not any(entry.values for entry in trained):
            return
        if any(entry.epoch is not None for entry in trained):
            placed, lost = place(trained)
            note = f"{_LOST}: {', '.join(sorted(lost))}." if lost else ""
        else:
            placed, note = place_by_steps(trained)
        if not placed:
            raise ValueError(f"{source} is not the log of a run: {missing}, and no validation metric at even steps")
        self.notes += [f"{source}: {note}"] if note else []
        self.add(source, (row for entry in without_evaluations(placed) for row in _rows(entry)))

    def add(self, source: Path, rows: Iterable[tuple[str, int, float]]) -> None:
        """Add a log's name, epoch and value, in the order in which they were logged.

        Where the epochs of a name go back, the run was resumed or another one follows in the same file: what had been
        logged from there on was given up, and is dropped.
        """
        again: set[int] = set()
        for name, epoch, value in rows:
            series = self.values.setdefault(name, {})
            # Ascending by now, so that every value is looked at, and dropped, once.
            while series and (last := next(reversed(series))) >= epoch:
                series.popitem()
                if last > epoch:
                    again |= {epoch, last}
            series[epoch] = value
        if again:
            self.notes.append(
                f"{source} goes back to epoch {min(again)}: the run was resumed, or two runs are in one place; the "
                "later values count."
            )

    def drop_evaluation(self, end: int) -> bool:
        """Drop what was logged from epoch ``end`` on, if it is of one epoch and of validation data alone.

        Returns:
            Whether nothing is left of those epochs.
        """
        late = {name: series for name, series in self.values.items() if series and next(reversed(series)) >= end}
        if self.epochs == end + 1 and all(is_validation(n) or not is_signal(n) for n in late):
            for series in late.values():
                while series and next(reversed(series)) >= end:
                    series.popitem()
        return self.epochs <= end

    @property
    def epochs(self) -> int:
        """Epochs that were begun: the last one logged + 1."""
        return 1 + max((next(reversed(series)) for series in self._trained if series), default=-1)

    @property
    def logged(self) -> set[int]:
        """The epochs of which anything was logged."""
        return {epoch for series in self._trained for epoch in series}

    @property
    def _trained(self) -> list[dict[int, float]]:
        return [
            series for name, series in self.values.items() if not (is_clock(name) or is_rate(name) or is_test(name))
        ]

    @staticmethod
    def _own(values: Mapping[str, dict[int, float]]) -> dict[str, dict[int, float]]:
        """What CriticalPeriodCallback logged, by its own names."""
        return {own: series for name, series in values.items() if (own := own_name(name)) is not None}

    @property
    def signals(self) -> dict[str, dict[int, float]]:
        """What a rule can read: name without our prefix -> epoch -> value."""
        found = {name: series for name, series in self.values.items() if is_signal(name)}
        return self._own(found) | {name: series for name, series in found.items() if own_name(name) is None}

    @property
    def volumes(self) -> dict[int, Volume]:
        """What CriticalPeriodCallback logged of the epochs' volumes, empty without."""
        own = self._own(self.values)
        multipliers, ratios = (own.get(name, {}) for name in VOLUME)
        return {epoch: Volume(multipliers[epoch], ratios[epoch]) for epoch in sorted({*multipliers} & {*ratios})}


def _without_tests(entry: Entry) -> Entry:
    return replace(entry, values={name: value for name, value in entry.values.items() if not is_test(name)})


def _rows(entry: Entry) -> Iterator[tuple[str, int, float]]:
    epoch = entry.epoch
    if epoch is None:
        return
    yield from ((name, epoch, value) for name, value in entry.values.items())
    if entry.time is not None:
        yield TIME, epoch, entry.time
