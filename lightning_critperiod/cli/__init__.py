"""The command line. What a command needs is imported when it is called: Lightning alone takes seconds."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from lightning_critperiod.cli.refusal import Refusal, refusing

OVERVIEW = {
    "fit": "Train, and leave a report of what the run cost and saved in its folder.",
    "validate": "Evaluate a model on the validation data.",
    "test": "Evaluate a model on the test data.",
    "predict": "Run a model on data without labels.",
    "compare": "Train a recipe and its baselines with the same seeds; say what each one lost and saved.",
    "oracle": "Train a recipe with the switch at each epoch of a grid; say what each switch keeps and saves.",
    "report": "Draw the report of a run again, or show several runs on one page. Trains nothing.",
    "inspect": "Read the log of any finished Lightning run: how long was it worth training? Trains nothing.",
}
HELP = """usage: critperiod COMMAND [OPTIONS]

{commands}

critperiod COMMAND --help explains the options of a command. To see it work: critperiod fit --config digits
"""


def main() -> None:
    """Run the command line. Bad input is one line on standard error and exit status 2; Ctrl-C is status 130."""
    try:
        status = _run(sys.argv[1:])
    except Refusal as refusal:
        sys.stderr.write(f"critperiod: error: {refusal}\n")
        status = 2
    except KeyboardInterrupt:
        status = 130  # of a program that Ctrl-C ended
    if status is not None:
        sys.exit(status)


def _run(arguments: list[str]) -> int | None:
    first = arguments[0] if arguments else "--help"
    if first in {"-h", "--help"}:
        sys.stdout.write(HELP.format(commands="\n".join(f"  {name:<10}{what}" for name, what in OVERVIEW.items())))
    elif first == "--version":
        sys.stdout.write(f"critperiod {_version()}\n")
    elif first not in OVERVIEW and not (first.startswith("-") and OVERVIEW.keys() & arguments):
        raise Refusal(f"there is no command {first!r}, only {', '.join(OVERVIEW)}")
    else:
        _find_modules_here()
        return COMMANDS.get(first, _lightning)(arguments[1:])
    return None


def _version() -> str:
    from importlib.metadata import version

    return version("lightning-critperiod")


def _find_modules_here() -> None:
    """Modules in the working directory are found, as they are by ``python main.py``."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)


def _lightning(arguments: list[str]) -> None:
    from lightning_critperiod.cli.first_look import first_look

    with refusing():
        first_look(arguments)
    from lightning_critperiod.cli.lightning_cli import CritperiodCLI

    CritperiodCLI()


def _compare(arguments: list[str]) -> int:
    with refusing():
        from lightning_critperiod.studies.compare.compare_options import parse

        options = parse(arguments)
        from lightning_critperiod.studies.compare.comparison import prepare

        return prepare(options, _cli(options.config.build)).run()


def _oracle(arguments: list[str]) -> int:
    with refusing():
        from lightning_critperiod.studies.oracle.oracle_options import parse

        options = parse(arguments)
        from lightning_critperiod.studies.oracle.oracle import prepare

        return prepare(options, _cli(options.config.build)).run()


def _cli(build: str | None) -> Callable[..., Any]:
    """What makes the runs of a study. It is sent to other processes, with the import path of the function."""
    if build is None:
        from lightning_critperiod.cli.lightning_cli import CritperiodCLI

        return CritperiodCLI
    from lightning_critperiod.cli.built_cli import BuiltCLI

    return partial(BuiltCLI, build)


def _report(arguments: list[str]) -> None:
    with refusing():
        from lightning_critperiod.cli.report_command import report

        report(arguments)


def _inspect(arguments: list[str]) -> None:
    with refusing():
        from lightning_critperiod.inspection import inspect

        inspect(arguments)


COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "compare": _compare,
    "oracle": _oracle,
    "report": _report,
    "inspect": _inspect,
}
"""The others are LightningCLI's."""
