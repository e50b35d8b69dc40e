"""``critperiod inspect``: its options, and what becomes of them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from lightning_critperiod.from_config import instantiate
from lightning_critperiod.inspection.findings import GOING_ON, Findings
from lightning_critperiod.inspection.modes import Given
from lightning_critperiod.inspection.question import Question, answer
from lightning_critperiod.inspection.run import Run, read
from lightning_critperiod.inspection.verdict import Plan
from lightning_critperiod.recipe import Recipe, require_int, require_number
from lightning_critperiod.record import write
from lightning_critperiod.report import command_console
from lightning_critperiod.report.caveats import CAVEATS
from lightning_critperiod.rules import Rule

DESCRIPTION = (
    "Reads the log of any Lightning run. Says where each rule would have ended the critical period, what the recipe "
    "would have drawn, and after which epoch going on was no longer worth it. It reads metrics.csv (CSVLogger), other "
    "CSV files with a column of epochs, event files (TensorBoardLogger) and, for layer rotation, a folder of "
    "checkpoints. It trains nothing, changes nothing and does not look at test metrics."
)


def inspect(arguments: Sequence[str]) -> None:
    """Run the command: say on standard output what was found, and write the page if one was asked for.

    A missing or damaged log and a wrong argument are an OSError or a ValueError of one line.

    Args:
        arguments: Those behind ``critperiod inspect``.
    """
    options = _options(arguments)
    found = _findings(options)
    terminal = command_console()
    terminal.print(found.table)
    for heading, sentences in ((GOING_ON, found.going_on), (f"{CAVEATS}:", found.notes)):
        if sentences:
            terminal.print("\n".join([heading, *(f"- {sentence}" for sentence in sentences)]), soft_wrap=True)
    if options.output is not None:
        page = Path(options.output)
        write({page.name: found.page}, page.parent)
        terminal.print(f"Written: {page}", soft_wrap=True)


def _options(arguments: Sequence[str]) -> Any:
    parser = ArgumentParser(prog="critperiod inspect", description=DESCRIPTION, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("run", metavar="RUN", help="The folder of a run, or one log file.")
    parser.add_argument("--signal", type=str | None, default=None, help="A logged value. If not given, all.")
    own = "each signal's own; Plateau and Forecast for a validation metric"
    parser.add_argument("--rule", type=Rule | None, default=None, help=f"The rule to ask. If not given, {own}.")
    what = "min or max: whether lower or higher is better, if nothing else says so. For one metric: NAME=min, NAME=max."
    parser.add_argument("--mode", action="append", default=[], help=f"{what} May be given several times.")
    what = "The planned number of epochs. If not given, the number that ran."
    parser.add_argument("--max_epochs", type=int | None, default=None, help=what)
    what = "The least gain that is worth going on for, in units of the metric. If not given, 2% of what the run gained."
    parser.add_argument("--min_gain", type=float | None, default=None, help=what)
    what = "Price of the machine per hour. Prices the epochs that were not worth it, if the log has times."
    parser.add_argument("--price_per_hour", type=float | None, default=None, help=what)
    what = "Number of training samples. If not given, passes over the data are counted."
    parser.add_argument("--samples", type=int | None, default=None, help=what)
    parser.add_argument("--output", type=str | None, default=None, help="Write a page with figures to this .html file.")
    parser.add_class_arguments(Recipe, "recipe", skip={"changes", "cooldown"})
    options = instantiate(parser, parser.parse_args(list(arguments)))
    for name in ("max_epochs", "samples"):
        if options[name] is not None:
            require_int(name, options[name], low=1)
    for name in ("min_gain", "price_per_hour"):
        if options[name] is not None:
            require_number(name, options[name], low=0, open_low=name == "min_gain")
    if options.output is not None and not options.output.endswith(".html"):
        raise ValueError(f"output must be the name of an .html file, got {options.output!r}")
    chose_mode = any(word.startswith("--rule") and "mode" in word for word in arguments)
    options.question = Question(options.signal, options.rule, Given.parse(options.mode), chose_mode, options.min_gain)
    return options


def _findings(options: Any) -> Findings:
    run = read(Path(options.run))
    max_epochs = _length(options.max_epochs, run)
    if options.rule is not None:
        options.rule.check_run(max_epochs)
    recipe = dataclasses.replace(options.recipe, during=options.recipe.during or run.full_volume)
    plan = Plan(recipe, max_epochs, options.samples or run.samples)
    return Findings(options.run, run, answer(options.question, run, max_epochs), plan, options.price_per_hour)


def _length(given: int | None, run: Run) -> int:
    """The planned length: given, or that of our own report, or what was logged."""
    logged = run.logs.epochs
    if given is not None and given < logged:
        raise ValueError(f"max_epochs must be at least {logged}, the epochs that were logged, got {given}")
    return given or max(run.max_epochs or 0, logged)
