"""Makes the tables and figures of all studies in results/ and of docs/oracle.md again; trains nothing: benchmarks/results.py"""

import re
from pathlib import Path

from lightning_critperiod.studies.compare import comparison_pages
from lightning_critperiod.studies.oracle import sweep_pages
from lightning_critperiod.studies.results import Results

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


def redraw(results: Path) -> list[Path]:
    """Remake what `critperiod compare` and `critperiod oracle` left in the folders under results.

    Returns:
        The folders.
    """
    studies = sorted(results.rglob("study.json"))
    for study in studies:
        command = Results(study.parent).study["command"]
        {"compare": comparison_pages.redraw, "oracle": sweep_pages.redraw}[command](study.parent)
    return [study.parent for study in studies]


def tables(study: Path) -> str:
    """The tables of a study's table.md, hardware left out."""
    page = (study / "table.md").read_text(encoding="utf-8").split("## Hardware")[0]
    return "\n".join(line for line in page.splitlines() if line.startswith(("|", "## ")) or not line)


def fill(page: Path, study: Path) -> None:
    """Put the tables of a study between the two marks of its name in a page."""
    begin, end = f"<!-- {study.name} -->\n", f"<!-- /{study.name} -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    found = re.sub(r"\n{2,}", "\n\n", tables(study).replace("## ", "### ")).strip()
    page.write_text(f"{before}{begin}\n{found}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    redraw(RESULTS)
    fill(ROOT / "docs" / "oracle.md", RESULTS / "oracle" / "fashion")
