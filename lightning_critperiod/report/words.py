"""Numbers and findings in words: what the table and the pages say."""

import math

from lightning_critperiod.record import Decision, Measured, Record, Run
from lightning_critperiod.report.savings import Saving, savings, time_saving

OWN_NOISE = (
    "covers only the noise within this run, not how much faster or slower the machine is in another run: on a shared "
    "machine it is too narrow"
)
"""What follows "The 95% interval", wherever one is shown."""

NAMES = {
    "seconds": "time",
    "energy_kwh": "energy",
    "co2_kg": "CO2-equivalent",
    "money": "money",
    "samples": "samples drawn",
    "flops": "training FLOPs",
}


def amount(name: str, value: float | None, currency: str = "") -> str:
    """A quantity with its unit; three significant digits, whole samples, seconds to a tenth."""
    if value is None:
        return "not measured"
    if name == "samples":
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:,.1f} s"
    if name == "flops":
        return f"{value:.3g}"
    unit = {"energy_kwh": "kWh", "co2_kg": "kg"}.get(name, currency)
    return f"{plain(value)} {unit}"


def plain(value: float) -> str:
    """Three significant digits at least, without an exponent: a short run costs 0.0000516 USD, not 5.16e-05."""
    if not value:
        return "0"
    text = f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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


def notes(record: Record) -> list[str]:
    """What stands below a table of costs: what its brackets mean, and what in it was assumed."""
    uncertain = any(saving.is_uncertain for saving in savings(record).values())
    interval = f"In brackets the 95% interval of the projection; it {OWN_NOISE}."
    return [*([interval] if uncertain else []), *assumptions(record.measured)]


def assumptions(measured: Measured | None) -> list[str]:
    """Which country and prices were assumed, and how to give them."""
    if measured is None or not measured.assumed:
        return []
    region = f", {measured.region}" if measured.region else ""
    said = {
        "country_iso_code": f"the grid of {measured.country_iso_code}{region} for CO2",
        "price_per_kwh": f"{measured.price_per_kwh:g} {measured.currency} per kWh for money",
        "price_per_hour": f"{measured.price_per_hour:g} {measured.currency} per hour of the machine for money",
    }
    names = [name for name in said if name in measured.assumed]
    if not names:
        return []
    arguments = ", ".join(f"{name}=..." for name in names)
    assumed = " and ".join(said[name] for name in names)
    return [f"Assumed, because not given: {assumed}. To give your own: CostMonitor({arguments})."]


def percent(fraction: float | None) -> str:
    """A fraction as a percentage; "-" if there is none."""
    if fraction is None:
        return "-"
    return f"{round(100 * fraction, 1) + 0.0:.1f}%"  # + 0.0: no minus before a zero


def metric(value: float | None) -> str:
    """Four significant digits."""
    return "no value" if value is None else f"{value:.4g}"


def plural(number: int, noun: str) -> str:
    """A number of things: "1 epoch", "3 epochs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def epochs_of(run: Run) -> str:
    """How many epochs are over, of how many: "8 of 8 epochs", or "8 epochs" in a run without a last one."""
    if run.max_epochs is None:
        return plural(run.epochs_done, "epoch")
    if run.epochs_done > run.max_epochs:  # weight averaging adds one for batch norm
        return f"{plural(run.epochs_done, 'epoch')} ({run.max_epochs} planned)"
    return f"{run.epochs_done} of {plural(run.max_epochs, 'epoch')}"


def switched_at(decision: Decision) -> str:
    """When the critical period ended: "after epoch 3"; only for one that did."""
    return f"after epoch {decision.end_epoch - 1}" if decision.end_epoch else "before the first epoch"


def headline(record: Record) -> str:
    """The decision in words, with what it would have changed in a run that was only observed."""
    return " ".join(sentences(record))


def sentences(record: Record) -> list[str]:
    """The headline in parts, the most important one first."""
    parts = (ended(record), decision(record), _left_out(record), _weights(record), observed(record))
    return [text for text in parts if text]


def decision(record: Record) -> str:
    """The decision in one sentence, and in further ones why a cooldown began, and why a guard took changes back."""
    found = record.decision
    if found is None:
        return "This run had no CriticalPeriodCallback: nothing was decided."
    is_said = found.cooled_down_by_rule and ended(record)
    by_rule = "" if is_said else found.rule_reason or "critical period not over so far"
    return " ".join(_sentence(reason) for reason in (by_rule, found.cooldown_reason, found.guard_reason) if reason)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def ended(record: Record) -> str:
    """That a cooldown ended the run before its last planned epoch, and why; empty where none did."""
    found, planned = record.decision, record.run.max_epochs
    if found is None or not _is_cooled_down(record):
        return ""
    done = (found.last_epoch or 0) + 1
    if planned is not None and done >= planned:
        return ""
    reason = found.rule_reason if found.cooled_down_by_rule else found.cooldown_reason
    why = f": {reason.partition(': ')[2] or reason}" if reason else ""
    of = "" if planned is None else f" of at most {planned}"
    return f"The run ended after {done}{of} epoch{'s' * (max(done, planned or 0) != 1)}{why}."


def _left_out(record: Record) -> str:
    """How many planned epochs a cooldown left out, where they count as saved."""
    left_out = record.projected.epochs_left_out if record.projected else 0
    return f"Left out, and counted as saved: {plural(left_out, 'planned epoch')}." if left_out and ended(record) else ""


def _weights(record: Record) -> str:
    """Which weights the model was left with, and what the metric was with each."""
    found = record.decision
    if found is None or not found.final_weights:
        return ""
    values = ", ".join(f"{metric(value)} {weights}" for weights, value in found.final_values.items())
    said = f": {found.signal} was {values}" if values else ""
    return f"The model has the {found.final_weights} weights{said}."


def with_weights(record: Record, name: str) -> str:
    """The name of a validation metric, with the weights that it is of where the run had the choice."""
    weights = "" if record.decision is None else record.decision.final_weights
    return f"{name} ({weights} weights)" if weights else name


def _is_cooled_down(record: Record) -> bool:
    last = None if record.decision is None else record.decision.last_epoch
    return last is not None and record.run.epochs_done > last


def observed(record: Record) -> str:
    """What the decision would have changed; empty in a run that it did change, or that had none."""
    found = record.decision
    if found is None or not found.observe_only or found.end_epoch is None:
        return ""
    return f"The run was only observed: nothing was changed. {_would_have(record)}".rstrip()


def _would_have(record: Record) -> str:
    other, measured = record.observed, record.measured
    if other is None or measured is None:
        return ""
    saving = time_saving(measured, other)
    drawn = ""
    if other.samples is not None and measured.samples is not None:
        drawn = f"drawn {other.samples:,} samples in place of {measured.samples:,}, and "
    text = (
        f"From there on the recipe would have {drawn}taken {projected_amount('seconds', saving)} in place of "
        f"{amount('seconds', measured.seconds)} (projected)."
    )
    return f"{text} The 95% interval {OWN_NOISE}." if saving.is_uncertain else text
