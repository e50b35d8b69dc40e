"""Makes the tables and figures of every study in results/ anew from its records; trains nothing: benchmarks/results.py"""

import json
from pathlib import Path

from lightning_critperiod import compare, oracle

RESULTS = Path(__file__).parents[1] / "results"


def redraw(results: Path) -> list[Path]:
    """Remake what `critperiod compare` and `critperiod oracle` left in the folders under results.

    Returns:
        The folders.
    """
    studies = sorted(results.rglob("study.json"))
    for study in studies:
        command = json.loads(study.read_text(encoding="utf-8")).get("command", "compare")
        {"compare": compare.redraw, "oracle": oracle.redraw}[command](study.parent)
    return [study.parent for study in studies]


if __name__ == "__main__":
    redraw(RESULTS)
