"""The runs of a study: which are left, in which order, and how far they are."""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from lightning_critperiod.studies.baselines import NotApplicable
from lightning_critperiod.studies.config import Cli
from lightning_critperiod.studies.edited import edited_since
from lightning_critperiod.studies.estimate import duration, seconds_left
from lightning_critperiod.studies.job import train
from lightning_critperiod.studies.jobs import Jobs, Run
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.pools import RETRIES, Pool
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.rows import logged_value
from lightning_critperiod.studies.study_run import StudyRun


@dataclass
class Runs:
    """Trains what is not finished yet, and keeps every one as soon as it is finished.

    Args:
        jobs: Says what a run is to do.
        results: Where finished runs go and are found.
        metric: The metric that decides; a run that does not log it ends the study.
        cli: Runs ``fit``.
        console: Where progress is shown.

    Attributes:
        failed: What went wrong, by "arm, seed".
        skipped: Why a baseline does not exist in this project, by "arm, seed".
    """

    jobs: Jobs
    results: Results
    metric: Metric
    cli: Cli
    console: Console
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def any_finished(self) -> bool:
        """Whether there is anything to report."""
        return any(self.results.has(arm.name, seed) for arm, seed in self.jobs.all)

    def check(self) -> None:
        """Read the records of the finished runs; a ValueError says what is wrong with one of them."""
        for arm, seed in self.jobs.all:
            if self.results.has(arm.name, seed):
                logged_value(self.metric, self.results.load(arm, seed))

    def finish(self, pool: Pool) -> None:
        """Train what is left; runs whose process died are begun again, unless nothing at all gets done.

        Args:
            pool: Where they run.

        Raises:
            KeyboardInterrupt: Somebody has stopped it, and was told what is kept.
        """
        left = [(arm, seed) for arm, seed in self.jobs.all if not self.results.has(arm.name, seed)]
        self._say_edited()
        self._say_how_long(left, pool)
        with self._progress(len(self.jobs.all) - len(left)) as progress:
            try:
                left = self._retry(left, pool, progress)
            except (KeyboardInterrupt, SystemExit):  # Lightning makes the second of the first
                self._say_stopped()
                raise KeyboardInterrupt from None
        self._fail(left, "its process died repeatedly")

    def _retry(self, left: list[Run], pool: Pool, progress: Progress) -> list[Run]:
        in_vain = 0
        while left and in_vain <= RETRIES:
            before, left = len(left), self._train(left, pool, progress)
            in_vain = in_vain + 1 if len(left) == before else 0
        return left

    def _say_stopped(self) -> None:
        kept = sum(self.results.has(arm.name, seed) for arm, seed in self.jobs.all)
        self.console.print(
            f"Stopped: {kept} of {len(self.jobs.all)} runs are kept. Run the same command again for the others.",
            style="yellow",
        )

    def _say_edited(self) -> None:
        kept = (self.results.file(arm.name, seed) for arm, seed in self.jobs.all if self.results.has(arm.name, seed))
        if newer := edited_since(kept):
            self.console.print(
                f"{', '.join(newer[:3])}{', ...' * (len(newer) > 3)}: edited after the first of the finished runs, "
                "which are kept. If the edit changes what a run does, keep old and new runs apart: give --results "
                f"another folder, or remove {self.results.folder}.",
                style="yellow",
                soft_wrap=True,
            )

    def _say_how_long(self, left: Sequence[Run], pool: Pool) -> None:
        seconds = seconds_left(self.jobs, self.results, left, pool.workers)
        if seconds is not None and left:
            runs = f"{len(left)} run{'s' * (len(left) > 1)} left"
            self.console.print(f"About {duration(seconds)} for the {runs}, {pool.workers} at a time (estimated).")

    def _progress(self, done: int) -> Progress:
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn()
        progress = Progress(
            *columns,
            console=self.console,
            redirect_stdout=False,  # the runs have theirs redirected
            redirect_stderr=False,
        )
        progress.add_task("", total=len(self.jobs.all), completed=done)
        return progress

    def _train(self, left: list[Run], pool: Pool, progress: Progress) -> list[Run]:
        """Train until nothing is left, or a process dies.

        Returns:
            What is left then.
        """
        waiting, running = list(left), dict[Future[StudyRun], Run]()
        with pool.executor() as executor:
            while True:
                for run in self._ready(waiting)[: pool.workers - len(running)]:
                    waiting.remove(run)
                    running[self._submit(executor, run)] = run
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    if isinstance(future.exception(), BrokenProcessPool):
                        return [*running.values(), *waiting]
                    first = not self.any_finished
                    self._keep(running.pop(future), future, progress)
                    if first:
                        self._say_how_long([*running.values(), *waiting], pool)
        for run in waiting:
            self._fail([run], f"an arm of this seed that it follows has failed, such as {self.jobs.followed(run[0])}")
        return []

    def _ready(self, waiting: list[Run]) -> list[Run]:
        return [run for run in waiting if self.jobs.ready(*run)]

    def _submit(self, executor: Executor, run: Run) -> Future[StudyRun]:
        try:
            job = self.jobs.job(*run)
        except ValueError as error:
            refused: Future[StudyRun] = Future()
            refused.set_exception(error)
            return refused
        return executor.submit(train, job, self.cli)

    def _keep(self, run: Run, future: Future[StudyRun], progress: Progress) -> None:
        progress.advance(progress.task_ids[0])
        error = future.exception()
        if error is None:
            self._save(run, future.result())
        elif isinstance(error, NotApplicable):
            self.skipped[_name(run)] = str(error)
            self.console.print(f"{_name(run)} left out: {error}", style="yellow")
        else:
            self._fail([run], f"{type(error).__name__}: {error}")
        self.jobs.ended(*run)

    def _save(self, run: Run, done: StudyRun) -> None:
        self.results.save(done)
        logged_value(self.metric, done)
        tested = done.record.metrics.test.items()
        metrics = ", ".join(f"{name} {'not finite' if value is None else f'{value:.4g}'}" for name, value in tested)
        said = f"{_name(run)}: {metrics}; {done.samples:,} samples in {done.epoch_seconds:.1f} s"
        self.console.print(said)

    def _fail(self, runs: Sequence[Run], why: str) -> None:
        for run in runs:
            self.failed[_name(run)] = why
            self.console.print(f"{_name(run)} failed: {why}", style="red")


def _name(run: Run) -> str:
    return f"{run[0].name}, seed {run[1]}"
