"""An oracle: its grid is trained, then tables and figures are made."""

from dataclasses import dataclass

from lightning_critperiod.report import command_console
from lightning_critperiod.rules import require_fit
from lightning_critperiod.studies.asked import rule_of
from lightning_critperiod.studies.cells import as_rich
from lightning_critperiod.studies.config import Cli, Config, read
from lightning_critperiod.studies.oracle.branch_jobs import BranchJobs
from lightning_critperiod.studies.oracle.oracle_options import OracleOptions
from lightning_critperiod.studies.oracle.sweep_pages import redraw
from lightning_critperiod.studies.oracle.switch_table import annealing_cells, findings, place_words, switch_cells
from lightning_critperiod.studies.oracle.switches import grid
from lightning_critperiod.studies.pools import Pool
from lightning_critperiod.studies.runs import Runs
from lightning_critperiod.studies.trunks import Trunks


@dataclass(frozen=True)
class Oracle:
    """An oracle that can start.

    Args:
        runs: All of them.
        pool: Where they run.
        trunks: The checkpoints that they leave while the study runs.
    """

    runs: Runs
    pool: Pool
    trunks: Trunks

    def run(self) -> int:
        """Train what is left, then show and write the tables and the figures.

        Returns:
            The exit status: 1 if a run failed.
        """
        for text in (*self.runs.jobs.config.notes, f"{self.runs.metric}."):
            self.runs.console.print(text, soft_wrap=True)
        self.runs.finish(self.pool)
        self.trunks.clean()
        if self.runs.any_finished:
            self._report()
        return 1 if self.runs.failed else 0

    def _report(self) -> None:
        folder, console = self.runs.results.folder, self.runs.console
        sweep = redraw(folder)
        console.print(as_rich(switch_cells(sweep), f"{sweep.name}: when to switch"))
        for place, points in sweep.annealed.items():
            title = f"{sweep.name}: annealing, switch {place_words(place)}"
            console.print(as_rich(annealing_cells(points, sweep.metric), title))
        for text in findings(sweep):
            console.print(f"- {text}")
        console.print(f"Results: {folder}", soft_wrap=True)


def prepare(options: OracleOptions, cli: Cli) -> Oracle:
    """Check everything that can be checked before the first run.

    Args:
        options: The options of the command line.
        cli: Parses and runs configs.

    Returns:
        The oracle; a ValueError says what makes it impossible.
    """
    config = read(options.config, cli)
    plan, metric = config.plan, config.metric(options.metric, options.mode)
    _check(config)
    arms = grid(options.epochs(plan.max_epochs), options.annealing, options.at)
    results = options.results
    notes = {"metric": metric.name, "mode": metric.mode, "rule": plan.rule, "signal": plan.signal}
    results.claim({"command": "oracle", "config": config.sources.claim}, notes)
    trunks = Trunks(results, options.from_trunk)
    jobs = BranchJobs(config, arms, options.all_seeds, trunks)
    runs = Runs(jobs, results, metric, cli, command_console())
    runs.check()
    return Oracle(runs, Pool(options.workers, options.ray), trunks)


def _check(config: Config) -> None:
    """Refuse a config in which nothing changes, and a rule that cannot be asked in it."""
    plan = config.plan
    if plan.full == plan.after:
        raise ValueError(f"{config.name}: nothing changes at a switch, the recipe has {plan.full} before and after it")
    require_fit(rule_of(plan.rule, plan.signal), plan.max_epochs)
