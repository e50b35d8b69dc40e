"""What would make a run like this one cheaper, or better at the same cost, with the arithmetic."""

from dataclasses import dataclass

from lightning_critperiod.record import Record
from lightning_critperiod.report.words import metric, percent, plural

ADVICE = "What to change"
"""Heading of the advice."""
SHARE = 0.1
"""Waiting and validation are mentioned if they take at least this share of the run's time."""
DETECTOR_SHARE = 0.01
CHECKPOINT_SHARE = 0.05
LEAST = 0.5
"""The least saving in seconds that is mentioned: starting a worker takes as long."""
UNDECAYED = 0.25
"""A learning rate that ends above this fraction of its highest value has not decayed."""


@dataclass(frozen=True)
class Advice:
    """One thing to change.

    Args:
        text: What was measured, what to do about it, and what it would save.
        seconds: What it would save at most in a run like this one, in s; 0 where it saves no time.
    """

    text: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Spent:
    """What one kind of work took of a run.

    Args:
        seconds: What it took, in s.
        total: The total of the run, without what happens once before the first epoch.
    """

    seconds: float
    total: float

    @property
    def share(self) -> float:
        """Its part of the run."""
        return self.seconds / self.total if self.total > 0 else 0.0

    def __str__(self) -> str:
        return f"{self.seconds:,.1f} of {self.total:,.1f} s ({percent(self.share)})"


def advice(record: Record) -> list[Advice]:
    """What to change, the largest saving first; nothing where there is nothing to gain.

    Args:
        record: The record of a run.

    Returns:
        The advice; none for a run whose costs were not measured.
    """
    if record.measured is None:
        return []
    cheaper = [
        *_waiting(record),
        *_validation(record),
        *_checkpoints(record),
        *_detector(record),
        *_epochs_for_nothing(record),
    ]
    worth = [one for one in cheaper if one.seconds >= LEAST]
    return [*sorted(worth, key=lambda one: -one.seconds), *_rate(record)]


def _spent(record: Record, name: str) -> Spent:
    seconds = {} if record.measured is None else record.measured.seconds_by_phase
    once = ("start_up", "metering")
    return Spent(seconds.get(name, 0.0), sum(s for phase, s in seconds.items() if phase not in once))


def _waiting(record: Record) -> list[Advice]:
    spent, loader = _spent(record, "data_wait"), record.run.loader
    if spent.share < SHARE:
        return []
    workers = loader.get("num_workers")
    remedies = [f"more than num_workers={workers}" if workers else "num_workers above 0 in the DataLoader"]
    if workers and not loader.get("persistent_workers"):
        remedies.append("persistent_workers=True")
    if record.hardware.get("card") is not None and not loader.get("pin_memory"):
        remedies.append("pin_memory=True")
    remedies.append("augmenting whole batches instead of single samples")
    text = f"Training waited for data for {spent}. Try {', '.join(remedies)}: up to {spent.seconds:,.1f} s less."
    return [Advice(text, spent.seconds)]


def _validation(record: Record) -> list[Advice]:
    spent = _spent(record, "validation")
    checks = sum("validation" in epoch.seconds for epoch in record.epochs)
    feasible = [n for n in (2, 5, 10) if checks >= 2 * n]
    if spent.share < SHARE or not feasible or _needs_validation(record):
        return []
    every = next((n for n in feasible if spent.share / n < SHARE / 2), feasible[-1])
    left = spent.seconds / every
    text = (
        f"Validation took {spent}, in {plural(checks, 'epoch')}. With check_val_every_n_epoch={every} it takes "
        f"{spent.seconds:,.1f} / {every} = {left:,.1f} s: {spent.seconds - left:,.1f} s less. ValidateSparsely leaves "
        "out the least informative ones."
    )
    return [Advice(text, spent.seconds - left)]


def _needs_validation(record: Record) -> bool:
    return record.decision is not None and record.decision.signal in record.metrics.validation


def _checkpoints(record: Record) -> list[Advice]:
    spent = _spent(record, "checkpoint")
    if spent.share < CHECKPOINT_SHARE:
        return []
    text = f"Checkpoints took {spent}. Save fewer, ModelCheckpoint(every_n_epochs=...), or save_weights_only=True."
    return [Advice(text, spent.seconds)]


def _detector(record: Record) -> list[Advice]:
    spent = _spent(record, "detector")
    if record.decision is None or spent.share < DETECTOR_SHARE:
        return []
    text = (
        f"Measuring {record.decision.signal.replace('_', ' ')} and deciding took {spent}. MonitoredMetric, on a "
        "metric that is logged anyway, costs almost nothing."
    )
    return [Advice(text, spent.seconds)]


def _epochs_for_nothing(record: Record) -> list[Advice]:
    name, mode, source = _direction(record)
    if record.decision is not None and record.decision.last_epoch is not None:
        return []  # a cooldown has decided the end
    values = {epoch.epoch: value for epoch in record.epochs if (value := epoch.metrics.get(name)) is not None}
    if mode is None or not values:
        return []
    best = (min if mode == "min" else max)(values, key=lambda epoch: values[epoch])
    later = [epoch for epoch in record.epochs if epoch.epoch > best]
    if len(later) < max(3, SHARE * len(record.epochs)):
        return []
    spent = Spent(sum(epoch.total_seconds for epoch in later), _spent(record, "").total)
    text = (
        f"{name} ({source}) was best in epoch {best} ({metric(values[best])}); the {plural(len(later), 'epoch')} after "
        f"it took {spent}. Plan {plural(best + 1, 'epoch')}, with the learning rate decaying over them, or end the run "
        "by EarlyCooldown."
    )
    return [Advice(text, spent.seconds)]


def _direction(record: Record) -> tuple[str, str | None, str]:
    """A validation metric, whether lower or higher is better ("min", "max", None), and how that is known."""
    run, decision, validation = record.run, record.decision, record.metrics.validation
    if run.monitor is not None and run.mode in {"min", "max"}:
        return run.monitor, run.mode, f'mode="{run.mode}" of the callback that monitors it'
    if decision is not None and decision.signal in validation:
        mode = decision.rule_arguments.get("mode")
        return decision.signal, mode if isinstance(mode, str) else None, f'mode="{mode}" of the rule'
    loss = next((name for name in validation if name.lower().endswith("loss")), None)
    return (loss, "min", "a loss, so lower is better") if loss else ("", None, "")


def _rate(record: Record) -> list[Advice]:
    rates = [epoch.learning_rate for epoch in record.epochs if epoch.learning_rate is not None]
    if record.status != "completed" or len(rates) < 3 or rates[-1] <= UNDECAYED * max(rates):
        return []
    last, highest = rates[-1], max(rates)
    share = "its highest value" if last == highest else f"{percent(last / highest)} of its highest value, {highest:.3g}"
    text = (
        f"The learning rate ended at {last:.3g}, which is {share}. Letting it decay to zero over the last fifth of "
        "the run saves no time, but usually makes the model better at the same cost."
    )
    return [Advice(text)]
