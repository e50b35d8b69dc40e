"""A comparison: its arms are trained, then tables and figure are made."""

from dataclasses import dataclass

from lightning_critperiod.report import command_console
from lightning_critperiod.studies.cells import as_rich
from lightning_critperiod.studies.compare.arm_jobs import ArmJobs
from lightning_critperiod.studies.compare.compare_options import CompareOptions
from lightning_critperiod.studies.compare.comparison_pages import draw, title
from lightning_critperiod.studies.compare.comparison_table import main_cells
from lightning_critperiod.studies.compare.conclusions import conclusions
from lightning_critperiod.studies.compare.spent import BUDGETS, in_words
from lightning_critperiod.studies.config import Cli, read
from lightning_critperiod.studies.pools import Pool
from lightning_critperiod.studies.runs import Runs
from lightning_critperiod.studies.trunks import Trunks


@dataclass(frozen=True)
class Comparison:
    """A comparison that can start.

    Args:
        runs: All of them.
        pool: Where they run.
        margin: In the unit of the metric.
    """

    runs: Runs
    pool: Pool
    margin: float | None

    def run(self) -> int:
        """Train what is left, then show and write the tables and the figure.

        Returns:
            The exit status: 1 if a run failed.
        """
        margin = "" if self.margin is None else f"; the margin is {self.margin:g} {self.runs.metric.unit}"
        for text in (*self.runs.jobs.config.notes, f"{self.runs.metric}{margin}.", *self._budgets()):
            self.runs.console.print(text, soft_wrap=True)
        self.runs.finish(self.pool)
        if self.runs.any_finished:
            self.report()
        return 1 if self.runs.failed else 0

    def _budgets(self) -> list[str]:
        """Which arms cost as much as ours, and in what."""
        arms = {
            budget: [a.name for a in self.runs.jobs.arms if a.equal_cost and a.budget == budget] for budget in BUDGETS
        }
        return [f"As many {in_words(budget)} as ours: {', '.join(names)}." for budget, names in arms.items() if names]

    def report(self) -> None:
        """Show and write what the finished runs say."""
        runs, results, console = self.runs, self.runs.results, self.runs.console
        studied = {
            arm.name: {s: results.load(arm, s) for s in runs.jobs.seeds if results.has(arm.name, s)}
            for arm in runs.jobs.arms
        }
        summary = draw(runs.jobs.arms, studied, runs.metric, self.margin, results.folder)
        console.print(as_rich(main_cells(summary), title(results.folder, summary)))
        for text in conclusions(summary):
            console.print(f"- {text}")
        console.print(f"Results: {results.folder}", soft_wrap=True)


def prepare(options: CompareOptions, cli: Cli) -> Comparison:
    """Check everything that can be checked before the first run.

    Args:
        options: The options of the command line.
        cli: Parses and runs configs.

    Returns:
        The comparison.

    Raises:
        ValueError: Something makes it impossible.
    """
    config = read(options.config, cli)
    metric = config.metric(options.metric, options.mode)
    if config.observes:
        raise ValueError(f"{config.name}: with critical_period.observe_only no arm would change anything: take it out")
    results, margin = options.results, options.margin
    margins = {**results.margins, **({} if margin is None else {metric.name: margin})}
    claim = {"command": "compare", "config": config.sources.layers}
    results.claim(claim, {"metric": metric.name, "mode": metric.mode, "margins": margins})
    jobs = ArmJobs(config, options.arms, options.all_seeds, Trunks(results, options.from_trunk))
    runs = Runs(jobs, results, metric, cli, command_console())
    runs.check()
    return Comparison(runs, Pool(options.workers, options.ray), margin)
