"""A comparison: its arms are trained, then tables and figure are made."""

from dataclasses import dataclass

from lightning_critperiod.report import command_console
from lightning_critperiod.studies.cells import as_rich
from lightning_critperiod.studies.compare.arm_jobs import ArmJobs
from lightning_critperiod.studies.compare.compare_options import CompareOptions
from lightning_critperiod.studies.compare.comparison_pages import draw, title
from lightning_critperiod.studies.compare.comparison_table import main_cells
from lightning_critperiod.studies.compare.conclusions import conclusions
from lightning_critperiod.studies.compare.levers.applicable import PLAIN, applicable
from lightning_critperiod.studies.compare.levers.recipe_text import FILES
from lightning_critperiod.studies.compare.levers.rehearsal import check_metric_if_it_tests
from lightning_critperiod.studies.compare.shipped_arms import OURS
from lightning_critperiod.studies.compare.spent import in_words
from lightning_critperiod.studies.config import Cli, read
from lightning_critperiod.studies.job import Job
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
        """Which arms cost as much as ours or another one, and in what."""
        found: dict[str, list[str]] = {}
        for arm in self.runs.jobs.arms:
            if arm.equal_cost:
                found.setdefault(f"As many {in_words(arm.budget)} as {arm.follows}", []).append(arm.name)
        return [f"{words}: {', '.join(names)}." for words, names in found.items()]

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
        if recipe := next((file for name in FILES if (file := results.folder / name).is_file()), None):
            console.print(f"\n{recipe.read_text(encoding='utf-8')}", soft_wrap=True, highlight=False, markup=False)
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
    config = read(options.config, cli, [PLAIN] if options.levers else [])
    metric = config.metric(options.metric, options.mode)
    if config.observes:
        raise ValueError(f"{config.name}: with critical_period.observe_only no arm would change anything: take it out")
    arms, results, margin, console = options.arms, options.results, options.margin, command_console()
    if options.levers:
        console.print(f"Looking for the levers that apply to {config.name}: one training step with each.")
        config, arms = applicable(config, metric, options.config.seed, cli)
    jobs = ArmJobs(config, arms, options.all_seeds, Trunks(results, options.from_trunk))
    runs = Runs(jobs, results, metric, cli, console)
    if not options.levers and not runs.any_finished:
        check_metric_if_it_tests(Job(config.text, OURS, options.config.seed, {}, {}), cli, metric)
    margins = {**results.margins, **({} if margin is None else {metric.name: margin})}
    claim = {"command": "compare", "config": config.sources.claim}
    results.claim(claim, {"metric": metric.name, "mode": metric.mode, "margins": margins})
    runs.check()
    return Comparison(runs, Pool(options.workers, options.ray), margin)
