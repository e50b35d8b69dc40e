"""How much of a run a log covers: where it begins, what is missing."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from statistics import median

from lightning_critperiod.report.words import plural
from lightning_critperiod.rules import History


def coverage(history: History, epochs: int) -> str:
    """What is missing in a signal, in words that follow its name; empty where every epoch has a value.

    Args:
        history: Epoch -> value.
        epochs: The epochs that were logged in the run.

    Returns:
        How many values there are, at which distance, and where they begin and end.
    """
    measured = sorted(epoch for epoch, value in history.items() if math.isfinite(value))
    if not measured:
        return "no finite value"
    if len(measured) == epochs:
        return ""
    return ", ".join([f"{len(measured)} values in {epochs} epochs", *_parts(measured, epochs)])


def _parts(measured: list[int], epochs: int) -> Iterator[str]:
    distances = [after - before for before, after in pairwise(measured)]
    usual = round(median(distances)) if distances else 1
    if usual > 1:
        yield f"mostly every {usual} epochs"
    if measured[0] >= usual:
        yield f"none before epoch {measured[0]}: a verdict uses only what follows"
    gaps = sum(distance > usual for distance in distances)
    if gaps:
        yield f"with {gaps} gap{'s' * (gaps != 1)}"
    if epochs - 1 - measured[-1] >= usual:
        yield f"none after epoch {measured[-1]}"


def length_note(logged: set[int], max_epochs: int) -> str:
    """How long a run is taken to be if its length is not given.

    Args:
        logged: The epochs of which anything was logged.
        max_epochs: The length that was taken, up to the last of them.

    Returns:
        A sentence.
    """
    if len(logged) == max_epochs:
        was = "was" if max_epochs == 1 else "were"
        return (
            f"The run is taken to be the {plural(max_epochs, 'epoch')} that {was} logged; give --max_epochs if more "
            "were planned."
        )
    return (
        f"The run is taken to be {max_epochs} epochs, up to the last one that was logged; the log has {len(logged)} of "
        f"them, from epoch {min(logged)} on. Give --max_epochs if more were planned."
    )


def coverage_notes(histories: Mapping[str, History], epochs: int) -> list[str]:
    """A sentence on all signals that miss the same."""
    names: dict[str, list[str]] = {}
    for name, history in histories.items():
        names.setdefault(coverage(history, epochs), []).append(name)
    return [f"{', '.join(of_it)}: {missing}." for missing, of_it in names.items() if missing]
