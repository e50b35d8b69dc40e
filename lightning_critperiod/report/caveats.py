"""What a reader must know before believing the numbers of a run, each where it applies and nowhere else."""

from lightning_critperiod.report.files import Record
from lightning_critperiod.report.words import OWN_NOISE


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
    metrics, found = record["metrics"], []
    if not metrics["test"]:
        what = "the metrics are those of the validation data" if metrics["validation"] else "no metric is known at all"
        found.append(f"No separate test set was evaluated: {what}.")
    if read_validation(record):
        found.append(
            f"The decision read the validation metric {record['decision']['signal']}, so that the validation metrics "
            "favour it."
        )
    return found


def read_validation(record: Record) -> bool:
    """Whether the run was changed by a decision that looked at its validation metrics."""
    decision = record["decision"]
    if decision is None or decision["end_epoch"] is None or decision["observe_only"]:
        return False
    # Without a CostMonitor nothing is known of the metrics but the name of this one.
    return decision["signal"] in record["metrics"]["validation"] or decision["signal"].startswith("val")


def _of_the_projection(record: Record) -> list[str]:
    projected, observed = record["projected"], record["observed"]
    if projected is None:
        return []
    if projected["epochs_projected"] == 0:
        found = ["Every epoch drew the full recipe: its cost is what was measured, without the detector's time."]
        if observed is not None:
            found.append(f"What the recipe would have cost is projected, not measured: {observed['basis']}.")
        return found
    found = [
        f"The full recipe is projected, not measured: {projected['basis']}. Energy, CO2 and money are projected in "
        "proportion to time. To measure it, run with the rule Never."
    ]
    if projected["seconds_low"] is None:
        found.append("Too few epochs had the full recipe to say how uncertain the projection is.")
    elif projected["seconds_low"] != projected["seconds_high"]:
        found.append(f"The 95% interval of the projection {OWN_NOISE}.")
    return found


def _of_the_energy(record: Record) -> list[str]:
    measured = record["measured"]
    if measured is None:
        return ["Time, energy and money were not measured: the run had no CostMonitor."]
    if measured["energy_kwh"] is None:
        return ["Energy was not measured in this run, and so are CO2 and money unknown."]
    obtained = measured["obtained"].items()
    estimated = [part for part, how in obtained if how.startswith("estimated")]
    metered = [part for part, how in obtained if how.startswith("measured")]
    if not estimated:
        return []
    if not metered:
        return [
            "No part of the energy was measured by a counter: it is estimated as time x power, so that energy and CO2 "
            "are no results independent of time."
        ]
    return [
        f"The energy of {' and '.join(metered)} was measured by a counter, that of {' and '.join(estimated)} is "
        "estimated as time x power: that part of energy and CO2 is no result independent of time."
    ]
