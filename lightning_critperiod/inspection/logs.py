"""What a run logged, epoch by epoch, wherever it was logged to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lightning_critperiod.recipe import Volume

OURS = "critical_period/"
VOLUME = ("augmentation_multiplier", "pruning_ratio")
# Names that are no signal: clocks, our own settings, learning rates, and what was measured on test data.
_NOT_A_SIGNAL = re.compile(rf"epoch|step|hp_metric|lr-.*|test.*|{OURS}({'|'.join(VOLUME)}|over)")


@dataclass
class Logs:
    """Values by name and 0-based epoch; of several in one epoch the last one.

    Args:
        values: Name -> epoch -> value.
        notes: What a reader must know about them.
    """

    values: dict[str, dict[int, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, source: Path, rows: Iterable[tuple[str, int, float]]) -> None:
        """Add a log's name, epoch and value, in the order in which they were logged.

        Where the epochs of a name go back, the run was resumed or another one follows in the same file: what had been
        logged from there on was given up, and is dropped.
        """
        again: set[int] = set()
        for name, epoch, value in rows:
            series = self.values.setdefault(name, {})
            stale = [e for e in series if e > epoch]
            for e in stale:
                del series[e]
            again |= {epoch, *stale} if stale else set()
            series.pop(epoch, None)
            series[epoch] = value
        if again:
            self.notes.append(
                f"{source} goes back to epoch {min(again)}: the run was resumed, or there are two in one place; the "
                "later values count."
            )

    @property
    def epochs(self) -> int:
        """Epochs that were begun: the last one logged + 1. A test after training is logged as one epoch more."""
        trained = [series for name, series in self.values.items() if not re.fullmatch("epoch|step|test.*", name)]
        return 1 + max((epoch for series in trained for epoch in series), default=-1)

    @property
    def signals(self) -> dict[str, dict[int, float]]:
        """What a rule can read: name without our prefix -> epoch -> value."""
        found = {name: series for name, series in self.values.items() if not _NOT_A_SIGNAL.fullmatch(name)}
        ours = {name.removeprefix(OURS): series for name, series in found.items()}
        return ours | {name: series for name, series in found.items() if not name.startswith(OURS)}

    @property
    def volumes(self) -> dict[int, Volume]:
        """What CriticalPeriodCallback logged of the epochs' volumes, empty without."""
        multipliers, ratios = (self.values.get(OURS + name, {}) for name in VOLUME)
        return {epoch: Volume(multipliers[epoch], ratios[epoch]) for epoch in sorted({*multipliers} & {*ratios})}
