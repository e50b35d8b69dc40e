"""The record of a run, collected from its trainer."""

import math
import os
from collections.abc import Sequence
from typing import Any

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.costs import CostMeter, EpochCosts
from lightning_critperiod.costs.logged import finite
from lightning_critperiod.early_cooldown import EarlyCooldown
from lightning_critperiod.lightning_seam import planned_epochs
from lightning_critperiod.record.decided import decided, phase_of
from lightning_critperiod.record.full_recipe import full_recipe, observed_recipe
from lightning_critperiod.record.machine import hardware, train_loader, versions
from lightning_critperiod.record.measured import Measured
from lightning_critperiod.record.record import Record, Status
from lightning_critperiod.record.run import Epoch, Metrics, Run

OURS = "critical_period/"


def collect(trainer: Any, status: Status, error: str | None = None, config: str | None = None) -> Record:
    """Everything that the report of a run says.

    Args:
        trainer: During or after ``fit``; its callbacks are looked at.
        status: "running", "completed" or "interrupted".
        error: What interrupted it.
        config: The run's configuration as text.

    Returns:
        The record; metrics of the test are added later.
    """
    ours = [callback for callback in trainer.callbacks if isinstance(callback, CriticalPeriodCallback)]
    ours.sort(key=lambda callback: callback.observe_only)  # the one that drives is what the report is about
    monitor = next((callback for callback in trainer.callbacks if isinstance(callback, CostMeter)), None)
    # A cooldown has the Trainer end earlier than planned: the callback knows the plan.
    run = _run(trainer, ours[0].timeline.max_epochs if ours else planned_epochs(trainer))
    return Record(
        run=run,
        status=status,
        error=error,
        decision=decided(ours[0], run) if ours else None,
        observers=tuple(decided(callback, run) for callback in ours[1:]),
        epochs=tuple(_epochs(ours, monitor)),
        measured=None if monitor is None else _measured(monitor),
        projected=full_recipe(ours[0], monitor, run) if ours and monitor is not None else None,
        observed=observed_recipe(ours[0], monitor, run) if ours and monitor is not None else None,
        metrics=Metrics({} if monitor is None else {**monitor.validation_metrics, **_of_raw_weights(ours)}),
        hardware=hardware(trainer, {} if monitor is None else monitor.hardware),
        versions=versions(),
        config=config,
    )


def _of_raw_weights(ours: Sequence[CriticalPeriodCallback]) -> dict[str, float | None]:
    """What validation logs with the raw weights, where these were kept in place of their average."""
    found = [callback.final_metrics for callback in ours[:1] if isinstance(callback, EarlyCooldown)]
    return {name: finite(value) for metrics in found for name, value in metrics.items()}


def _run(trainer: Any, max_epochs: int | None) -> Run:
    seed = os.environ.get("PL_GLOBAL_SEED")
    ours = [callback for callback in trainer.callbacks if isinstance(callback, EarlyCooldown)]
    theirs = (trainer.checkpoint_callback, trainer.early_stopping_callback)
    watching = [*ours, *(callback for callback in theirs if callback)]
    monitor = next((callback for callback in watching if getattr(callback, "monitor", None)), None)
    return Run(
        model=type(trainer.lightning_module).__name__,
        max_epochs=max_epochs,
        epochs_done=int(trainer.fit_loop.epoch_progress.current.processed),
        steps=int(trainer.global_step),
        processes=trainer.world_size,
        nodes=trainer.num_nodes,
        precision=str(trainer.precision),
        seed=None if seed is None else int(seed),
        limit_train_batches=trainer.limit_train_batches,
        loader=train_loader(trainer.train_dataloader),
        monitor=None if monitor is None else str(monitor.monitor),
        mode=None if monitor is None else str(monitor.mode),
    )


def _epochs(ours: Sequence[CriticalPeriodCallback], monitor: CostMeter | None) -> list[Epoch]:
    costs = {} if monitor is None else monitor.epochs
    known = {*costs, *(epoch for callback in ours[:1] for epoch in (*callback.history, *callback.volumes))}
    return [_epoch(number, ours[0] if ours else None, costs.get(number)) for number in sorted(known)]


def _epoch(number: int, callback: CriticalPeriodCallback | None, costs: EpochCosts | None) -> Epoch:
    spent = EpochCosts(number) if costs is None else costs
    value = math.nan if callback is None else callback.history.get(number, math.nan)
    return Epoch(
        epoch=number,
        samples=None if costs is None else costs.samples,
        batches=spent.batches,
        seconds=dict(spent.seconds),
        flops=None if costs is None else costs.flops,
        learning_rate=spent.learning_rate,
        metrics={name: value for name, value in spent.metrics.items() if not name.startswith(OURS)},
        signal=value if math.isfinite(value) else None,
        phase=None if callback is None else phase_of(callback, number),
        volume=None if callback is None else callback.volumes.get(number),
        settings={} if callback is None else dict(callback.settings.get(number, {})),
    )


def _measured(monitor: CostMeter) -> Measured:
    costs, drawn = monitor.costs, [epoch.samples for epoch in monitor.epochs.values()]
    flops = [epoch.flops for epoch in monitor.epochs.values()]
    return Measured(
        seconds=costs.seconds,
        energy_kwh=costs.energy_kwh,
        co2_kg=costs.co2_kg,
        money=costs.money,
        currency=costs.currency,
        samples=None if None in drawn else sum(samples for samples in drawn if samples is not None),
        flops=_sum(flops) or None,
        flops_exact=monitor.counts_exactly,
        seconds_by_phase=dict(monitor.seconds),
        energy_by_part=monitor.energy,
        price_per_kwh=monitor.price_per_kwh,
        price_per_hour=monitor.price_per_hour,
        country_iso_code=monitor.country_iso_code,
        region=monitor.region,
        assumed=tuple(sorted(getattr(monitor, "assumed", ()))),
        obtained=dict(monitor.obtained),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum; None ("not measured") if one of them is."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
