"""The report as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from lightning_critperiod.report.caveats import caveats
from lightning_critperiod.report.files import Record
from lightning_critperiod.report.table import rows
from lightning_critperiod.report.words import headline, interval_note

CITATION = (
    "Fukase, Gama, Bueno, Libanio, Costa, Jordao: One Period to Rule Them All: Identifying Critical Learning Periods "
    "in Deep Networks, arXiv 2506.15954 (2025)."
)


def facts(record: Record) -> dict[str, dict[str, Any]]:
    """Heading -> name -> value: how the figures were obtained, what ran where."""
    measured = record["measured"]
    found = {"How the figures were obtained": {**measured["obtained"], **_priced(measured)}} if measured else {}
    if record["decision"] is not None:
        chosen = ("signal", "rule", "lr_policy", "observe_only")
        found["Method"] = {name: record["decision"][name] for name in chosen} | _recipe(record["decision"])
    return {**found, "Run": record["run"], "Hardware": record["hardware"], "Versions": record["versions"]}


def _priced(measured: dict[str, Any]) -> dict[str, str]:
    """What turns energy and time into CO2 and money."""
    if measured["energy_kwh"] is None:
        return {}
    region = f", {measured['region']}" if measured["region"] else ""
    currency = measured["currency"]
    return {
        "CO2-equivalent": f"energy x mean intensity of the grid of {measured['country_iso_code']}{region} (codecarbon)",
        "money": f"{measured['price_per_kwh']:g} {currency} per kWh + {measured['price_per_hour']:g} {currency} per "
        "hour, prices as given",
    }


def _recipe(decision: dict[str, Any]) -> dict[str, Any]:
    recipe = decision["recipe"]
    during, after = recipe["during"] or decision["full_volume"], recipe["after"]
    volumes = {"volume during the period": during, "volume after it": after}
    words = {
        name: f"augmentation_multiplier {volume['augmentation_multiplier']:g}, "
        f"pruning_ratio {volume['pruning_ratio']:g}"
        for name, volume in volumes.items()
    }
    return {**words, "annealing_fraction": recipe["annealing_fraction"]}


def markdown(record: Record) -> str:
    """The report of a run as one Markdown page.

    Args:
        record: Of a run.

    Returns:
        Its text.
    """
    costs = markdown_table(("", "measured", "projected full recipe", "saved"), rows(record))
    note = interval_note(record)
    parts = ["# What this training cost", headline(record), costs, *([note] if note else [])]
    parts += ["## Before believing it", "\n".join(f"- {text}" for text in caveats(record))]
    for heading, entries in facts(record).items():
        parts += [f"## {heading}", "\n".join(f"- {name}: {_value(value)}" for name, value in entries.items())]
    if record.get("config"):
        parts += ["## Configuration", f"```yaml\n{record['config'].rstrip()}\n```"]
    return "\n\n".join([*parts, "## To cite", CITATION]) + "\n"


def markdown_table(head: Sequence[str], body: Iterable[Iterable[str]]) -> str:
    """Cells of plain text, the first column left-aligned, the others right-aligned."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(_row(cells) for cells in (head, rule, *body))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(value: Any) -> str:
    return "unknown" if value is None else str(value)
