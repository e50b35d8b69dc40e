"""A run that ends after its first step: what cannot work in a project says so before anything is trained."""

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from lightning_critperiod.changes import GrowingImages
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.studies.config import Cli
from lightning_critperiod.studies.job import Job, carry_out
from lightning_critperiod.studies.metric import Metric

FIRST_BATCH = {"class_path": "lightning_critperiod.studies.compare.levers.rehearsal.FirstBatch"}


@dataclass(frozen=True)
class Seen:
    """What the first training batch has.

    Args:
        image_size: Pixels of the shorter side of its images; None if there are none.
        why_none: Why not.
    """

    image_size: int | None = None
    why_none: str = ""


class Rehearsed(Exception):
    """The run has come to the end of its first step."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        super().__init__("ended after its first step")


class FirstBatch(Callback):
    """Looks at the first batch, and ends the run after its step.

    Raises:
        Rehearsed: The step is done.
    """

    def __init__(self) -> None:
        self._seen = Seen()

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        try:
            self._seen = Seen(GrowingImages([1]).find(batch))
        except ValueError as error:
            self._seen = Seen(why_none=str(error))

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        raise Rehearsed(self._seen)


def rehearse(job: Job, cli: Cli) -> Seen:
    """Begin a run with all its settings, and end it after its first step.

    Args:
        job: What would be trained.
        cli: Runs ``fit`` by the arguments of a command line.

    Returns:
        What its first batch has. What refuses or fails before the step is done, is raised as it is.
    """
    callbacks = {"trainer": {"callbacks+": [FIRST_BATCH]}}
    try:
        carry_out(job, cli, "fit", callbacks)
    except Rehearsed as end:
        return end.seen
    return Seen(why_none="the run has no training batch")


def check_metric(job: Job, cli: Cli, metric: Metric) -> None:
    """Refuse a metric that the test does not log, by a ValueError: one batch is tested with an untrained model."""
    _require(metric, _logged(job, cli))


def check_metric_if_it_tests(job: Job, cli: Cli, metric: Metric) -> None:
    """The same, but a test that fails says nothing: it may need a trained model, or another machine."""
    try:
        logged = _logged(job, cli)
    except Exception:  # whatever it is, the runs themselves will show whether it stands in their way
        return
    _require(metric, logged)


def _logged(job: Job, cli: Cli) -> list[str]:
    tested = carry_out(job, cli, "test", {"trainer": {"limit_test_batches": 1}})
    return sorted(tested.trainer.callback_metrics)


def _require(metric: Metric, logged: list[str]) -> None:
    if metric.name not in logged:
        raise ValueError(metric.missing("the test of an untrained model", logged))
