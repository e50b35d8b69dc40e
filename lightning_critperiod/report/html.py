"""What the pages are made of: one self-contained document, no request, no script, light and dark, phone and print."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from lightning_critperiod.report.colors import DARK, LIGHT

STYLE = """
:root { color-scheme: light dark; %(light)s; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { %(dark)s; --paper: #16181c; } }
@media print { :root { %(light)s; --paper: #ffffff; } figure, section { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.25rem, 4vw, 1.5rem); line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; padding: 0; }
.numbers > div { border-top: 3px solid var(--blue); padding-top: .4rem; }
.numbers dt { color: var(--muted); } .numbers dd { margin: 0; } .numbers b { font-size: 1.8rem; display: block; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%%, 22rem), 1fr)); gap: 1.5rem;
  margin-top: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { display: block; width: 100%%; height: auto; }
.wide { overflow-x: auto; overflow-wrap: normal; }
@media (max-width: 30rem) { .wide table { font-size: .8rem; } .wide td, .wide th { padding: .3rem .2rem; } }
table { border-collapse: collapse; width: 100%%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--shade); vertical-align: top; }
.words, .facts td { text-align: left; }
.cards table { font-size: .85rem; } .cards td:first-child { overflow-wrap: anywhere; min-width: 7rem; }
@media (max-width: 40rem) {
  .cards tr { display: block; padding: .5rem 0; border-bottom: 2px solid var(--shade); }
  .cards tr:first-child { display: none; }
  .cards td { display: flex; justify-content: space-between; gap: 1rem; border: 0; text-align: right; }
  .cards td::before { content: attr(data-name); color: var(--muted); text-align: left; white-space: nowrap; }
  .cards td:first-child { font-weight: 600; } .cards td:first-child::before { font-weight: 400; }
}
@media print {
  body { font-size: 12px; padding: 0; } pre { white-space: pre-wrap; } section { margin-top: 0; }
  .figures { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; }
  .cards table { font-size: .7rem; } .cards td { padding: .2rem; }
}
.note { color: var(--muted); font-size: .85rem; margin-top: .3rem; } .note:empty { display: none; }
.facts td:first-child { color: var(--muted); width: 35%%; }
@media (max-width: 30rem) { .facts td { font-size: .85rem; } .facts td:first-child { width: 44%%; } }
svg text { paint-order: stroke; stroke: var(--paper); stroke-width: 2px; }
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


def table(head: Sequence[str], body: Iterable[Sequence[str]], text: int = 1) -> str:
    """Cells of plain text, the first ``text`` columns left-aligned as words are.

    More columns than a phone has room for become one card a row there: every cell says its column's name itself.

    Returns:
        The element; it scrolls by itself where it is too wide.
    """
    kind = "wide cards" if len(head) > 4 else "wide"
    top = "".join(f"<th{_words(i, text)}>{escape(cell)}</th>" for i, cell in enumerate(head))
    lines = (
        "".join(
            f'<td{_words(i, text)} data-name="{escape(name)}">{escape(cell)}</td>'
            for i, (name, cell) in enumerate(zip(head, row, strict=True))
        )
        for row in body
    )
    return f'<div class="{kind}"><table><tr>{top}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def _words(column: int, text: int) -> str:
    return ' class="words"' if column < text else ""


def figure_grid(figures: Mapping[str, str]) -> str:
    """Figures side by side where there is room, caption -> SVG element."""
    return f'<div class="figures">{"".join(_figures(figures))}</div>'


def _figures(figures: Mapping[str, str]) -> Iterable[str]:
    for caption, svg in figures.items():
        labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
        yield f"<figure><figcaption>{escape(caption)}</figcaption>{labelled}</figure>"
