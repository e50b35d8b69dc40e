"""Several runs side by side: one row a run, as a table for a terminal, as Markdown and as a page."""

from collections.abc import Mapping, Sequence
from html import escape

from rich.table import Table

from lightning_critperiod.report import html
from lightning_critperiod.report.caveats import read_validation
from lightning_critperiod.report.files import Record
from lightning_critperiod.report.markdown import markdown_table
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.words import amount, headline, metric, percent

TITLE = "Runs side by side"
Records = Mapping[str, Record]
"""Name of the run -> its record, in the order of the rows."""


def cells(records: Records) -> list[tuple[str, ...]]:
    """Header and one line a run: decision, epochs, costs and what was saved, then every metric that any run has."""
    metrics = list(dict.fromkeys(name for record in records.values() for name in _metrics(record)))
    head = ("run", "decided", "epochs", "samples", "samples saved", "seconds", "time saved", *metrics)
    return [head, *(_line(name, record, metrics) for name, record in records.items())]


def _line(name: str, record: Record, metrics: Sequence[str]) -> tuple[str, ...]:
    run, saving, found = record["run"], savings(record), _metrics(record)
    costs: list[str] = []
    for quantity in ("samples", "seconds"):
        known = saving.get(quantity)
        costs += ("-", "-") if known is None else (amount(quantity, known.measured), percent(known.fraction))
    values = (metric(found[name]) if name in found else "-" for name in metrics)
    return name, _decided(record), f"{run['epochs_done']} of {run['max_epochs']}", *costs, *values


def _metrics(record: Record) -> dict[str, float | None]:
    return {**record["metrics"]["test"], **record["metrics"]["validation"]}


def _decided(record: Record) -> str:
    decision = record["decision"]
    if decision is None:
        return "no callback"
    end, observed = decision["end_epoch"], ", observed" if decision["observe_only"] else ""
    if end is None:
        return f"not over{observed}"
    return f"after epoch {end - 1}{observed}" if end else f"before epoch 0{observed}"


def notes(records: Records) -> list[str]:
    """What a reader must know before comparing these runs."""
    found = ["Saved is against what the full recipe would have cost in the same run, projected."]
    if not any(record["projected"] for record in records.values()):
        found = ["No run has a projection of the full recipe: what was saved is not known."]
    found += [
        "One run a row: a difference in a metric within the noise between seeds means nothing; `critperiod compare` "
        "trains several seeds and says what the noise is.",
    ]
    if len({str(record["hardware"]) for record in records.values()}) > 1:
        found.append("The runs had different hardware: their seconds cannot be compared.")
    if len({record["run"]["max_epochs"] for record in records.values()}) > 1:
        found.append("The runs were planned for different numbers of epochs.")
    unfinished = [f"{name} ({r['status']})" for name, r in records.items() if r["status"] != "completed"]
    untested = [name for name, record in records.items() if not record["metrics"]["test"]]
    if untested:
        found.append(f"No separate test set was evaluated: {', '.join(untested)}.")
    favoured = [name for name, record in records.items() if read_validation(record)]
    if favoured:
        found.append(
            f"The decision read a validation metric, which favours the validation metrics: {', '.join(favoured)}."
        )
    if unfinished:
        found.append(f"Not completed: {', '.join(unfinished)}.")
    return found


def comparison_table(records: Records) -> Table:
    """The runs for a terminal.

    Args:
        records: Name of the run -> its record.

    Returns:
        A table for ``rich.console.Console().print``.
    """
    head, *lines = cells(records)
    result = Table(title=TITLE)
    for index, name in enumerate(head):
        result.add_column(name, justify="right" if index else "left", overflow="fold")
    for line in lines:
        result.add_row(*line)
    return result


def comparison_pages(records: Records, stem: str) -> dict[str, str]:
    """File name -> text of the comparison, as Markdown and as a page.

    Args:
        records: Name of the run -> its record.
        stem: Of the file names.

    Returns:
        ``<stem>.md`` and ``<stem>.html``.
    """
    (head, *lines), said = cells(records), [f"{name}: {headline(record)}" for name, record in records.items()]
    markdown = [
        f"# {TITLE}",
        markdown_table(head, lines),
        *("## Before believing it", _list(notes(records))),
        *("## Decisions", _list(said)),
    ]
    parts = [
        f"<h1>{escape(TITLE)}</h1>",
        html.table(head, lines, text=2),
        html.section("Before believing it", html.bullets(notes(records))),
        html.section("Decisions", html.bullets(said)),
    ]
    return {f"{stem}.md": "\n\n".join(markdown) + "\n", f"{stem}.html": html.document(TITLE, parts)}


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)
