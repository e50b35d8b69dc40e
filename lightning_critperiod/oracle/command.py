"""``critperiod oracle``: its options, and what becomes of them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import instantiate_class
from rich.console import Console

from lightning_critperiod.compare.config import Cli, Config, read
from lightning_critperiod.compare.pools import Pool
from lightning_critperiod.compare.results import Results
from lightning_critperiod.compare.runs import Runs
from lightning_critperiod.compare.table import as_rich
from lightning_critperiod.oracle.arms import FULL, default_epochs, grid
from lightning_critperiod.oracle.jobs import BranchJobs
from lightning_critperiod.oracle.pages import redraw
from lightning_critperiod.oracle.table import annealing_cells, findings, place_words, switch_cells
from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.measured import require_int

DESCRIPTION = """Trains the config's recipe, without annealing, with the switch at each of a grid of epochs, and says
what each one keeps and saves against the full recipe to the end (Figure 1 of the paper); with --annealing also what
bringing the full recipe back in the last part does (Figure 2). Finished runs are never run again. Records, table.md,
figure1.svg and figure2.svg are in a folder of the config's name."""


@dataclass(frozen=True)
class Options:
    """The options, as the parser describes them."""

    config: str
    switch_epochs: list[int] | None
    annealing: list[float] | None
    at: int | None
    seeds: int
    source: Literal["trunk", "scratch"]
    metric: str
    results: str

    def __post_init__(self) -> None:
        require_int("seeds", self.seeds, low=1)
        for fraction in self.annealing or []:
            require_number("annealing", fraction, low=0, high=1, closed=True)
        _require_different("switch-epochs", self.switch_epochs or [])
        _require_different("annealing", self.annealing or [])
        if self.at is not None and not self.annealing:
            raise ValueError("--at says where the runs of --annealing switch: give --annealing too")

    def epochs(self, max_epochs: int) -> list[int]:
        """Of the switch.

        Args:
            max_epochs: Length of a run.

        Returns:
            Those asked for, or the default grid.

        Raises:
            ValueError: One is outside the run.
        """
        epochs = default_epochs(max_epochs) if self.switch_epochs is None else self.switch_epochs
        for epoch in [*epochs, *([] if self.at is None else [self.at])]:
            if not 0 <= epoch < max_epochs:
                raise ValueError(
                    f"a switch epoch must be from 0 to {max_epochs - 1} (max_epochs {max_epochs}), got {epoch}"
                )
        return epochs


def _require_different(name: str, values: Sequence[float]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{name} must be different from each other, got {twice[0]:g} twice")


@dataclass(frozen=True)
class Oracle:
    """An oracle that can start.

    Args:
        runs: All of them.
        jobs: What they are to do.
    """

    runs: Runs
    jobs: BranchJobs

    def run(self) -> int:
        """Train what is left, then show and write the tables and the figures.

        Returns:
            The exit status: 1 if a run failed.
        """
        self.runs.finish(Pool())
        self.jobs.clean()
        if any(self.runs.results.has(FULL, seed) for seed in self.runs.seeds):
            self._report()
        return 1 if self.runs.failed else 0

    def _report(self) -> None:
        folder, console = self.runs.results.folder, self.runs.console
        sweep = redraw(folder)
        console.print(as_rich(switch_cells(sweep), f"{sweep.name}: when to switch"))
        for place, points in sweep.annealed.items():
            console.print(as_rich(annealing_cells(points), f"{sweep.name}: annealing, switch {place_words(place)}"))
        for text in findings(sweep):
            console.print(f"- {text}")
        console.print(f"Results: {folder}", soft_wrap=True)


def prepare(arguments: Sequence[str], cli: Cli) -> Oracle:
    """Read a command line and check everything that can be checked before the first run.

    Args:
        arguments: Those behind ``critperiod oracle``.
        cli: Parses and runs configs.

    Returns:
        The oracle; a ValueError says what makes it impossible.
    """
    given: dict[str, Any] = vars(parser().parse_args(list(arguments)))
    options = Options(**given)
    config = read([Path(file.strip()) for file in options.config.split(",")], cli)
    rule = _rule(config)
    arms = grid(options.epochs(config.plan.max_epochs), options.annealing or [], options.at)
    results = Results(Path(options.results, config.name))
    results.claim({
        "command": "oracle",
        "config": config.sources,
        "metric": options.metric,
        "rule": config.plan.rule,
    })
    seeds = range(config.seed, config.seed + options.seeds)
    for arm in arms:
        for seed in seeds:
            if results.has(arm.name, seed):
                results.load(arm, seed)
    jobs = BranchJobs(config, rule, arms, results, options.source == "trunk")
    # The file as it is now: while a run is quiet, sys.stdout is another one.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    return Oracle(Runs(jobs, arms, seeds, results, cli, console), jobs)


def _rule(config: Config) -> Any:
    """The config's own, checked.

    Returns:
        The rule.

    Raises:
        ValueError: There is no recipe to switch.
    """
    if not any((source.get("critical_period") or {}).get("recipe") for source in config.sources):
        raise ValueError(
            f"{config.name}: oracle switches the config's own recipe, but there is no critical_period.recipe"
        )
    if config.plan.full == config.plan.after:
        raise ValueError(
            f"{config.name}: nothing changes at a switch, the recipe has {config.plan.full} before and after it"
        )
    rule = instantiate_class((), config.plan.rule)
    rule.check_run(config.plan.max_epochs)
    return rule


def parser() -> ArgumentParser:
    """The command line."""
    made = ArgumentParser(prog="critperiod oracle", description=DESCRIPTION, exit_on_error=False)
    add = made.add_argument
    add("--config", required=True, help="The config, as for fit; files separated by commas are layers.")
    add(
        "--switch-epochs",
        type=int,
        nargs="+",
        help="First epochs after the switch; eight evenly over the run if not given.",
    )
    add(
        "--annealing",
        type=float,
        nargs="+",
        help="Fractions of the epochs after the switch with the full recipe again.",
    )
    add(
        "--at",
        type=int,
        help="Epoch at which the runs of --annealing switch; where the config's own rule fires if not given.",
    )
    add("--seeds", type=int, default=3, help="The config's seed_everything and the numbers that follow.")
    help_from = "trunk: a run goes on from a checkpoint of the full run of its seed; scratch: from the beginning."
    add("--from", dest="source", choices=("trunk", "scratch"), default="trunk", help=help_from)
    add("--metric", default="test_acc", help="The test metric, a fraction in [0, 1].")
    add("--results", default="results/oracle", help="Folder for the results of all configs.")
    return made
