"""How long a study will take, before it has."""

from collections.abc import Sequence
from statistics import fmean

from lightning_critperiod.studies.jobs import Jobs, Run
from lightning_critperiod.studies.results import Results


def seconds_left(jobs: Jobs, results: Results, left: Sequence[Run], workers: int) -> float | None:
    """Seconds for the runs that are left, at the pace of the finished ones.

    A run takes as long as the passes over the data that it is expected to train, and what every run takes beside them.

    Args:
        jobs: Says what a run is expected to draw.
        results: Where the finished runs are.
        left: The other ones.
        workers: Runs at a time.

    Returns:
        None as long as nothing is finished.
    """
    done = [run for run in jobs.all if results.has(run[0].name, run[1])]
    passes = sum(jobs.work(*run).whole for run in done)
    if not passes:
        return None
    runs = [results.load(*run) for run in done]
    pace = sum(run.epoch_seconds for run in runs) / passes
    beside = fmean(run.other_seconds for run in runs)
    each = [beside + pace * (work.whole - work.shared) for work in (jobs.work(*run) for run in left)]
    # However many workers there are, the study takes as long as its longest run.
    return max(sum(each) / workers, max(each, default=0.0))


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s" if seconds >= 1 else "a second"
