"""``critperiod compare``: its options, and what becomes of them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console

from lightning_critperiod.compare.arm import find
from lightning_critperiod.compare.config import Cli, read
from lightning_critperiod.compare.findings import findings
from lightning_critperiod.compare.jobs import ArmJobs
from lightning_critperiod.compare.pages import draw, title
from lightning_critperiod.compare.pools import Pool
from lightning_critperiod.compare.results import Results
from lightning_critperiod.compare.runs import Runs
from lightning_critperiod.compare.table import rich_table
from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.measured import require_int

ALL = (
    "ours,full,k1,short,constant,lr_matched,fixed,random,reverse,rs2,infobatch,placebo,early_stopping,"
    "ours_unannealed,ramp"
)


@dataclass(frozen=True)
class Options:
    """Trains the arms of one config side by side, with the same seeds and splits, and says what was lost and saved.

    Finished runs are never run again: the same command goes on where it was stopped, and makes the tables anew when
    all runs are there. Records, table.md, summary.json and pareto.svg are in a folder of the config's name.

    Args:
        config: The config, as for fit; files separated by commas are layers, and the last one gives the name.
        arms: Names of ready-made arms, or YAML files with overrides of the config, separated by commas.
        seeds: Seeds an arm: the config's seed_everything and the numbers that follow.
        margin: Non-inferiority margin against the arm full, in points of accuracy; the config's own where not given.
        metric: The test metric that decides, a fraction in [0, 1].
        workers: Runs at a time, each in a process of its own; 1 runs them here, one after the other.
        ray: Address of a Ray cluster that trains the runs, workers at a time, in place of this machine.
        results: Folder for the results of all configs.
    """

    config: str
    arms: str = ALL
    seeds: int = 5
    margin: float | None = None
    metric: str = "test_acc"
    workers: int = 1
    ray: str | None = None
    results: str = "results"

    def __post_init__(self) -> None:
        require_int("seeds", self.seeds, low=1)
        require_int("workers", self.workers, low=1)
        if self.margin is not None:
            require_number("margin", self.margin, low=0, open_low=True)


@dataclass(frozen=True)
class Comparison:
    """A comparison that can start.

    Args:
        runs: All of them.
        pool: Where they run.
        metric: That decides.
        margin: In points.
    """

    runs: Runs
    pool: Pool
    metric: str
    margin: float | None

    def run(self) -> int:
        """Train what is left, then show and write the tables and the figure.

        Returns:
            The exit status: 1 if a run failed.
        """
        self.runs.finish(self.pool)
        if any(self.runs.results.has(arm.name, seed) for arm, seed in self.runs.all):
            self.report()
        return 1 if self.runs.failed else 0

    def report(self) -> None:
        """Show and write what the finished runs say."""
        runs, results = self.runs, self.runs.results
        records = {
            arm.name: {seed: results.load(arm, seed) for seed in runs.seeds if results.has(arm.name, seed)}
            for arm in runs.arms
        }
        rows = draw(runs.arms, records, self.metric, self.margin, results.folder)
        runs.console.print(rich_table(rows, title(results.folder, rows)))
        for text in findings(rows, self.margin):
            runs.console.print(f"- {text}")
        runs.console.print(f"Results: {results.folder}", soft_wrap=True)


def prepare(arguments: Sequence[str], cli: Cli) -> Comparison:
    """Read a command line and check everything that can be checked before the first run.

    Args:
        arguments: Those behind ``critperiod compare``.
        cli: Parses and runs configs.

    Returns:
        The comparison.

    Raises:
        ValueError: Something makes it impossible.
    """
    parser = ArgumentParser(prog="critperiod compare", exit_on_error=False)
    parser.add_class_arguments(Options)
    options: Options = Options(**parser.parse_args(list(arguments)))
    arms = find(name.strip() for name in options.arms.split(","))
    config = read([Path(file.strip()) for file in options.config.split(",")], cli)
    margin = config.margin if options.margin is None else options.margin
    if margin is None and any(arm.name == "full" for arm in arms):
        raise ValueError(
            "a verdict against the arm 'full' needs a margin stated beforehand: --margin, in points of accuracy"
        )
    results = Results(Path(options.results, config.name))
    results.claim({"config": config.sources, "margin": margin})
    seeds = range(config.seed, config.seed + options.seeds)
    for arm in arms:
        for seed in seeds:
            if results.has(arm.name, seed):
                results.load(arm, seed)
    # The file as it is now: while a run is quiet, sys.stdout is another one.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    runs = Runs(ArmJobs(config, arms, results), arms, seeds, results, cli, console)
    return Comparison(runs, Pool(options.workers, options.ray), options.metric, margin)
