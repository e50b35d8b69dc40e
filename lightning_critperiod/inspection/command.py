"""``critperiod inspect``: its options, and what becomes of them."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from lightning_critperiod.inspection.findings import Findings
from lightning_critperiod.inspection.run import Run, read
from lightning_critperiod.inspection.verdict import ask, rules_for
from lightning_critperiod.own_rule import OWN_RULES
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.record import write
from lightning_critperiod.rules import Rule
from lightning_critperiod.rules.measured import require_int

DESCRIPTION = (
    "Reads the logs of any Lightning run and says where each rule would have ended the critical period, and what "
    "the recipe would have drawn. It reads metrics.csv (CSVLogger), event files (TensorBoardLogger) and, for layer "
    "rotation, a folder of checkpoints. No training, nothing changed, and test metrics are not looked at."
)


def inspect(arguments: Sequence[str]) -> None:
    """Run the command: say on standard output what was found, and write the page if one was asked for.

    A missing or damaged log and a wrong argument are an OSError or a ValueError of one line.

    Args:
        arguments: Those behind ``critperiod inspect``.
    """
    options = _options(arguments)
    found = _findings(options)
    # A pipe has no width of its own, and 80 columns would break the table.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(found.table)
    for note in found.notes:
        console.print(f"- {note}", highlight=False, soft_wrap=True)
    if options.output is not None:
        page = Path(options.output)
        write({page.name: found.page}, page.parent)
        console.print(f"Written: {page}", soft_wrap=True)


def _options(arguments: Sequence[str]) -> Any:
    parser = ArgumentParser(prog="critperiod inspect", description=DESCRIPTION, exit_on_error=False)
    parser.add_argument("run", metavar="RUN", help="The folder of a run, or one log file.")
    parser.add_argument("--signal", type=str | None, default=None, help="The logged value to look at; by default all.")
    own = "each signal's own; Plateau and Forecast for a validation metric"
    parser.add_argument("--rule", type=Rule | None, default=None, help=f"The rule to ask; by default {own}.")
    parser.add_argument("--max_epochs", type=int | None, default=None, help="The planned length; by default what ran.")
    what = "Samples that the training data has; without, passes over the data are counted."
    parser.add_argument("--samples", type=int | None, default=None, help=what)
    parser.add_argument("--output", type=str | None, default=None, help="An .html file for a page with the figures.")
    parser.add_class_arguments(Recipe, "recipe")
    options = parser.instantiate(parser.parse_args(list(arguments)))
    for name in ("max_epochs", "samples"):
        if options[name] is not None:
            require_int(name, options[name], low=1)
    if options.output is not None and not options.output.endswith(".html"):
        raise ValueError(f"output must be the name of an .html file, got {options.output!r}")
    return options


def _findings(options: Any) -> Findings:
    run = read(Path(options.run))
    max_epochs = options.max_epochs or run.max_epochs or run.logs.epochs
    if max_epochs < run.logs.epochs:
        raise ValueError(
            f"max_epochs must be at least {run.logs.epochs}, the epochs that were logged, got {max_epochs}"
        )
    if options.rule is not None:
        options.rule.check_run(max_epochs)
    verdicts = [
        ask(signal, rule, history, max_epochs)
        for signal, history in _signals(run, options.signal).items()
        for rule in ([options.rule] if options.rule is not None else rules_for(signal))
    ]
    recipe = dataclasses.replace(options.recipe, during=options.recipe.during or run.full_volume)
    samples = options.samples or run.samples
    return Findings(f"What {options.run} would have saved", run, verdicts, recipe, max_epochs, samples)


def _signals(run: Run, name: str | None) -> dict[str, dict[int, float]]:
    """What to look at: the named value, or our signals and the validation metrics."""
    logged = run.logs.signals
    if name is not None and name not in logged:
        raise ValueError(
            f"signal must be one of what was logged, {', '.join(sorted(logged)) or 'nothing'}, got {name!r}"
        )
    ours = {kind.name for kind in OWN_RULES}
    found = {n: h for n, h in logged.items() if n == name or (name is None and (n in ours or n.startswith("val")))}
    if not found:
        raise ValueError(
            f"there is no signal of ours and no metric whose name starts with val in {run.logs.epochs} epochs: name "
            f"one with --signal, of {', '.join(sorted(logged)) or 'nothing that a rule can read'}"
        )
    return dict(sorted(found.items(), key=lambda item: item[0] not in ours))
