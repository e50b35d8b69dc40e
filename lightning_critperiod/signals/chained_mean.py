"""The mean over a set that changes, without a jump where it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean


@dataclass
class ChainedMean:
    """Mean of the values of several members that may join and leave.

    As long as the members stay the same it is their plain mean. When the set changes, it goes on from where it was, by
    the mean change of the members that were there before as well, as an index does whose basket changes.

    Args:
        value: The last mean; None where members have values that were never seen here.
        last: The members' last values.
        joined: Members that have no value yet.
        offset: What is added to the plain mean since the set has changed.
    """

    value: float | None = 0.0
    last: dict[str, float] = field(default_factory=dict)
    joined: list[str] = field(default_factory=list)
    offset: float = 0.0

    def join(self, member: str) -> None:
        """A new member starts from zero."""
        self.joined.append(member)

    def add(self, values: Mapping[str, float]) -> float:
        """The mean after the members have taken these values; there is at least one."""
        mean = fmean(values.values())
        is_new_set = self.joined or values.keys() != self.last.keys()
        if is_new_set and self.value is not None:
            before = self.last | dict.fromkeys(self.joined, 0.0)
            changes = [values[member] - before[member] for member in values if member in before]
            self.offset = self.value + (fmean(changes) if changes else 0.0) - mean
        self.value, self.last, self.joined = self.offset + mean, dict(values), []
        return self.value
