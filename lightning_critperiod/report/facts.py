"""How the figures of a run were obtained, and what ran where."""

from collections.abc import Mapping
from dataclasses import asdict

from lightning_critperiod.recipe import Volume
from lightning_critperiod.record import Decision, Measured, Record, Run, Span

CITATION = (
    "Fukase, Gama, Bueno, Libanio, Costa, Jordao: One Period to Rule Them All: Identifying Critical Learning Periods "
    "in Deep Networks, arXiv 2506.15954 (2025)."
)


def facts(record: Record) -> dict[str, dict[str, str]]:
    """Heading -> name -> value: how the figures were obtained, what ran where."""
    found: dict[str, Mapping[str, object]] = {}
    if record.measured is not None:
        found["How the figures were obtained"] = {
            **record.measured.obtained,
            **_priced(record.measured),
            **_counted(record.measured),
        }
    if record.decision is not None:
        found["Method"] = _method(record.decision)
    if record.observers:
        found["Observers, which changed nothing"] = {f"{o.signal}, {o.rule}": _verdict(o) for o in record.observers}
    found |= {"Run": _run(record.run), "Hardware": record.hardware, "Versions": record.versions}
    return {heading: {name: _value(value) for name, value in entries.items()} for heading, entries in found.items()}


def _run(run: Run) -> dict[str, object]:
    found = asdict(run)
    loader = found.pop("loader")
    if run.max_epochs is None:
        found["max_epochs"] = "no last epoch"
    if run.monitor is None:
        del found["monitor"], found["mode"]
    return {**found, **{f"{name} of the train DataLoader": value for name, value in loader.items()}}


def _value(value: object) -> str:
    return "unknown" if value is None else str(value)


def _verdict(observer: Decision) -> str:
    return observer.reason or "critical period not over so far"


def _priced(measured: Measured) -> dict[str, str]:
    """What turns energy and time into CO2 and money."""
    found = {}
    if measured.energy_kwh is not None:
        region = f", {measured.region}" if measured.region else ""
        assumed = " (assumed)" if "country_iso_code" in measured.assumed else ""
        grid = f"the grid of {measured.country_iso_code}{region}{assumed}"
        found["CO2-equivalent"] = f"energy x mean intensity of {grid}, from codecarbon"
    if measured.money is not None:
        prices = {"price_per_kwh": "per kWh", "price_per_hour": "per hour"}
        found["money"] = " + ".join(_price(measured, name, unit) for name, unit in prices.items())
    return found


def _counted(measured: Measured) -> dict[str, str]:
    """What the FLOPs are of, and how exact they are."""
    if measured.flops is None:
        return {}
    of = "matrix products, convolutions, attention and recurrent layers, forward and backward; not validation"
    how = "" if measured.flops_exact else "estimated from some of the steps, because steps differ: "
    return {"training FLOPs": f"{how}{of}"}


def _price(measured: Measured, name: str, unit: str) -> str:
    assumed = " (assumed)" if name in measured.assumed else ""
    return f"{getattr(measured, name):g} {measured.currency} {unit}{assumed}"


def _method(decision: Decision) -> dict[str, object]:
    recipe = decision.recipe
    phases = ", ".join(f"{span.phase} {_epochs(span)}" for span in decision.phases)
    return {
        "signal": decision.signal,
        "rule": decision.rule,
        "lr_policy": decision.lr_policy,
        "observe_only": decision.observe_only,
        "volume during the period": _volume(recipe.during or decision.full_volume),
        "volume after it": _volume(recipe.after),
        "annealing_fraction": recipe.annealing_fraction,
        **recipe.changes,
        **({"phases, by epoch": phases} if phases else {}),
    }


def _epochs(span: Span) -> str:
    return f"{span.first}" if span.first == span.last else f"{span.first} to {span.last}"


def _volume(volume: Volume) -> str:
    return f"augmentation_multiplier {volume.augmentation_multiplier:g}, pruning_ratio {volume.pruning_ratio:g}"
