"""What ``ours``, or another arm, spent in one seed: arms of equal cost are made from it. Plain values."""

import math
from dataclasses import dataclass, field

from lightning_critperiod.studies.study_run import Rates, StudyRun

BUDGETS = ("samples", "flops", "seconds")
"""In what an arm may cost as much as ours."""


def in_words(budget: str) -> str:
    """A budget's unit as it is written."""
    return "FLOPs" if budget == "flops" else budget


@dataclass(frozen=True)
class Spent:
    """What an arm that others follow, mostly `ours`, spent in one seed.

    Args:
        budget: The samples that an arm of equal cost may draw.
        pass_samples: n, the samples of one pass over the training data.
        batch_size: Samples of a full batch.
        rates: The learning rates of all optimizer steps, run-length coded: ([LR of each parameter group], steps).
        signal: The measured values in the order of the epochs.
        full_rates: The learning rates of ``full``, in the same form as ``rates``; none where it is not asked.
    """

    budget: int
    pass_samples: int
    batch_size: int
    rates: Rates
    signal: list[float]
    full_rates: Rates = field(default_factory=list)

    @property
    def passes(self) -> float:
        """The budget in passes over the training data."""
        return self.budget / self.pass_samples

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(steps for _, steps in self.rates)


def spent(run: StudyRun, full: StudyRun | None = None, budget: str = "samples") -> Spent:
    """What a run spent, and what an arm of equal cost may draw for it.

    In samples: what it drew, and what could have been drawn in its detector's time, at its own pace. In FLOPs or
    seconds: what it took, divided by what a sample of ``full`` takes. The seconds are those of all epochs, with
    validation and detector; the FLOPs are those of the training steps.

    Args:
        run: The run of ``ours``, or of another arm that is followed.
        full: The run of the arm ``full`` with the same seed; a budget in samples does without.
        budget: One of ``BUDGETS``.

    Returns:
        The same in the units that the arms need; a ValueError says that its budget was not measured.
    """
    epochs = [epoch for epoch in run.record.epochs if epoch.samples]
    return Spent(
        budget=_by_samples(run) if budget == "samples" or full is None else _by_cost(run, full, budget),
        pass_samples=run.pass_samples,
        batch_size=max(math.ceil((epoch.samples or 0) / epoch.batches) for epoch in epochs),
        rates=run.rates,
        signal=list(run.record.history.values()),
        full_rates=[] if full is None else full.rates,
    )


def _by_samples(run: StudyRun) -> int:
    seconds = run.record.measured.seconds_by_phase if run.record.measured else {}
    pace = (seconds["training"] + seconds["data_wait"]) / run.samples
    return run.samples + round(seconds.get("detector", 0.0) / pace)


def _by_cost(run: StudyRun, full: StudyRun, budget: str) -> int:
    ours, whole = (one.flops if budget == "flops" else one.epoch_seconds for one in (run, full))
    if not ours or not whole:
        raise ValueError(
            f"a budget in {in_words(budget)} needs them measured, in ours and in full: they are not in these runs"
        )
    return round(ours / (whole / full.samples))
