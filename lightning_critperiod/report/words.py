"""Numbers and findings in words: what the table and the pages say."""

from lightning_critperiod.report.files import Record
from lightning_critperiod.report.savings import Saving

NAMES = {
    "seconds": "time",
    "energy_kwh": "energy",
    "co2_kg": "CO2-equivalent",
    "money": "money",
    "samples": "samples drawn",
}


def amount(name: str, value: float | None, currency: str = "") -> str:
    """A quantity with its unit; three significant digits, whole samples, seconds to a tenth."""
    if value is None:
        return "not measured"
    if name == "samples":
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:,.1f} s"
    unit = {"energy_kwh": "kWh", "co2_kg": "kg"}.get(name, currency)
    return f"{value:.3g} {unit}"


def projected_amount(name: str, saving: Saving, currency: str = "") -> str:
    """The projection with its 95% interval, if there is one that says anything."""
    if saving.projected is None:
        return "-"
    text = amount(name, saving.projected, currency)
    if saving.low is None or saving.high is None or saving.low == saving.high:
        return text
    number, _, unit = text.partition(" ")
    low, high = (amount(name, end, currency).partition(" ")[0] for end in (saving.low, saving.high))
    return f"{number} [{low}, {high}] {unit}".rstrip()


def percent(fraction: float | None) -> str:
    """A fraction as a percentage; "-" if there is none."""
    return "-" if fraction is None else f"{100 * fraction:.1f}%"


def metric(value: float | None) -> str:
    """Four significant digits."""
    return "no value" if value is None else f"{value:.4g}"


def headline(record: Record) -> str:
    """The decision in one sentence."""
    decision = record["decision"]
    if decision is None:
        return "This run had no CriticalPeriodCallback: nothing was decided."
    reason = decision["reason"] or "critical period not over so far"
    text = reason[0].upper() + reason[1:] + "."
    if decision["observe_only"] and decision["end_epoch"] is not None:
        text += f" The run was only observed: nothing was changed. {_would_have(record)}".rstrip()
    return text


def _would_have(record: Record) -> str:
    observed, measured = record["observed"], record["measured"]
    if observed is None or measured is None:
        return ""
    time = projected_amount(
        "seconds", Saving(measured["seconds"], observed["seconds"], observed["seconds_low"], observed["seconds_high"])
    )
    return (
        f"From there on the recipe would have drawn {observed['samples']:,} samples in place of "
        f"{measured['samples']:,}, and taken {time} in place of {amount('seconds', measured['seconds'])} (projected)."
    )


def caveats(record: Record) -> list[str]:
    """What a reader must know before believing the numbers of this run, one sentence or two each."""
    return [*_of_the_run(record), *_of_the_metrics(record), *_of_the_projection(record), *_of_the_energy(record)]


def _of_the_run(record: Record) -> list[str]:
    run, found = record["run"], []
    if record["status"] != "completed":
        found.append(
            f"The run was {record['status']} after {run['epochs_done']} of {run['max_epochs']} epochs"
            + (f" ({record['error']})" if record.get("error") else "")
            + "; the report is of what was done until then."
        )
    seed = "an unknown seed" if run.get("seed") is None else f"seed {run['seed']}"
    found.append(f"One run with {seed}: a difference in accuracy within the noise between seeds means nothing.")
    return found


def _of_the_metrics(record: Record) -> list[str]:
    found = []
    if not record["metrics"]["test"]:
        found.append("No separate test set was evaluated: the metrics are those of the validation data.")
    decision = record["decision"]
    if decision is not None and decision["signal"] in record["metrics"]["validation"]:
        found.append(
            f"The decision read the validation metric {decision['signal']}, so that the validation metrics favour it."
        )
    return found


def _of_the_projection(record: Record) -> list[str]:
    projected = record["projected"]
    if projected is None:
        return []
    if projected["epochs_projected"] == 0:
        return ["Every epoch drew the full recipe: its cost is what was measured, without the detector's time."]
    found = [
        f"The full recipe is projected, not measured: {projected['basis']}. Energy, CO2 and money are projected in "
        "proportion to time. To measure it, run with the rule Never."
    ]
    if projected["seconds_low"] is None:
        found.append("Too few epochs had the full recipe to say how uncertain the projection is.")
    return found


def _of_the_energy(record: Record) -> list[str]:
    measured = record["measured"]
    if measured is None:
        return ["Time, energy and money were not measured: the run had no CostMonitor."]
    if measured["energy_kwh"] is None:
        return ["Energy was not measured in this run, and so are CO2 and money unknown."]
    if any(how.startswith("measured") for how in measured["obtained"].values()):
        return []
    return [
        "No part of the energy was measured by a counter: it is estimated as time x power, so that energy and CO2 are "
        "no results independent of time."
    ]
