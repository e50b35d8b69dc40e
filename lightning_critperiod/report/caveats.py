"""What a reader must know to judge the numbers of a run, each where it applies and nowhere else."""

from lightning_critperiod.record import Projected, Record
from lightning_critperiod.report.words import OWN_NOISE, epochs_of

CAVEATS = "What to keep in mind"
"""Heading of the caveats."""
OF_THE_PERIOD = "which is that of the critical period"


def caveats(record: Record) -> list[str]:
    """What a reader must know to judge the numbers of this run, one sentence or two each."""
    return [*_of_the_run(record), *_of_the_metrics(record), *_of_the_projection(record), *_of_the_costs(record)]


def _of_the_run(record: Record) -> list[str]:
    run, found = record.run, []
    if record.status != "completed":
        found.append(
            f"The run was {record.status} after {epochs_of(run)}"
            + (f" ({record.error})" if record.error else "")
            + "; the report is of what was done until then."
        )
    seed = "an unknown seed" if run.seed is None else f"seed {run.seed}"
    found.append(f"One run with {seed}: a difference in a metric within the noise between seeds means nothing.")
    return found


def _of_the_metrics(record: Record) -> list[str]:
    metrics, found = record.metrics, []
    if not metrics.test:
        what = "the metrics are those of the validation data" if metrics.validation else "no metric is known at all"
        found.append(f"No separate test set was evaluated: {what}.")
    if read_validation(record) and record.decision is not None:
        found.append(
            f"The decision read the validation metric {record.decision.signal}, so the validation metrics favour it."
        )
    return found


def read_validation(record: Record) -> bool:
    """Whether the run was changed by a decision that looked at its validation metrics."""
    decision = record.decision
    if decision is None or not decision.acted:
        return False
    # Without a CostMonitor nothing is known of the metrics but the name of this one.
    return decision.signal in record.metrics.validation or decision.signal.startswith("val")


def _of_the_projection(record: Record) -> list[str]:
    projected = record.projected
    if projected is None:
        return []
    if not projected.epochs_projected and not projected.epochs_left_out:
        found = [_as_measured(record)]
        if record.observed is not None:
            found.append(f"What the recipe would have cost is projected, not measured: {record.observed.basis}.")
        return found
    over = f" over all {record.run.max_epochs} epochs" if projected.epochs_left_out else ""
    found = [
        f"The full recipe, {projected.recipe or OF_THE_PERIOD},{over} is projected, not measured: {projected.basis}. "
        "Energy, CO2 and money are projected in proportion to time. To measure it, run with the rule Never."
    ]
    return [*found, *_of_the_interval(projected)]


def _of_the_interval(projected: Projected) -> list[str]:
    if projected.seconds_low is None:
        return ["Too few epochs had the full recipe to say how uncertain the projection is."]
    if projected.seconds_low != projected.seconds_high:
        return [f"The 95% interval of the projection {OWN_NOISE}."]
    return []


def _as_measured(record: Record) -> str:
    """Why nothing is projected: no epoch was told to draw less, or less came to as much."""
    decision = record.decision
    less = [e.epoch for e in record.epochs if decision and e.volume not in {None, decision.full_volume}]
    if not less:
        return "Every epoch drew the full recipe: its cost is what was measured, without the detector's time."
    limit = record.run.limit_train_batches
    why = f": limit_train_batches={limit} caps both" if isinstance(limit, int) else ""
    return (
        f"From epoch {less[0]} on another volume applied, but every epoch drew as many samples as with the full "
        f"recipe, so nothing was saved{why}."
    )


def _of_the_costs(record: Record) -> list[str]:
    measured = record.measured
    if measured is None:
        return ["Time, energy and money were not measured: the run had no CostMonitor."]
    found = []
    if measured.samples is None:
        found.append(
            "Batches were counted, not samples, because the size of a batch is not known. A `CostMonitor` with "
            "your own `samples_of` can tell it."
        )
    if measured.flops is None:
        found.append("FLOPs were not measured in this run.")
    if measured.energy_kwh is None:
        money = "so is money" if measured.money is None else "money covers only the machine's hours"
        return [*found, f"Energy was not measured in this run; CO2 is unknown, and {money}."]
    return [*found, *_of_the_energy(measured.obtained)]


def _of_the_energy(obtained: dict[str, str]) -> list[str]:
    estimated = [part for part, how in obtained.items() if how.startswith("estimated")]
    metered = [part for part, how in obtained.items() if how.startswith("measured")]
    if not estimated:
        return []
    if not metered:
        return [
            "No part of the energy was measured by a counter: it is estimated as time x power, so energy and CO2 are "
            "not independent of time."
        ]
    return [
        f"The energy of {' and '.join(metered)} was measured by a counter, that of {' and '.join(estimated)} is "
        "estimated as time x power: that part of energy and CO2 is not independent of time."
    ]
