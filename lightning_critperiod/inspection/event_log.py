"""The event files of Lightning's TensorBoardLogger."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from lightning_critperiod.inspection.logs import Logs


def read_events(path: Path, logs: Logs) -> None:
    """Add the scalars that were logged with an epoch, as Lightning does: a scalar ``epoch`` at the same step.

    Args:
        path: An event file, or the folder that holds the files of one run.
        logs: To add to.

    Raises:
        ValueError: TensorBoard is not installed, or nothing was logged with an epoch.
    """
    try:
        from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(f"{path}: to read event files, install tensorboard (pip install tensorboard)") from error
    # 0 keeps every value; by default it would keep a random 10,000.
    events = event_accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    events.Reload()
    names = events.Tags()["scalars"]
    if "epoch" not in names:
        raise ValueError(f"{path} is not the log of a run: it has no scalar 'epoch', which Lightning's logger writes")
    logs.add(path, _rows(events, names))


def _rows(events: Any, names: list[str]) -> Generator[tuple[str, int, float]]:
    epochs = {event.step: int(event.value) for event in events.Scalars("epoch")}
    for name in names:
        for event in events.Scalars(name):
            if name != "epoch" and event.step in epochs:
                yield name, epochs[event.step], event.value
