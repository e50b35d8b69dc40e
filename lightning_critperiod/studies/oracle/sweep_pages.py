"""What an oracle leaves beside its records: the table and the figures."""

from pathlib import Path

from lightning_critperiod.record import write
from lightning_critperiod.studies.charts import as_text
from lightning_critperiod.studies.oracle.sweep import Sweep, load
from lightning_critperiod.studies.oracle.switch_figures import figure1, figure2
from lightning_critperiod.studies.oracle.switch_table import markdown


def redraw(folder: Path) -> Sweep:
    """Make table.md, figure1.svg and, where fractions were trained, figure2.svg from the records; trains nothing.

    Args:
        folder: The folder of an oracle.

    Returns:
        What they show.
    """
    sweep = load(folder)
    figures = {"figure1.svg": figure1(sweep), "figure2.svg": figure2(sweep)}
    texts = {name: as_text(figure) for name, figure in figures.items() if figure is not None}
    write({"table.md": markdown(sweep), **texts}, folder)
    return sweep
