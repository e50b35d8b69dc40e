"""The report as one self-contained page: no request, no script, light and dark, phone and print."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from lightning_critperiod.report.colors import DARK, LIGHT
from lightning_critperiod.report.files import Record
from lightning_critperiod.report.markdown import CITATION, facts
from lightning_critperiod.report.savings import savings
from lightning_critperiod.report.table import rows
from lightning_critperiod.report.words import caveats, headline, metric, percent

STYLE = """
:root { color-scheme: light dark; %(light)s; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { %(dark)s; --paper: #16181c; } }
@media print { :root { %(light)s; --paper: #ffffff; } figure, section { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; padding: 0; }
.numbers > div { border-top: 3px solid var(--blue); padding-top: .4rem; }
.numbers dt { color: var(--muted); } .numbers dd { margin: 0; } .numbers b { font-size: 1.8rem; display: block; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%%, 22rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { display: block; width: 100%%; height: auto; }
.wide { overflow-x: auto; overflow-wrap: normal; }
@media (max-width: 30rem) { .wide table { font-size: .8rem; } .wide td, .wide th { padding: .3rem .2rem; } }
table { border-collapse: collapse; width: 100%%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--shade); vertical-align: top; }
th:first-child, td:first-child { text-align: left; } .facts td { text-align: left; }
.facts td:first-child { color: var(--muted); width: 35%%; }
pre { overflow-x: auto; padding: .7rem; background: var(--shade); font-size: .85rem; }
"""


def page(record: Record, figures: Mapping[str, str]) -> str:
    """The report of a run as an HTML page.

    Args:
        record: Of a run.
        figures: Caption -> SVG element, as ``plotting.svgs`` draws them.

    Returns:
        The page.
    """
    parts = [
        f"<h1>{escape(headline(record))}</h1>",
        _numbers(record),
        _table(("", "measured", "projected full recipe", "saved"), rows(record)),
        _section("Before believing it", f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in caveats(record))}</ul>"),
        f'<div class="figures">{"".join(_figures(figures))}</div>',
        *(_section(heading, _facts(entries)) for heading, entries in facts(record).items()),
    ]
    if record.get("config"):
        parts.append(_section("Configuration", f"<pre>{escape(record['config'])}</pre>"))
    parts.append(_section("To cite", f"<p>{escape(CITATION)}</p>"))
    return _document("What this training cost", "\n".join(parts))


def _document(title: str, body: str) -> str:
    light = "; ".join(f"--{name}: {color}" for name, color in LIGHT.items())
    dark = "; ".join(f"--{name}: {color}" for name, color in DARK.items())
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE % {'light': light, 'dark': dark}}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _numbers(record: Record) -> str:
    """The three numbers on top: saved, kept, decided at."""
    entries = [("Saved", *_saved(record)), ("Kept", *_kept(record)), ("Decided at", *_decided(record))]
    cells = (f"<div><dt>{name}</dt><dd><b>{escape(big)}</b>{escape(small)}</dd></div>" for name, big, small in entries)
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _saved(record: Record) -> tuple[str, str]:
    saving = savings(record).get("seconds")
    if saving is None or saving.fraction is None:
        return "-", "no projection of the full recipe"
    if saving.interval is None or saving.interval[0] == saving.interval[1]:
        return percent(saving.fraction), "of the projected full recipe's time"
    low, high = saving.interval
    return percent(
        saving.fraction
    ), f"of the projected full recipe's time, 95% interval {percent(low)} to {percent(high)}"


def _kept(record: Record) -> tuple[str, str]:
    for stage in ("test", "validation"):
        metrics = record["metrics"][stage]
        # The metric that people call kept is an accuracy where there is one.
        name = next((name for name in metrics if "acc" in name), next(iter(metrics), None))
        if name is not None:
            return metric(metrics[name]), f"{name}, one run: its noise between seeds is not known"
    return "-", "no metric was logged"


def _decided(record: Record) -> tuple[str, str]:
    decision, run = record["decision"], record["run"]
    if decision is None or decision["end_epoch"] is None:
        return "-", f"not over in {run['epochs_done']} epochs"
    after = f"after epoch {decision['end_epoch'] - 1}" if decision["end_epoch"] else "before the first epoch"
    return after, f"of {run['max_epochs']} epochs, by {decision['rule']}"


def _figures(figures: Mapping[str, str]) -> Iterable[str]:
    for caption, svg in figures.items():
        labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
        yield f"<figure><figcaption>{escape(caption)}</figcaption>{labelled}</figure>"


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _facts(entries: dict[str, Any]) -> str:
    pairs = ((escape(str(name)), escape("unknown" if value is None else str(value))) for name, value in entries.items())
    return (
        f'<table class="facts">{"".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in pairs)}</table>'
    )
