"""What a comparison leaves beside its records: the tables, the figure, and the numbers in them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_critperiod.compare.arm import Arm
from lightning_critperiod.compare.figure import as_text, pareto_figure
from lightning_critperiod.compare.results import STUDY, Results
from lightning_critperiod.compare.summary import Records, Row, summarize
from lightning_critperiod.compare.table import markdown
from lightning_critperiod.record import as_json, write

SUMMARY = "summary.json"


def draw(arms: Sequence[Arm], records: Records, metric: str, margin: float | None, folder: Path) -> list[Row]:
    """Write table.md, summary.json and pareto.svg.

    Args:
        arms: In the order of the rows.
        records: Of the finished runs.
        metric: The test metric that decides.
        margin: Of non-inferiority, in points.
        folder: Of the comparison.

    Returns:
        The rows of the table.
    """
    rows = summarize(arms, records, metric, margin)
    runs = [record for by_seed in records.values() for record in by_seed.values()]
    seeds = sorted({seed for by_seed in records.values() for seed in by_seed})
    summary = {"metric": metric, "margin": margin, "seeds": seeds, "arms": _plain(rows)}
    write(
        {
            "table.md": markdown(rows, title(folder, rows), margin, runs),
            SUMMARY: as_json(summary),
            "pareto.svg": as_text(pareto_figure(rows)),
        },
        folder,
    )
    return rows


def title(folder: Path, rows: Sequence[Row]) -> str:
    """Of the tables."""
    seeds = len({seed for row in rows for seed in row.accuracies})
    return f"{folder.name}: {len(rows)} arms, {seeds} seeds"


def redraw(folder: Path) -> None:
    """Make the tables and the figure of a comparison anew from its records; trains nothing.

    Args:
        folder: Of a comparison that has been drawn before.
    """
    known = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    margin = json.loads((folder / STUDY).read_text(encoding="utf-8"))["margin"]
    records = {row["arm"]: Results(folder).records(row["arm"]) for row in known["arms"]}
    arms = [
        Arm(row["arm"], next(iter(records[row["arm"]].values()))["comparison"]["overrides"], row["description"])
        for row in known["arms"]
    ]
    draw(arms, records, known["metric"], margin, folder)


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(row), "mean": row.mean, "interval": row.interval} for row in rows]
