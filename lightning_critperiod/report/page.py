"""The report of a run as a page."""

from collections.abc import Mapping
from html import escape

from lightning_critperiod.record import Record
from lightning_critperiod.report.advice import ADVICE, advice
from lightning_critperiod.report.caveats import CAVEATS, caveats
from lightning_critperiod.report.facts import CITATION, facts
from lightning_critperiod.report.html import bullets, document, figure_grid, section, table
from lightning_critperiod.report.savings import savings, time_saving
from lightning_critperiod.report.table import cells
from lightning_critperiod.report.words import (
    amount,
    epochs_of,
    metric,
    notes,
    percent,
    plural,
    sentences,
    switched_at,
    with_weights,
)


def page(record: Record, figures: Mapping[str, str]) -> str:
    """The report of a run as an HTML page.

    Args:
        record: The record of a run.
        figures: Caption -> SVG element, as ``plotting.svgs`` draws them.

    Returns:
        The page.
    """
    said, (head, *rows) = sentences(record), cells(record)
    parts = [
        f"<h1>{escape(said[0])}</h1>",
        *(f"<p>{escape(text)}</p>" for text in said[1:]),
        _numbers(record),
        table(head, rows),
        *(f'<p class="note">{escape(text)}</p>' for text in notes(record)),
        *([section(ADVICE, bullets(one.text for one in advice(record)))] if advice(record) else []),
        section(CAVEATS, bullets(caveats(record))),
        figure_grid(figures),
        *(section(heading, _facts(entries)) for heading, entries in facts(record).items()),
    ]
    if record.config:
        parts.append(section("Configuration", f"<pre>{escape(record.config)}</pre>"))
    parts.append(section("To cite", f"<p>{escape(CITATION)}</p>"))
    return document("What this training cost", parts)


def _numbers(record: Record) -> str:
    """The numbers on top: saved, kept, decided at; of a run without a decision what it took and reached."""
    if record.decision is None:
        entries = [("Took", *_took(record)), ("Reached", *_kept(record))]
    else:
        entries = [_saving(record), ("Kept", *_kept(record)), ("Decided at", *_decided(record))]
    cells = (f"<div><dt>{name}</dt><dd><b>{escape(big)}</b>{escape(small)}</dd></div>" for name, big, small in entries)
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _saving(record: Record) -> tuple[str, str, str]:
    """What the decision saved or would have saved; what the run took where it left nothing out."""
    if record.observed is not None:
        return "Would have saved", *_would_save(record)
    other = record.projected
    if other is not None and not other.epochs_projected and not other.epochs_left_out:
        return "Took", *_took(record)
    return "Saved", *_saved(record)


def _took(record: Record) -> tuple[str, str]:
    seconds = None if record.measured is None else record.measured.seconds
    return amount("seconds", seconds), f"{epochs_of(record.run)} done"


def _saved(record: Record) -> tuple[str, str]:
    saving = savings(record).get("seconds")
    if saving is None or saving.fraction is None:
        return "-", "no projection of the full recipe"
    if not saving.is_uncertain or saving.interval is None:
        return percent(saving.fraction), "of the projected full recipe's time"
    low, high = map(percent, saving.interval)
    small = f"of the projected full recipe's time, {low} to {high} by the noise within this run (95%)"
    return percent(saving.fraction), small


def _would_save(record: Record) -> tuple[str, str]:
    """An observed run changed nothing; what its recipe would have taken is the uncertain number."""
    if record.measured is None or record.observed is None:
        return "-", "no projection of the recipe"
    other, seconds = time_saving(record.measured, record.observed), record.measured.seconds
    small = "of this run's time, projected"
    if other.low is not None and other.high is not None:
        high, low = (percent(1 - end / seconds) for end in (other.low, other.high))
        small += f", {low} to {high} by the noise within this run (95%)"
    return percent(1 - record.observed.seconds / seconds), small


def _kept(record: Record) -> tuple[str, str]:
    for metrics in (record.metrics.test, record.metrics.validation):
        # The metric that the run is judged by, if that is known; else an accuracy where there is one.
        accuracy = next((name for name in metrics if "acc" in name), next(iter(metrics), None))
        name = record.run.monitor if record.run.monitor in metrics else accuracy
        if name is not None:
            said = with_weights(record, name) if metrics is record.metrics.validation else name
            return metric(metrics[name]), f"{said}, one run: its noise between seeds is not known"
    return "-", "no metric was logged"


def _decided(record: Record) -> tuple[str, str]:
    found = record.decision
    if found is not None and found.cooldown_epoch is not None and not found.cooled_down_by_rule:
        return f"after epoch {found.cooldown_epoch - 1}", found.cooldown_reason or "a cooldown"
    if found is None or found.end_epoch is None:
        return "-", f"not over in {plural(record.run.epochs_done, 'epoch')}"
    return switched_at(found), f"{epochs_of(record.run)} done, by {found.rule}"


def _facts(entries: Mapping[str, str]) -> str:
    lines = (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in entries.items())
    return f'<table class="facts">{"".join(lines)}</table>'
