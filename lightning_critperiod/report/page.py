"""The report of a run as a page."""

from collections.abc import Mapping
from html import escape
from typing import Any

from lightning_critperiod.report.caveats import caveats
from lightning_critperiod.report.files import Record
from lightning_critperiod.report.html import bullets, document, figure_grid, section, table
from lightning_critperiod.report.markdown import CITATION, facts
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.table import rows
from lightning_critperiod.report.words import decision, interval_note, metric, observed, percent


def page(record: Record, figures: Mapping[str, str]) -> str:
    """The report of a run as an HTML page.

    Args:
        record: Of a run.
        figures: Caption -> SVG element, as ``plotting.svgs`` draws them.

    Returns:
        The page.
    """
    parts = [
        f"<h1>{escape(decision(record))}</h1>",
        *([f"<p>{escape(observed(record))}</p>"] if observed(record) else []),
        _numbers(record),
        table(("", "measured", "projected full recipe", "saved"), rows(record)),
        f'<p class="note">{escape(interval_note(record))}</p>',
        section("Before believing it", bullets(caveats(record))),
        figure_grid(figures),
        *(section(heading, _facts(entries)) for heading, entries in facts(record).items()),
    ]
    if record.get("config"):
        parts.append(section("Configuration", f"<pre>{escape(record['config'])}</pre>"))
    parts.append(section("To cite", f"<p>{escape(CITATION)}</p>"))
    return document("What this training cost", parts)


def _numbers(record: Record) -> str:
    """The three numbers on top: saved, kept, decided at."""
    saved = ("Saved", *_saved(record)) if record["observed"] is None else ("Would have saved", *_would_save(record))
    entries = [saved, ("Kept", *_kept(record)), ("Decided at", *_decided(record))]
    cells = (f"<div><dt>{name}</dt><dd><b>{escape(big)}</b>{escape(small)}</dd></div>" for name, big, small in entries)
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _saved(record: Record) -> tuple[str, str]:
    saving = savings(record).get("seconds")
    if saving is None or saving.fraction is None:
        return "-", "no projection of the full recipe"
    if not saving.is_uncertain or saving.interval is None:
        return percent(saving.fraction), "of the projected full recipe's time"
    low, high = map(percent, saving.interval)
    return percent(
        saving.fraction
    ), f"of the projected full recipe's time, {low} to {high} by this run's own noise (95%)"


def _would_save(record: Record) -> tuple[str, str]:
    """An observed run changed nothing; what its recipe would have taken is the uncertain number."""
    other, seconds = record["observed"], record["measured"]["seconds"]
    small, ends = "of this run's time, projected", (other["seconds_low"], other["seconds_high"])
    if None not in ends:
        high, low = (percent(1 - end / seconds) for end in ends)
        small += f", {low} to {high} by this run's own noise (95%)"
    return percent(1 - other["seconds"] / seconds), small


def _kept(record: Record) -> tuple[str, str]:
    for stage in ("test", "validation"):
        metrics = record["metrics"][stage]
        # The metric that people call kept is an accuracy where there is one.
        name = next((name for name in metrics if "acc" in name), next(iter(metrics), None))
        if name is not None:
            return metric(metrics[name]), f"{name}, one run: its noise between seeds is not known"
    return "-", "no metric was logged"


def _decided(record: Record) -> tuple[str, str]:
    found, run = record["decision"], record["run"]
    if found is None or found["end_epoch"] is None:
        return "-", f"not over in {run['epochs_done']} epochs"
    after = f"after epoch {found['end_epoch'] - 1}" if found["end_epoch"] else "before the first epoch"
    return after, f"of {run['max_epochs']} epochs, by {found['rule']}"


def _facts(entries: dict[str, Any]) -> str:
    pairs = ((escape(str(name)), escape("unknown" if value is None else str(value))) for name, value in entries.items())
    return (
        f'<table class="facts">{"".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in pairs)}</table>'
    )
