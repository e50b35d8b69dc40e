"""The tables of a comparison."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lightning_critperiod.report.words import amount
from lightning_critperiod.studies.cells import Cells, as_markdown, bullets, conditions, passes_text
from lightning_critperiod.studies.compare.conclusions import conclusions
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.rows import REFERENCES, TWIN, Row, Summary
from lightning_critperiod.studies.statistics import Paired
from lightning_critperiod.studies.study_run import StudyRun

_FLOPS = "FLOPs are those of the training steps: of matrix products, convolutions and attention, forward and backward. "
_SECONDS = (
    "Seconds are the wall-clock time of one run's epochs with its detector; whatever else the machine did meanwhile is "
    "in them. "
)
_NO_SECONDS = (
    "Wall-clock time is left out: over these seeds its noise is larger than the difference between ours and full. "
)


def main_cells(summary: Summary) -> Cells:
    """Header and one line an arm, the best first: what it cost, what it kept."""
    costs = [*(["FLOPs"] if _counted(summary) else []), *(["seconds"] if summary.time_tells else [])]
    head = ("arm", "passes", "samples", *costs, "switch", summary.metric.label)
    other = TWIN if _has(summary, TWIN) else "ours"
    lines = [_main_line(row, summary.metric, costs, other) for row in summary.best_first]
    return [(*head, "against full", "verdict", "against short" if other == TWIN else "against ours"), *lines]


def _has(summary: Summary, reference: str) -> bool:
    return any(_difference(row, reference) is not None for row in summary.rows)


def _of_seconds(summary: Summary) -> str:
    if summary.time_tells:
        return _SECONDS
    # Where one of the two did not run, such as in a comparison of levers, nothing is known of their difference.
    return _NO_SECONDS if all(summary.row(arm) for arm in ("ours", "full")) else ""


def _difference(row: Row, reference: str) -> Paired | None:
    """The difference of a row to a reference, which may be its own shorter run."""
    return row.against.get(reference + row.arm if reference == TWIN else reference)


def _counted(summary: Summary) -> bool:
    return any(row.flops is not None for row in summary.rows)


def _main_line(row: Row, metric: Metric, costs: list[str], other: str) -> tuple[str, ...]:
    said = {"FLOPs": amount("flops", row.flops), "seconds": f"{row.seconds:.1f}"}
    to_full, to_other = (metric.difference(_difference(row, name)) for name in ("full", other))
    return (
        row.arm,
        passes_text(row.passes),
        f"{row.samples:,.0f}",
        *(said[cost] for cost in costs),
        _switches(row),
        metric.mean(row.mean, row.interval),
        to_full,
        row.verdict or "-",
        to_other,
    )


def _switches(row: Row) -> str:
    epochs = sorted(set(row.switches.values()))
    if not epochs:
        return "-"
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}"


def difference_cells(summary: Summary, reference: str) -> Cells:
    """Header and one line an arm: its paired difference to a reference."""
    head = ("arm", "difference", "95% t", "95% bootstrap", "sd", "seeds")
    full = reference == "full"
    found = [(row, difference) for row in summary.rows if (difference := _difference(row, reference)) is not None]
    lines = [_difference_line(row, difference, summary.metric) for row, difference in found]
    if not full:
        return [head, *lines]
    judged = [(row.verdict or "-", "-" if row.seeds_needed is None else str(row.seeds_needed)) for row, _ in found]
    return [(*head, "verdict", "seeds needed"), *((*line, *said) for line, said in zip(lines, judged, strict=True))]


def _difference_line(row: Row, difference: Paired, metric: Metric) -> tuple[str, ...]:
    return (
        row.arm,
        metric.change(difference.mean),
        "-" if difference.t is None else metric.interval(difference.t),
        "-" if difference.bootstrap is None else metric.interval(difference.bootstrap),
        "-" if difference.sd is None else metric.spread(difference.sd),
        str(difference.seeds),
    )


def markdown(summary: Summary, title: str, runs: Iterable[StudyRun], recipe: Mapping[str, str] | None = None) -> str:
    """All tables, the conclusions, and what they rest on.

    Args:
        summary: The summary of the comparison.
        title: The title of the page.
        runs: All of them, for hardware and versions.
        recipe: Name of a file -> content, where a recipe is recommended.

    Returns:
        A Markdown page.
    """
    parts = [
        f"# {title}",
        bullets(conclusions(summary)),
        as_markdown(main_cells(summary)),
        f"`{summary.metric.name}`: {summary.metric.reading}. Means over seeds, in brackets 95% t-intervals; "
        "differences are paired by seed. A pass is one pass over the training data. "
        f"{_FLOPS if _counted(summary) else ''}{_of_seconds(summary)}A switch is the first "
        "epoch after the critical period.",
    ]
    parts += [f"`{name}`:\n\n```{Path(name).suffix[1:]}\n{text}```" for name, text in (recipe or {}).items()]
    for reference in (*REFERENCES, TWIN):
        if _has(summary, reference):
            to = "a shorter run of the same FLOPs" if reference == TWIN else reference
            parts += [f"## Paired differences to {to}", as_markdown(difference_cells(summary, reference))]
    parts += ["## The arms", bullets(f"{row.arm}: {row.description}" for row in summary.rows)]
    parts += ["## Hardware and versions", bullets(conditions(runs))]
    return "\n\n".join(parts) + "\n"
