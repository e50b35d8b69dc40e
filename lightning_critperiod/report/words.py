"""Numbers and findings in words: what the table and the pages say."""

from lightning_critperiod.report.files import Record
from lightning_critperiod.report.savings import Saving, savings

OWN_NOISE = (
    "knows only this run's own noise: the pace of the machine between runs is not in it. Its "
    "developers checked it on a shared machine: it covered 12 of 20 real full runs (docs/coverage.md)"
)
"""What follows "The 95% interval", wherever one is shown."""

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
    if not saving.is_uncertain:
        return text
    number, _, unit = text.partition(" ")
    low, high = (amount(name, end, currency).partition(" ")[0] for end in (saving.low, saving.high))
    return f"{number} [{low}, {high}] {unit}".rstrip()


def interval_note(record: Record) -> str:
    """What stands below a table with intervals; empty where there is none."""
    uncertain = any(saving.is_uncertain for saving in savings(record).values())
    return f"In brackets the 95% interval of the projection; it {OWN_NOISE}." if uncertain else ""


def percent(fraction: float | None) -> str:
    """A fraction as a percentage; "-" if there is none."""
    if fraction is None:
        return "-"
    return f"{round(100 * fraction, 1) + 0.0:.1f}%"  # + 0.0: no minus before a zero


def metric(value: float | None) -> str:
    """Four significant digits."""
    return "no value" if value is None else f"{value:.4g}"


def headline(record: Record) -> str:
    """The decision in words, with what it would have changed in a run that was only observed."""
    return f"{decision(record)} {observed(record)}".rstrip()


def decision(record: Record) -> str:
    """The decision in one sentence."""
    found = record["decision"]
    if found is None:
        return "This run had no CriticalPeriodCallback: nothing was decided."
    reason = found["reason"] or "critical period not over so far"
    return reason[0].upper() + reason[1:] + "."


def observed(record: Record) -> str:
    """What the decision would have changed; empty in a run that it did change, or that had none."""
    found = record["decision"]
    if found is None or not found["observe_only"] or found["end_epoch"] is None:
        return ""
    return f"The run was only observed: nothing was changed. {_would_have(record)}".rstrip()


def _would_have(record: Record) -> str:
    other, measured = record["observed"], record["measured"]
    if other is None or measured is None:
        return ""
    saving = Saving(measured["seconds"], other["seconds"], other["seconds_low"], other["seconds_high"])
    text = (
        f"From there on the recipe would have drawn {other['samples']:,} samples in place of "
        f"{measured['samples']:,}, and taken {projected_amount('seconds', saving)} in place of "
        f"{amount('seconds', measured['seconds'])} (projected)."
    )
    return f"{text} The 95% interval {OWN_NOISE}." if saving.is_uncertain else text
