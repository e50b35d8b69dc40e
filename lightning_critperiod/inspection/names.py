"""What the name of a logged value says: a clock, a learning rate, measured on validation data or on test data."""

import functools
import re
from collections.abc import Iterable

from lightning_critperiod.recipe import Volume

OURS = "critical_period/"
VOLUME = tuple(Volume.__dataclass_fields__)

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TEST = frozenset({"test", "tests", "testing", "testset"})
_VALIDATION = frozenset({"val", "valid", "validation", "validate", "eval", "evaluation", "dev"})
_STEPS = ("step", "trainer/global_step", "global_step", "_step", "steps", "iteration")
# Lightning joins a logger's prefix with "-", Weights & Biases joins the name of a run with " - ".
_EPOCH_COLUMN = re.compile(r"(?P<prefix>.*[-/. ])?epochs?", re.IGNORECASE)
_SETTINGS = frozenset({*VOLUME, "over"})
_OBSERVED = re.compile(rf"{OURS}observed/(?P<signal>.+?)(_\d+)?/(?P<value>{'|'.join(_SETTINGS)}|(?P=signal))")
_TIMES = ("_timestamp", "_runtime", "timestamp", "wall time", "wall_time")


def words(name: str) -> list[str]:
    """The words of a name in lower case: ``val_lossTop5`` is val, loss, top, 5."""
    return [word.lower() for word in _WORD.findall(name)]


@functools.cache
def is_test(name: str) -> bool:
    """Whether the value was measured on test data: ``test_loss``, ``Test/loss``, ``acc/test``."""
    return not _TEST.isdisjoint(words(name))


@functools.cache
def is_validation(name: str) -> bool:
    """Whether the value was measured on validation data: ``val_loss``, ``valid/acc``, ``loss/val``."""
    return not is_test(name) and not _VALIDATION.isdisjoint(words(name))


@functools.cache
def is_rate(name: str) -> bool:
    """Whether it is a learning rate: ``lr-SGD`` of LearningRateMonitor, ``train/lr``, ``learning_rate``."""
    found = words(name)
    return "lr" in found or "learning rate" in " ".join(found)


def is_clock(name: str) -> bool:
    """Whether it counts epochs, steps or seconds."""
    return name.lower() in {"", "unnamed: 0", "epoch", *_STEPS, *_TIMES}


@functools.cache
def is_signal(name: str) -> bool:
    """Whether a rule may look at it: no clock, no learning rate, none of our own settings, no test data."""
    ours = own_name(name) in _SETTINGS
    return not (ours or name == "hp_metric" or is_clock(name) or is_rate(name) or is_test(name))


@functools.cache
def own_name(name: str) -> str | None:
    """What CriticalPeriodCallback calls a value that it logged, without its prefixes; None if it is not its own."""
    observed = _OBSERVED.fullmatch(name)
    if observed:
        return observed["value"]
    return name.removeprefix(OURS) if name.startswith(OURS) else None


def epoch_column(names: Iterable[str]) -> str | None:
    """The name that counts epochs: ``epoch`` in any case, or with a logger's prefix, ``exp-epoch``; None without."""
    found = [name for name in names if _EPOCH_COLUMN.fullmatch(name)]
    return min(found, key=len, default=None)


def step_column(names: Iterable[str]) -> str | None:
    """The name that counts training steps, or as near as the log has it; None without."""
    return _first(_STEPS, names)


def time_column(names: Iterable[str]) -> str | None:
    """The name of a column of seconds; None without."""
    return _first(_TIMES, names)


def prefix_of(epoch: str | None) -> str:
    """The logger's prefix that the name of the epochs begins with; empty without one."""
    found = _EPOCH_COLUMN.fullmatch(epoch or "")
    return (found["prefix"] or "") if found else ""


def _first(wanted: Iterable[str], names: Iterable[str]) -> str | None:
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[name] for name in wanted if name in by_lower), None)
