"""What a run would have cost with the full recipe, and an observed one with its recipe: the projection's inputs."""

from collections.abc import Mapping
from dataclasses import dataclass

from lightning_critperiod.callback import CriticalPeriodCallback
from lightning_critperiod.costs import CostMeter, PacedEpoch, project
from lightning_critperiod.recipe import AS_COSTLY
from lightning_critperiod.record.decided import phase_of
from lightning_critperiod.record.measured import Projected
from lightning_critperiod.record.run import Run, Setting

_SIZES = ("image_size", "sequence_length")
"""Settings of which the full recipe has the largest, not that of the critical period."""


def full_recipe(callback: CriticalPeriodCallback, monitor: CostMeter, run: Run) -> Projected | None:
    """What the run would have cost with every planned epoch as it is during the critical period.

    Where steps cost more FLOPs in another phase than during it (images that grow), every epoch has those steps.

    Args:
        callback: Whose recipe it is.
        monitor: What the run cost.
        run: What was planned.

    Returns:
        The projection; None if no epoch drew anything.
    """
    drawn, full = _Drawn(callback, monitor, run), callback.full_volume.fraction
    dearest = _settings_of_dearer_steps(callback, monitor)
    same = {e: _has_full_steps(callback, e, dearest) for e in monitor.epochs}
    had_it = [e for e in monitor.epochs if same[e] and drawn.fraction(e) == full]
    like_it = had_it or [e for e in monitor.epochs if same[e]]
    epochs = [
        PacedEpoch(
            drawn.count(e), drawn.wanted(e, full), costs.seconds, costs.flops, same[e], e in like_it or not like_it
        )
        for e, costs in monitor.epochs.items()
    ]
    paced = f"{_epochs(len(had_it))} that had" if had_it else "other epochs, as none had"
    basis = f"from the seconds per {drawn.unit} of {paced} the full recipe"
    steps = "" if dearest is None else ", with the steps of the run that cost most"
    recipe = f"which is that of the critical period{steps}"
    return _projected(monitor, epochs, _left_out(callback, run), basis, drawn.unit, recipe)


def observed_recipe(callback: CriticalPeriodCallback, monitor: CostMeter, run: Run) -> Projected | None:
    """What an observed run would have cost with the volumes of its recipe, had it switched.

    Args:
        callback: Whose recipe it is.
        monitor: What the run cost.
        run: What was planned.

    Returns:
        The projection; None if the run was not observed, did not decide or drew nothing.
    """
    if not callback.observe_only or callback.end_epoch is None:
        return None
    drawn, recipe = _Drawn(callback, monitor, run), callback.recipe
    phases = {epoch: callback.timeline.phase(epoch) for epoch in monitor.epochs}  # those that would have been
    full, less = (recipe.during or callback.full_volume).fraction, recipe.after.fraction
    fractions = {epoch: less if phase in {"after", "cooldown"} else full for epoch, phase in phases.items()}
    return _projected(
        monitor,
        [
            PacedEpoch(drawn.count(e), drawn.wanted(e, fractions[e]), costs.seconds, costs.flops)
            for e, costs in monitor.epochs.items()
        ],
        0,
        f"from the seconds per {drawn.unit} of this run, at its own volume",
        drawn.unit,
    )


@dataclass(frozen=True)
class _Drawn:
    """What epochs drew, and would have drawn at another volume: samples where they are counted, else batches."""

    callback: CriticalPeriodCallback
    monitor: CostMeter
    run: Run

    @property
    def unit(self) -> str:
        return "batch" if any(costs.samples is None for costs in self.monitor.epochs.values()) else "sample"

    def fraction(self, epoch: int) -> float:
        return self.callback.volumes.get(epoch, self.callback.full_volume).fraction

    def count(self, epoch: int) -> int:
        costs = self.monitor.epochs[epoch]
        return costs.batches if self.unit == "batch" or costs.samples is None else costs.samples

    def wanted(self, epoch: int, fraction: float) -> int:
        """At k (1 - r) = fraction: as much as the epochs that had it, else in proportion to what was drawn."""
        drawn, had = self.count(epoch), self.fraction(epoch)
        capped = self.run.limit_train_batches == self.monitor.epochs[epoch].batches and fraction > had
        if had == fraction or (capped and isinstance(self.run.limit_train_batches, int)):
            return drawn
        whole: dict[float, int] = {}
        for other in self.monitor.epochs:
            whole[self.fraction(other)] = max(self.count(other), whole.get(self.fraction(other), 0))
        return whole[fraction] if drawn == whole[had] and fraction in whole else round(drawn * fraction / had)


def _settings(callback: CriticalPeriodCallback, epoch: int) -> Mapping[str, Setting]:
    """What the other changes than the volume had."""
    return {name: value for name, value in callback.settings.get(epoch, {}).items() if name not in AS_COSTLY}


def _is_as_costly(callback: CriticalPeriodCallback, epoch: int, full: Mapping[str, Setting] | None) -> bool:
    own = _settings(callback, epoch)
    same_sizes = all(own.get(size) == (full or {}).get(size) for size in _SIZES)
    return same_sizes and (phase_of(callback, epoch) == "during" or own == full)


def _settings_during(callback: CriticalPeriodCallback) -> Mapping[str, Setting] | None:
    during = [epoch for epoch in callback.volumes if phase_of(callback, epoch) == "during"]
    if during:
        return {**_settings(callback, during[-1]), **_full_sizes(callback)}
    return None if any(_settings(callback, epoch) for epoch in callback.volumes) else {}


def _full_sizes(callback: CriticalPeriodCallback) -> Mapping[str, Setting]:
    had = [setting for settings in callback.settings.values() for setting in settings.items() if setting[0] in _SIZES]
    return dict(sorted(had))  # the largest of a name is the last one


def _has_full_steps(callback: CriticalPeriodCallback, epoch: int, dearest: Mapping[str, Setting] | None) -> bool:
    if dearest is not None:
        return _settings(callback, epoch) == dearest
    return _is_as_costly(callback, epoch, _settings_during(callback))


def _settings_of_dearer_steps(callback: CriticalPeriodCallback, monitor: CostMeter) -> Mapping[str, Setting] | None:
    """The settings with which a sample cost most FLOPs; None if that is the critical period's, or is not known."""
    costs = {e: spent.flops / spent.samples for e, spent in monitor.epochs.items() if spent.flops and spent.samples}
    during, most = _settings_during(callback), max(costs, key=lambda e: costs[e], default=None)
    of_during = [cost for e, cost in costs.items() if _settings(callback, e) == during]
    if most is None or not of_during or costs[most] < 1.01 * max(of_during):
        return None
    return _settings(callback, most)


def _left_out(callback: CriticalPeriodCallback, run: Run) -> int:
    """Planned epochs that a cooldown left out, once it has ended the run."""
    last = callback.last_epoch
    if last is None or run.max_epochs is None or run.epochs_done <= last:
        return 0
    return run.max_epochs - last - 1


def _epochs(number: int) -> str:
    return "the 1 epoch" if number == 1 else f"the {number} epochs"


def _projected(
    monitor: CostMeter, epochs: list[PacedEpoch], left_out: int, basis: str, unit: str, recipe: str = ""
) -> Projected | None:
    if not any(epoch.drawn for epoch in epochs):
        return None
    costs, found = monitor.costs, project(monitor.seconds, epochs, left_out)
    share = found.total / costs.seconds
    return Projected(
        seconds=found.total,
        seconds_low=found.low,
        seconds_high=found.high,
        samples=found.drawn if unit == "sample" else None,
        flops=found.flops,
        energy_kwh=None if costs.energy_kwh is None else costs.energy_kwh * share,
        co2_kg=None if costs.co2_kg is None else costs.co2_kg * share,
        money=None if costs.money is None else costs.money * share,
        seconds_by_phase=found.seconds,
        epochs_projected=found.epochs,
        epochs_left_out=left_out,
        basis=basis,
        recipe=recipe,
    )
