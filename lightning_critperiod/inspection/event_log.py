"""The event files of Lightning's TensorBoardLogger, or of any that writes scalars."""

import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from lightning_critperiod.inspection.entries import Entry
from lightning_critperiod.inspection.logs import STEP, Logs
from lightning_critperiod.inspection.names import epoch_column, prefix_of

_FRAME = struct.Struct("<QI")  # length and checksum before each record, another checksum after it
_CLOSER = 3.0
MISSING = "it has no scalar 'epoch', which Lightning's logger writes"


class _Scalar(NamedTuple):
    name: str
    step: int
    time: float
    value: float


def read_events(files: list[Path], logs: Logs) -> None:
    """Add the scalars.

    Lightning logs a scalar ``epoch`` last in every call, at the same step. What a user logs past Lightning has none:
    ``placing`` says which epoch it belongs to.

    Args:
        files: Event files of one run, in the order in which they were written.
        logs: To add to.

    Raises:
        ValueError: TensorBoard is not installed, or nothing tells the epochs.
    """
    scalars = [scalar for file in files for scalar in _scalars(file, logs)]
    place = files[0] if len(files) == 1 else files[0].parent
    if not scalars:
        raise ValueError(f"{place} is not the log of a run: {MISSING}")
    epoch = epoch_column({scalar.name for scalar in scalars})
    logs.add_entries(place, list(_entries(scalars, epoch, prefix_of(epoch))), MISSING)


def _scalars(file: Path, logs: Logs) -> Iterator[_Scalar]:
    try:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(f"{file}: to read event files, install tensorboard (pip install tensorboard)") from error
    try:
        for record in _records(file.read_bytes()):
            event = Event.FromString(record)
            for value in event.summary.value:
                number = _number(value)
                if number is not None:
                    yield _Scalar(value.tag, event.step, event.wall_time, number)
    except DecodeError:
        logs.notes.append(f"{file} is damaged: what follows the damage is left out.")


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a file; half a record at its end, of a run that was killed, is left out."""
    at = 0
    while at + _FRAME.size <= len(data):
        length, _ = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length + 4


def _number(value: Any) -> float | None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.metadata.plugin_data.plugin_name not in {"", "scalars"}:
        return None
    from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]

    array = make_ndarray(value.tensor)
    return float(array) if array.size == 1 and array.dtype.kind in "fiu" else None


def _entries(scalars: list[_Scalar], epoch: str | None, prefix: str) -> Iterator[Entry]:
    """What was logged in one call: neighbours at one step, with the scalar of the epoch as the last."""
    group: list[_Scalar] = []
    last = None
    for scalar in scalars:
        if group and (scalar.step != group[-1].step or any(scalar.name == other.name for other in group)):
            yield _entry(group, None, prefix)
            group = []
        if scalar.name != epoch:
            group.append(scalar)
            continue
        number = int(scalar.value)
        foreign = 0 if last is None or last.value == scalar.value else _foreign(last, [*group, scalar])
        if foreign:
            yield _entry(group[:foreign], None, prefix)
        if group[foreign:]:
            yield _entry(group[foreign:], number, prefix)
        group, last = [], scalar
    if group:
        yield _entry(group, None, prefix)


def _foreign(last: _Scalar, group: list[_Scalar]) -> int:
    """How many scalars at the beginning of a group were logged before its call, at the end of the epoch before.

    ``trainer.global_step`` at the end of an epoch is the number of the first batch of the next one: a value that the
    user logs there stands at the same step as what Lightning logs next, but earlier by the time of a batch.

    Args:
        last: The scalar of the epoch that was logged before.
        group: Neighbours at one step, the scalar of the epoch last.

    Returns:
        0 unless a gap in the group is wide against the time that passed before it.
    """
    times = [last.time, *(scalar.time for scalar in group)]
    gaps = [after - before for before, after in pairwise(times)]
    widest = max(range(1, len(gaps)), key=gaps.__getitem__, default=0)
    return widest if widest and gaps[widest] > _CLOSER * max(gaps[:widest]) else 0


def _entry(group: list[_Scalar], epoch: int | None, prefix: str) -> Entry:
    values = {scalar.name.removeprefix(prefix): scalar.value for scalar in group}
    step = group[0].step
    return Entry(values if epoch is None else {**values, STEP: float(step)}, epoch, step, group[-1].time)
