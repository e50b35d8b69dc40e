"""The table at the end of a run."""

from rich.table import Table

from lightning_critperiod.report.files import Record
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.words import NAMES, amount, interval_note, metric, percent, projected_amount


def rows(record: Record) -> list[tuple[str, str, str, str]]:
    """Name, measured, projected full recipe, saved: first the costs, then the metrics.

    Args:
        record: Of a run.

    Returns:
        The cells as text.
    """
    currency = (record["measured"] or {}).get("currency", "")
    costs = [
        (
            NAMES[name],
            amount(name, saving.measured, currency),
            projected_amount(name, saving, currency),
            percent(saving.fraction),
        )
        for name, saving in savings(record).items()
    ]
    stages = record["metrics"]
    metrics = [
        (name, metric(value), "", "") for stage in ("validation", "test") for name, value in stages[stage].items()
    ]
    return costs + metrics


def table(record: Record) -> Table:
    """What a run measured, beside the projected full recipe, for a terminal.

    Args:
        record: Of a run.

    Returns:
        A table for ``rich.console.Console().print``.
    """
    title = f"{record['run']['epochs_done']} of {record['run']['max_epochs']} epochs"
    result = Table(title=title, caption=interval_note(record) or None)
    result.add_column("")
    for title in ("measured", "projected full recipe", "saved"):
        result.add_column(title, justify="right")
    costs = len(savings(record))
    for index, row in enumerate(rows(record)):
        result.add_row(*row, end_section=index == costs - 1)
    return result
