"""What ``ours`` spent in one seed: the facts that the arms of equal cost are made from. Plain values."""

import math
from dataclasses import dataclass

from lightning_critperiod.studies.study_run import Rates, StudyRun


@dataclass(frozen=True)
class Spent:
    """What the arm `ours` really drew in one seed.

    Args:
        samples: Drawn in the whole run.
        detector_samples: What could have been drawn in the time that measuring and deciding took.
        pass_samples: n, the samples of one pass over the training data.
        batch_size: Samples of a full batch.
        rates: The learning rates of all optimizer steps, run-length coded: ([LR of each parameter group], steps).
        signal: The measured values in the order of the epochs.
    """

    samples: int
    detector_samples: int
    pass_samples: int
    batch_size: int
    rates: Rates
    signal: list[float]

    @property
    def budget(self) -> int:
        """What an arm of equal cost may draw: the detector's time is charged to ours, at its own pace."""
        return self.samples + self.detector_samples

    @property
    def passes(self) -> float:
        """The budget in passes over the training data."""
        return self.budget / self.pass_samples

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(steps for _, steps in self.rates)


def spent(run: StudyRun) -> Spent:
    """What a run spent.

    Args:
        run: Of the arm ``ours``.

    Returns:
        The same in the units that the arms need.
    """
    epochs = [epoch for epoch in run.record.epochs if epoch.samples]
    drawn = sum(epoch.samples or 0 for epoch in epochs)
    seconds = run.record.measured.seconds_by_phase if run.record.measured else {}
    pace = (seconds["training"] + seconds["data_wait"]) / drawn
    return Spent(
        samples=drawn,
        detector_samples=round(seconds.get("detector", 0.0) / pace),
        pass_samples=run.pass_samples,
        batch_size=max(math.ceil((epoch.samples or 0) / epoch.batches) for epoch in epochs),
        rates=run.rates,
        signal=list(run.record.history.values()),
    )
