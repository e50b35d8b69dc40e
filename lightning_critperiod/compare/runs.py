"""The runs of a comparison: which are left, in which order, and how far they are."""

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
    TimeRemainingColumn,
)

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.as_dict import Record
from lightning_critperiod.compare.config import Cli
from lightning_critperiod.compare.jobs import Jobs
from lightning_critperiod.compare.pools import RETRIES, Pool
from lightning_critperiod.compare.results import Results
from lightning_critperiod.compare.training import train

Run = tuple[Arm, int]
"""An arm and a seed."""


@dataclass
class Runs:
    """Trains what is not finished yet, and keeps every record as soon as there is one.

    Args:
        jobs: Says what a run is to do.
        arms: The one that others follow first.
        seeds: All of them for every arm.
        results: Where records go, and where finished runs are found.
        cli: Runs ``fit``.
        console: Where progress is shown.

    Attributes:
        failed: What went wrong, by "arm, seed".
    """

    jobs: Jobs
    arms: Sequence[Arm]
    seeds: Sequence[int]
    results: Results
    cli: Cli
    console: Console
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[Run]:
        """Seed by seed, so that all arms have equally many if it is stopped."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def finish(self, pool: Pool) -> None:
        """Train what is left; runs whose process died are begun again, unless nothing at all gets done."""
        left = [(arm, seed) for arm, seed in self.all if not self.results.has(arm.name, seed)]
        with self._progress(len(self.all) - len(left)) as progress:
            in_vain = 0
            while left and in_vain <= RETRIES:
                before, left = len(left), self._train(left, pool, progress)
                in_vain = in_vain + 1 if len(left) == before else 0
        self._fail(left, "its process died, again and again")

    def _progress(self, done: int) -> Progress:
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn(), TextColumn("left:")
        progress = Progress(
            *columns,
            TimeRemainingColumn(),
            console=self.console,
            redirect_stdout=False,  # the runs have theirs redirected
            redirect_stderr=False,
        )
        progress.add_task("", total=len(self.all), completed=done)
        return progress

    def _train(self, left: list[Run], pool: Pool, progress: Progress) -> list[Run]:
        """Train until nothing is left, or a process dies.

        Returns:
            What is left then.
        """
        waiting, running = list(left), dict[Future[Record], Run]()
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
                    self._keep(running.pop(future), future, progress)
        self._fail(waiting, f"the arm {self.jobs.first} of this seed, which it follows, has failed")
        return []

    def _ready(self, waiting: list[Run]) -> list[Run]:
        return [run for run in waiting if self.jobs.ready(*run)]

    def _submit(self, executor: Executor, run: Run) -> Future[Record]:
        try:
            job = self.jobs.job(*run)
        except ValueError as error:
            refused: Future[Record] = Future()
            refused.set_exception(error)
            return refused
        return executor.submit(train, job, self.cli)

    def _keep(self, run: Run, future: Future[Record], progress: Progress) -> None:
        progress.advance(progress.task_ids[0])
        error = future.exception()
        if error is not None:
            self._fail([run], f"{type(error).__name__}: {error}")
            return
        record = future.result()
        self.results.save(record)
        self.jobs.finished(run[1])
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in record["metrics"]["test"].items() if value)
        measured = record["measured"]
        self.console.print(f"{_name(run)}: {metrics}; {measured['samples']:,} samples in {measured['seconds']:.1f} s")

    def _fail(self, runs: Sequence[Run], why: str) -> None:
        for run in runs:
            self.failed[_name(run)] = why
            self.console.print(f"{_name(run)} failed: {why}", style="red")


def _name(run: Run) -> str:
    return f"{run[0].name}, seed {run[1]}"
