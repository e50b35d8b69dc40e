"""The record of a run: everything that its report says, and nothing that is drawn."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lightning_critperiod.record.decision import Decision
from lightning_critperiod.record.measured import Measured, Projected
from lightning_critperiod.record.plain import decode, encode
from lightning_critperiod.record.run import Epoch, Metrics, Run, Setting

FORMAT = 2
"""Version of the record as JSON. A change that an older reader would misread gets the next number."""

Status = Literal["running", "completed", "interrupted"]


@dataclass(frozen=True)
class Record:
    """What a run left.

    Args:
        run: What was trained.
        status: Whether training came to its end.
        error: What interrupted it.
        decision: That of the callback that drives the run, else of the first that observes; None without one.
        observers: Decisions of the other callbacks.
        epochs: The epochs of the run, in order.
        measured: What the run cost; None without CostMonitor.
        projected: What the full recipe would have cost; None if it is not known.
        observed: What the recipe would have cost in a run that was only observed, from its decision on.
        metrics: The last values of what was logged.
        hardware: What it ran on, by name.
        versions: Versions of the software, by package.
        config: The run's configuration as text.
    """

    run: Run
    status: Status = "completed"
    error: str | None = None
    decision: Decision | None = None
    observers: tuple[Decision, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    measured: Measured | None = None
    projected: Projected | None = None
    observed: Projected | None = None
    metrics: Metrics = field(default_factory=Metrics)
    hardware: dict[str, Setting] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    config: str | None = None

    def tested(self, metrics: dict[str, float | None]) -> "Record":
        """The same with the metrics of a test."""
        return replace(self, metrics=replace(self.metrics, test=dict(metrics)))

    @property
    def history(self) -> dict[int, float]:
        """0-based epoch -> value of the signal; epochs without a value are missing."""
        return {epoch.epoch: epoch.signal for epoch in self.epochs if epoch.signal is not None}

    def to_json(self) -> dict[str, Any]:
        """Plain values as JSON has them, with the number of the format."""
        return {"format": FORMAT, **encode(self)}

    @classmethod
    def from_json(cls, found: object) -> "Record":
        """The record that ``to_json`` was called on, by this version or an older one.

        Args:
            found: What JSON has.

        Returns:
            The record; what an older version did not know has its default.

        Raises:
            ValueError: It is no record, of a newer version, or damaged.
        """
        if not isinstance(found, dict) or "format" not in found:
            raise ValueError("is not the report of a run: it has no 'format'")
        if found["format"] not in range(1, FORMAT + 1):
            raise ValueError(
                f"has format {found['format']!r}, this version of lightning-critperiod reads 1 to {FORMAT}: "
                "a newer version may read it"
            )
        missing = [name for name in _REQUIRED if name not in found]
        if missing:
            raise ValueError(f"is damaged: it has no {', '.join(map(repr, missing))}")
        try:
            record: Record = decode(cls, _of_format_1(found) if found["format"] == 1 else found, "")
        except (TypeError, ValueError) as error:
            raise ValueError(f"is damaged: {error}") from error
        return record


_REQUIRED = ("status", "run", "decision", "epochs", "measured", "projected", "metrics")


def _of_format_1(found: dict[str, Any]) -> dict[str, Any]:
    """Format 1 kept the arguments of a user's own recipe class among the others."""
    decision = found["decision"]
    if not isinstance(decision, dict) or not isinstance(decision.get("recipe"), dict):
        return found
    own = {name: str(value) for name, value in decision["recipe"].items() if name not in _RECIPE}
    return {**found, "decision": {**decision, "recipe": {**decision["recipe"], "changes": own}}}


_RECIPE = ("during", "after", "annealing_fraction")
