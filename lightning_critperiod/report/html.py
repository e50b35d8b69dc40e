"""What the pages are made of: one self-contained document, no request, no script, light and dark, phone and print."""

from collections.abc import Iterable, Mapping
from html import escape

from lightning_critperiod.report.colors import DARK, LIGHT

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
.note { color: var(--muted); font-size: .85rem; margin-top: .3rem; } .note:empty { display: none; }
.facts td:first-child { color: var(--muted); width: 35%%; }
pre { overflow-x: auto; padding: .7rem; background: var(--shade); font-size: .85rem; }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page of ``parts``, one element each."""
    body = "\n".join(parts)
    light = "; ".join(f"--{name}: {color}" for name, color in LIGHT.items())
    dark = "; ".join(f"--{name}: {color}" for name, color in DARK.items())
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>{STYLE % {'light': light, 'dark': dark}}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(heading: str, content: str) -> str:
    """A part of a page with a heading; the content is HTML."""
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"


def bullets(texts: Iterable[str]) -> str:
    """A list of plain texts."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """Cells of plain text; scrolls by itself where it is too wide."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def figure_grid(figures: Mapping[str, str]) -> str:
    """Figures side by side where there is room, caption -> SVG element."""
    return f'<div class="figures">{"".join(_figures(figures))}</div>'


def _figures(figures: Mapping[str, str]) -> Iterable[str]:
    for caption, svg in figures.items():
        labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
        yield f"<figure><figcaption>{escape(caption)}</figcaption>{labelled}</figure>"
