"""A run on disk: where its logs are, and what our own report adds to them."""

from dataclasses import dataclass
from pathlib import Path

from lightning_critperiod.inspection.checkpoints import read_checkpoints
from lightning_critperiod.inspection.csv_log import read_csv
from lightning_critperiod.inspection.event_log import read_events
from lightning_critperiod.inspection.logs import OURS, Logs
from lightning_critperiod.recipe import Volume
from lightning_critperiod.record import Record, load
from lightning_critperiod.signals import LayerRotation

EVENTS = "events.out.tfevents.*"


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Args:
        logs: Of it.
        max_epochs: It was planned for; None if nobody says.
        samples: n, what the user's own loader draws in an epoch; None likewise.
        full_volume: Of its first epoch, if CriticalPeriodCallback logged it.
        changed: The first epoch that was trained at another volume, None if there is none.
    """

    logs: Logs
    max_epochs: int | None
    samples: int | None
    full_volume: Volume | None
    changed: int | None


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
    _read_logs(path, logs)
    if not logs.epochs:
        raise ValueError(f"{path} has no value that was logged in an epoch")
    volumes = logs.volumes
    full = volumes[min(volumes)] if volumes else None
    max_epochs, samples = _reported(path, logs)
    changed = next((epoch for epoch, volume in volumes.items() if volume != full), None)
    return Run(logs, max_epochs, samples, full, changed)


def _read_logs(path: Path, logs: Logs) -> None:
    if path.is_file():
        return _read_file(path, logs)
    table, events = path / "metrics.csv", sorted(path.glob(EVENTS))
    checkpoints = sorted({*path.glob("*.ckpt"), *path.glob("checkpoints/*.ckpt")})
    if table.is_file():
        read_csv(table, logs)
    elif events:
        read_events(path, logs)
    if OURS + LayerRotation.name not in logs.values and len(checkpoints) > 1:
        read_checkpoints(checkpoints, logs)
    if not (table.is_file() or events or checkpoints):
        raise ValueError(f"{path} has no metrics.csv, no event file of TensorBoard and no checkpoints{_inside(path)}")
    if not (table.is_file() or events) and len(checkpoints) == 1:
        raise ValueError(f"{path} has no log and one checkpoint: rotation needs two")
    return None


def _read_file(path: Path, logs: Logs) -> None:
    if path.suffix == ".csv":
        return read_csv(path, logs)
    if path.match(EVENTS):
        return read_events(path, logs)
    raise ValueError(f"{path} is neither a CSV file nor an event file of TensorBoard; checkpoints are read as a folder")


def _inside(path: Path) -> str:
    runs = sorted({str(file.parent) for pattern in ("metrics.csv", EVENTS) for file in path.glob(f"*/{pattern}")})
    return f"; one of its runs is {runs[-1]} (of {len(runs)})" if runs else ""


def _reported(path: Path, logs: Logs) -> tuple[int | None, int | None]:
    """Epochs and n from the report of a run of ours; it helps, but nothing depends on it."""
    file = (path if path.is_dir() else path.parent) / "report.json"
    if not file.is_file():
        return None, None
    try:
        record = load(file)
        return record.run.max_epochs, _samples(record)
    except ValueError as error:
        logs.notes.append(f"The report of the run was not used: {error}.")
        return None, None


def _samples(record: Record) -> int | None:
    """What the user's own loader draws, from the epochs whose volume is known; one that was cut short drew less."""
    found = [epoch.samples / epoch.volume.fraction for epoch in record.epochs if epoch.volume and epoch.samples]
    return round(max(found)) if found else None
