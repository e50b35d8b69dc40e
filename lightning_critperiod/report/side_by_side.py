"""Several runs side by side: one row a run, as a table for a terminal, as Markdown and as a page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report import html
from lightning_critperiod.report.caveats import CAVEATS, read_validation
from lightning_critperiod.report.markdown import bullets, markdown_table
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.words import amount, headline, metric, percent, switched_at

if TYPE_CHECKING:
    from rich.table import Table

TITLE = "Runs side by side"
Records = Mapping[str, Record]
"""Name of the run -> its record, in the order of the rows."""


def cells(records: Records) -> list[tuple[str, ...]]:
    """Header and one line a run: decision, epochs, costs and what was saved, then every metric that any run has.

    Wall-clock time has no columns where the noise of the machine is larger than what any run saved.

    Args:
        records: Name of the run -> its record.

    Returns:
        The cells as text.
    """
    metrics = list(dict.fromkeys(name for record in records.values() for name in _metrics(record)))
    counted = any(record.measured and record.measured.flops is not None for record in records.values())
    costs = ["samples", "samples saved", *(("flops", "FLOPs saved") if counted else ())]
    costs += ["seconds", "time saved"] if time_tells(records) else []
    head = ("run", "decided", "epochs", *("FLOPs" if cost == "flops" else cost for cost in costs), *metrics)
    return [head, *(_line(name, record, costs, metrics) for name, record in records.items())]


def time_tells(records: Records) -> bool:
    """Whether some run saved, or lost, more time than its own noise could have made; also where no noise is known."""
    known = [savings(record)["seconds"] for record in records.values() if record.measured]
    intervals = [saving.interval for saving in known if saving.is_uncertain and saving.interval is not None]
    return not intervals or any(low > 0 or high < 0 for low, high in intervals)


def _line(name: str, record: Record, costs: Sequence[str], metrics: Sequence[str]) -> tuple[str, ...]:
    saving, found = savings(record), _metrics(record)
    said: list[str] = []
    for quantity in ("samples", "flops", "seconds"):
        known = saving.get(quantity)
        if quantity in costs:
            said += ("-", "-") if known is None else (amount(quantity, known.measured), percent(known.fraction))
    values = (metric(found[name]) if name in found else "-" for name in metrics)
    return name, _decided(record), _epochs(record), *said, *values


def _epochs(record: Record) -> str:
    done, planned = record.run.epochs_done, record.run.max_epochs
    return f"{done}" if planned is None else f"{done} of {planned}"


def _metrics(record: Record) -> dict[str, float | None]:
    return {**record.metrics.test, **record.metrics.validation}


def _decided(record: Record) -> str:
    decision = record.decision
    if decision is None:
        return "no callback"
    when = "not over" if decision.end_epoch is None else switched_at(decision)
    return f"{when}, observed" if decision.observe_only else when


def notes(records: Records) -> list[str]:
    """What a reader must know before comparing these runs."""
    return [*_of_the_costs(records), *_of_the_plans(records), *_of_the_metrics(records)]


def _of_the_costs(records: Records) -> list[str]:
    found = ["Saved is against what the full recipe would have cost in the same run, projected."]
    if not any(record.projected for record in records.values()):
        found = ["No run has a projection of the full recipe: what was saved is not known."]
    if not time_tells(records):
        found.append("Wall-clock time is left out: its noise within a run is larger than what any of the runs saved.")
    elif len({str(record.hardware) for record in records.values()}) > 1:
        found.append("The runs had different hardware: their seconds cannot be compared.")
    return found


def _of_the_plans(records: Records) -> list[str]:
    found = [
        "One run a row: a difference in a metric within the noise between seeds means nothing; `critperiod compare` "
        "trains several seeds and says what the noise is.",
    ]
    if len({record.run.max_epochs for record in records.values()}) > 1:
        found.append("The runs were planned for different numbers of epochs.")
    unfinished = [f"{name} ({record.status})" for name, record in records.items() if record.status != "completed"]
    return [*found, f"Not completed: {', '.join(unfinished)}."] if unfinished else found


def _of_the_metrics(records: Records) -> list[str]:
    found = []
    untested = [name for name, record in records.items() if not record.metrics.test]
    if untested:
        found.append(f"No separate test set was evaluated: {', '.join(untested)}.")
    favoured = [name for name, record in records.items() if read_validation(record)]
    if favoured:
        found.append(
            f"The decision read a validation metric, which favours the validation metrics: {', '.join(favoured)}."
        )
    return found


def comparison_table(records: Records) -> "Table":
    """The runs for a terminal.

    Args:
        records: Name of the run -> its record.

    Returns:
        A table for ``rich.console.Console().print``.
    """
    from rich.table import Table
    from rich.text import Text

    head, *lines = cells(records)
    result = Table(title=TITLE)
    for index, name in enumerate(head):
        # Text, not str: square brackets in the name of a run or a metric are no markup.
        result.add_column(Text(name), justify="right" if index else "left", overflow="fold")
    for line in lines:
        result.add_row(*map(Text, line))
    return result


def comparison_pages(records: Records, stem: str) -> dict[str, str]:
    """File name -> text of the comparison, as Markdown and as a page.

    Args:
        records: Name of the run -> its record.
        stem: The stem of the file names.

    Returns:
        ``<stem>.md`` and ``<stem>.html``.
    """
    (head, *lines), said = cells(records), [f"{name}: {headline(record)}" for name, record in records.items()]
    markdown = [
        f"# {TITLE}",
        markdown_table(head, lines),
        *(f"## {CAVEATS}", bullets(notes(records))),
        *("## Decisions", bullets(said)),
    ]
    parts = [
        f"<h1>{escape(TITLE)}</h1>",
        html.table(head, lines, text=2),
        html.section(CAVEATS, html.bullets(notes(records))),
        html.section("Decisions", html.bullets(said)),
    ]
    return {f"{stem}.md": "\n\n".join(markdown) + "\n", f"{stem}.html": html.document(TITLE, parts)}
