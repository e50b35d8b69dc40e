"""What a comparison leaves beside its records: the tables, the figure, and the numbers in them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_critperiod.record import as_json, write
from lightning_critperiod.studies.arm import Arm
from lightning_critperiod.studies.charts import as_text
from lightning_critperiod.studies.compare.comparison_table import markdown
from lightning_critperiod.studies.compare.levers.recipe_text import recommended
from lightning_critperiod.studies.compare.pareto import pareto_figure
from lightning_critperiod.studies.compare.shipped_arms import make
from lightning_critperiod.studies.metric import Metric, redrawn
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.rows import Studied, Summary, summarize
from lightning_critperiod.studies.sources import build_of

SUMMARY = "summary.json"


def draw(arms: Sequence[Arm], studied: Studied, metric: Metric, margin: float | None, folder: Path) -> Summary:
    """Write table.md, summary.json and pareto.svg, and the recommended recipe where levers are compared.

    Args:
        arms: In the order of the rows.
        studied: The finished runs.
        metric: The metric that decides.
        margin: The margin of non-inferiority, in the metric's unit.
        folder: The folder of the comparison.

    Returns:
        What they say.
    """
    summary = summarize(arms, studied, metric, margin)
    runs = [run for by_seed in studied.values() for run in by_seed.values()]
    recipe = recommended(summary, studied, build_of(Results(folder).study.get("config", [])))
    write(
        {
            "table.md": markdown(summary, title(folder, summary), runs, recipe),
            **recipe,
            SUMMARY: as_json(_plain(summary)),
            "pareto.svg": as_text(pareto_figure(summary)),
        },
        folder,
    )
    return summary


def title(folder: Path, summary: Summary) -> str:
    """Of the tables."""
    seeds = len(_seeds(summary))
    return f"{folder.name}: {len(summary.rows)} arms, {seeds} seed{'s' * (seeds > 1)}"


def redraw(folder: Path) -> None:
    """Make the tables and the figure of a comparison again from its records; trains nothing.

    Args:
        folder: The folder of a comparison that has been drawn before.
    """
    known = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    results = Results(folder)
    lost = [{"arm": arm, "description": ""} for arm in known.get("without_a_row", [])]
    known["arms"] += lost
    studied = {row["arm"]: results.runs(row["arm"]) for row in known["arms"]}
    overrides = {arm: next(iter(runs.values())).overrides for arm, runs in studied.items()}
    arms = [make(row["arm"], overrides[row["arm"]], row["description"]) for row in known["arms"]]
    metric = redrawn({**known, **results.study})
    draw(arms, studied, metric, results.study["margins"].get(metric.name), folder)


def _seeds(summary: Summary) -> list[int]:
    return sorted({seed for row in summary.rows for seed in row.values})


def _plain(summary: Summary) -> dict[str, Any]:
    rows = [
        {**dataclasses.asdict(row), "seconds": row.seconds, "mean": row.mean, "interval": row.interval}
        for row in summary.rows
    ]
    metric = summary.metric
    no_row = [arm for arm in summary.lost if summary.row(arm) is None]
    return {
        "metric": metric.name,
        "mode": metric.mode,
        "unit": metric.label,
        "margin": summary.margin,
        "seeds": _seeds(summary),
        "arms": rows,
        **({"without_a_row": no_row} if no_row else {}),
    }
