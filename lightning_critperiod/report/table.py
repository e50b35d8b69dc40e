"""The table at the end of a run."""

from typing import TYPE_CHECKING

from lightning_critperiod.record import Record
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.words import NAMES, amount, epochs_of, metric, percent, projected_amount, with_weights

if TYPE_CHECKING:
    from rich.table import Table

HEAD = ("", "measured", "projected full recipe", "saved")


def cells(record: Record) -> list[tuple[str, ...]]:
    """Header and rows: name, measured, projected full recipe, saved; first the costs, then the metrics.

    A run without a projection, as one without ``CriticalPeriodCallback``, has no columns for it.

    Args:
        record: A run's record.

    Returns:
        The cells as text.
    """
    columns = 2 if record.projected is None else len(HEAD)
    return [row[:columns] for row in (HEAD, *_rows(record))]


def _rows(record: Record) -> list[tuple[str, str, str, str]]:
    currency = "" if record.measured is None else record.measured.currency
    costs = [
        (
            NAMES[name],
            amount(name, saving.measured, currency),
            projected_amount(name, saving, currency),
            percent(saving.fraction),
        )
        for name, saving in savings(record).items()
    ]
    validation = [(with_weights(record, name), value) for name, value in record.metrics.validation.items()]
    logged = [*validation, *record.metrics.test.items()]
    return costs + [(name, metric(value), "", "") for name, value in logged]


def table(record: Record) -> "Table":
    """What a run measured, beside the projected full recipe, for a terminal.

    Args:
        record: A run's record.

    Returns:
        A table for ``rich.console.Console().print``.
    """
    from rich.table import Table
    from rich.text import Text

    result = Table(title=epochs_of(record.run))
    head, *rows = cells(record)
    result.add_column(head[0])
    for title in head[1:]:
        result.add_column(title, justify="right")
    costs = len(savings(record))
    for index, row in enumerate(rows):
        # Text, not str: square brackets in the name of a metric are no markup.
        result.add_row(*map(Text, row), end_section=index == costs - 1)
    return result
