"""The metric that decides a study: which direction is better, and how its values are written."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lightning_critperiod.rules.direction import direction
from lightning_critperiod.studies.statistics import Interval, Paired

Mode = Literal["min", "max"]

# A metric of the test set is the same quantity as that of the validation set: these words tell only where it was taken.
_ACCURACY = re.compile(r"(test)?acc\d*|\w*accuracy\d*|top\d+")
_STAGES = {"val", "valid", "validation", "test", "eval", "dev", "epoch"}


@dataclass(frozen=True)
class Monitor:
    """A metric that a callback of the config watches.

    Args:
        callback: The callback's class.
        metric: Name of the metric.
        mode: Which direction the callback takes as better.
    """

    callback: str
    metric: str
    mode: Mode


@dataclass(frozen=True)
class Metric:
    """A test metric. An accuracy is written in percent and its differences in points; any other keeps its own unit.

    Args:
        name: As it is logged.
        mode: "min" if lower is better, "max" if higher is.
        source: Where that is known from, in words.
    """

    name: str
    mode: Mode
    source: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reading}"

    @property
    def reading(self) -> str:
        """How its values are read."""
        source = f" ({self.source})" if self.source else ""
        unit = "differences are in points" if self.percent else "differences are in its own unit"
        return f"{self.better}{source}, {unit}"

    @property
    def better(self) -> str:
        """The direction in words."""
        return "lower is better" if self.mode == "min" else "higher is better"

    @property
    def percent(self) -> bool:
        """Whether it is an accuracy."""
        return any(_ACCURACY.fullmatch(word) for word in _words(self.name))

    @property
    def unit(self) -> str:
        """What follows a difference or a margin."""
        return "points" if self.percent else f"in {self.name}"

    @property
    def short_unit(self) -> str:
        """The unit of a difference on an axis."""
        return "points" if self.percent else self.better

    @property
    def label(self) -> str:
        """The heading of its values."""
        return f"{self.name} %" if self.percent else self.name

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return f"{self.label} ({self.better})"

    @property
    def sign(self) -> int:
        """1 if higher is better, else -1."""
        return 1 if self.mode == "max" else -1

    def scale(self, values: Iterable[float]) -> float:
        """What to multiply by: an accuracy that is logged as a fraction is written in percent.

        Args:
            values: All that there are.

        Returns:
            100 or 1.
        """
        return 100.0 if self.percent and all(abs(value) <= 1 for value in values) else 1.0

    def gain(self, difference: Paired) -> Paired:
        """A difference turned so that a value above 0 is better."""
        return difference if self.mode == "max" else difference.negated()

    def missing(self, where: str, logged: Iterable[str]) -> str:
        """What to say where it is not among the test metrics that were logged."""
        names = ", ".join(logged)
        said = f"give --metric one of {names}" if names else "log one in test_step, it logs none"
        return f"no test metric {self.name!r} in {where}: {said}"

    def text(self, value: float) -> str:
        """A value: two decimals in percent, else five significant digits."""
        return f"{value:.2f}" if self.percent else f"{value:#.5g}".rstrip(".")

    def change(self, value: float) -> str:
        """A difference, with its sign."""
        return f"{value + 0.0:+.2f}" if self.percent else f"{value + 0.0:+#.3g}".rstrip(".")

    def spread(self, value: float) -> str:
        """A standard deviation."""
        return f"{value:.2f}" if self.percent else f"{value:.3g}"

    def mean(self, value: float, interval: Interval | None) -> str:
        """A mean and its interval."""
        return self.text(value) + ("" if interval is None else f" [{self.text(interval[0])}, {self.text(interval[1])}]")

    def interval(self, interval: Interval) -> str:
        """The interval of a difference."""
        return f"[{self.change(interval[0])}, {self.change(interval[1])}]"

    def difference(self, difference: Paired | None) -> str:
        """Mean and t-interval of a difference; a dash where there is none."""
        if difference is None:
            return "-"
        return self.change(difference.mean) + ("" if difference.t is None else f" {self.interval(difference.t)}")


def find_metric(name: str, mode: Mode | None, monitors: Iterable[Monitor]) -> Metric:
    """The metric of a study, with the direction that is better.

    Args:
        name: As it is logged for the test set.
        mode: The user's own word, which goes before everything else.
        monitors: What the callbacks of the config watch; one of the same quantity says the direction.

    Returns:
        The metric.

    Raises:
        ValueError: The direction is not known, or what is known of it contradicts itself.
    """
    if mode is not None:
        return Metric(name, mode, f"--mode {mode}")
    known: dict[str, Mode] = {
        f"mode {m.mode!r} of {m.callback} on {m.metric}": m.mode
        for m in monitors
        if _quantity(m.metric) == _quantity(name)
    }
    by_name = direction(name)
    if by_name is not None:
        known["by its name"] = by_name
    if not known:
        raise ValueError(
            f"whether a lower or a higher {name!r} is better is not known: give --mode min (lower is better) or "
            "--mode max (higher is better)"
        )
    if len(set(known.values())) > 1:
        said = ", ".join(f"{mode!r} {source}" if source == "by its name" else source for source, mode in known.items())
        raise ValueError(
            f"which direction of {name!r} is better: the sources are contradictory ({said}): give --mode min or max"
        )
    source, found = next(iter(known.items()))
    return Metric(name, found, source)


def redrawn(known: Mapping[str, str]) -> Metric:
    """The metric of a study that was drawn before.

    Args:
        known: ``metric`` and, since version 0.2, ``mode``.

    Returns:
        The metric.
    """
    mode = known.get("mode")
    return find_metric(known["metric"], "min" if mode == "min" else "max" if mode == "max" else None, ())


def _quantity(name: str) -> list[str]:
    return [word for word in _words(name) if word not in _STAGES]


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
