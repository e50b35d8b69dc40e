"""``critperiod report``: pages drawn again from the records of runs, and one page that shows several side by side."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser

from lightning_critperiod.record import Record, load, write
from lightning_critperiod.report import command_console, comparison_pages, comparison_table, pages
from lightning_critperiod.report.summary import print_summary

DESCRIPTION = (
    "Draws report.md and report.html of a run again, from its report.json. For several runs it writes one page that "
    "shows them side by side. It trains nothing and does not change report.json."
)
SUFFIXES = ("", ".md", ".html")


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Args:
        runs: Run folders or their records, each once.
        output: Path of the pages without their suffix.
    """

    runs: list[str]
    output: Path


def report(arguments: Sequence[str]) -> None:
    """Run the command: write the pages, all or none, and say on standard output what is in them.

    A missing or damaged record and a wrong argument are an OSError or a ValueError of one line.

    Args:
        arguments: Those behind ``critperiod report``.
    """
    options = _options(arguments)
    records = {run: load(run) for run in options.runs}
    output = options.output
    first, *others = records.values()
    with _whole(records):
        texts = comparison_pages(records, output.name) if others else pages(first, output.name)
    write(texts, output.parent)
    terminal = command_console()
    if others:
        terminal.print(comparison_table(records))
    else:
        print_summary(terminal, first, None)
    terminal.print(f"Written: {', '.join(str(output.parent / name) for name in texts)}", soft_wrap=True)


def _options(arguments: Sequence[str]) -> Options:
    parser = ArgumentParser(prog="critperiod report", description=DESCRIPTION, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="A run folder, or its report.json.")
    where = "Write FILE.md and FILE.html. If not given, beside report.json (one run) or ./comparison (several)."
    parser.add_argument("--output", metavar="FILE", type=str | None, default=None, help=where)
    found = parser.parse_args(list(arguments))
    runs = list(dict.fromkeys(found.runs))
    output = _beside(Path(runs[0])) if len(runs) == 1 else Path("comparison")
    if found.output is not None:
        output = Path(found.output)
        if output.suffix not in SUFFIXES:
            raise ValueError(f"output must be a name that ends in .md or .html, or in neither, got {found.output!r}")
    return Options(runs, output.with_suffix(""))


def _beside(run: Path) -> Path:
    return run / "report" if run.is_dir() else run


@contextmanager
def _whole(records: dict[str, Record]) -> Generator[None]:
    """A record that JSON can read may still lack a part, or have one of another kind: that is one line, too."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        names = ", ".join(records)
        raise ValueError(
            f"{names} cannot be drawn, a part is missing or wrong: {type(error).__name__} {error}"
        ) from error
