"""A run on disk: where its logs are, and what its configuration and our own report add to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_critperiod.inspection.csv_log import read_csv
from lightning_critperiod.inspection.event_log import read_events
from lightning_critperiod.inspection.find import EVENTS, TABLE, checkpoint_files, event_files, has_log, logs_below
from lightning_critperiod.inspection.logs import Logs
from lightning_critperiod.inspection.modes import Mode, as_mode, modes_of_run
from lightning_critperiod.recipe import Volume
from lightning_critperiod.record import Record, load


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Args:
        logs: Its logs.
        max_epochs: The planned number of epochs; None if not known.
        samples: n, what the user's own loader draws in an epoch; None likewise.
        full_volume: The full volume of its first epoch, if CriticalPeriodCallback logged it.
        changed: The first epoch that was trained at another volume, None if there is none.
        modes: Directions of the metrics that its own callbacks monitored.
        seconds: Epoch -> how long it took, if CostMonitor measured it.
    """

    logs: Logs
    max_epochs: int | None = None
    samples: int | None = None
    full_volume: Volume | None = None
    changed: int | None = None
    modes: dict[str, Mode] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def read(path: Path) -> Run:
    """Read whatever logs are there: CSV file, event files, checkpoints, the report of a run of ours.

    Args:
        path: A run folder, or one log file.

    Returns:
        The run.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: There is no log, or it is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected the folder or the log of a run")
    logs = Logs()
    folder, checkpoints = path.parent, []
    if path.is_file():
        _read_file(path, logs)
    else:
        folder = _with_log(path, logs)
        checkpoints = sorted({*checkpoint_files(path), *checkpoint_files(folder)})
        _read_folder(folder, checkpoints, logs)
    if not logs.epochs:
        raise ValueError(f"{path} has no value that was logged in an epoch")
    volumes = logs.volumes
    full = volumes[min(volumes)] if volumes else None
    run = _reported(folder, logs)
    changed = next((epoch for epoch, volume in volumes.items() if volume != full), None)
    return replace(run, full_volume=full, changed=changed, modes={**modes_of_run(folder, checkpoints), **run.modes})


def _read_file(path: Path, logs: Logs) -> None:
    if path.suffix.lower() in {".csv", ".tsv"}:
        return read_csv(path, logs)
    if path.match(EVENTS):
        return read_events([path], logs)
    raise ValueError(f"{path} is neither a CSV file nor an event file of TensorBoard; checkpoints are read as a folder")


def _with_log(path: Path, logs: Logs) -> Path:
    """The folder itself, or the only one with a log below it."""
    if has_log(path):
        return path
    below = logs_below(path)
    if len(below) == 1:
        logs.notes.append(f"The log that was read is in {below[0]}.")
        return below[0]
    if below:
        raise ValueError(
            f"{path} has no metrics.csv and no event file of TensorBoard itself: name one of the {len(below)} runs "
            f"below it, the newest is {below[-1]}"
        )
    return path


def _read_folder(folder: Path, checkpoints: Sequence[Path], logs: Logs) -> None:
    if has_log(folder):
        _read_log(folder, logs)
    elif not checkpoints:
        raise ValueError(f"{folder} has no metrics.csv, no event file of TensorBoard and no checkpoints")
    elif len(checkpoints) == 1:
        raise ValueError(f"{folder} has no log and one checkpoint: rotation needs two")
    if "layer_rotation" in logs.signals or not checkpoints:
        return
    from lightning_critperiod.inspection.checkpoints import read_checkpoints  # needs torch

    try:
        read_checkpoints(checkpoints, logs)
    except ValueError as error:
        if not logs.epochs:
            raise
        logs.notes.append(f"The checkpoints say nothing about layer rotation: {error}.")


def _read_log(folder: Path, logs: Logs) -> None:
    """The CSV file, or the event files where there is none or it says nothing."""
    table, events = folder / TABLE, event_files(folder)
    if table.is_file():
        try:
            read_csv(table, logs)
        except ValueError as error:
            if not events:
                raise
            logs.notes.append(f"{error}; the event files beside it were read.")
    if events and not logs.epochs:
        read_events(events, logs)


def _reported(folder: Path, logs: Logs) -> Run:
    """What the report of a run of ours adds; it helps, but nothing depends on it."""
    file = folder / "report.json"
    if not file.is_file():
        return Run(logs)
    try:
        record = load(file)
    except ValueError as error:
        logs.notes.append(f"The report of the run was not used: {error}.")
        return Run(logs)
    max_epochs = record.run.max_epochs
    if max_epochs is not None and not logs.drop_evaluation(max_epochs):
        logs.notes.append(f"The report of the run says {max_epochs} epochs, but {logs.epochs} were logged.")
        max_epochs = logs.epochs
    if not logs.rates:
        logs.rates = _rates(record)
    decision = record.decision
    mode = None if decision is None else as_mode(decision.rule_arguments.get("mode"))
    modes = {} if decision is None or mode is None else {decision.signal: mode}
    seconds = {epoch.epoch: sum(epoch.seconds.values()) for epoch in record.epochs if epoch.seconds}
    return Run(logs, max_epochs, _samples(record), modes=modes, seconds=seconds)


def _rates(record: Record) -> dict[str, list[float]]:
    """What our report has of the learning rate, if anything."""
    found = [epoch.learning_rate for epoch in record.epochs if epoch.learning_rate is not None]
    return {"it": found} if found else {}


def _samples(record: Record) -> int | None:
    """What the user's own loader draws, from the epochs whose volume is known; one that was cut short drew less."""
    found = [epoch.samples / epoch.volume.fraction for epoch in record.epochs if epoch.volume and epoch.samples]
    return round(max(found)) if found else None
