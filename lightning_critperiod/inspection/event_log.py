"""The event files of Lightning's TensorBoardLogger, or of any that writes scalars."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from lightning_critperiod.inspection.entries import Entry
from lightning_critperiod.inspection.logs import STEP, Logs
from lightning_critperiod.inspection.names import epoch_column, prefix_of

_FRAME = struct.Struct("<QI")  # length and checksum before each record, another checksum after it
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
    entries = _entries(list(_calls(scalars, epoch)), prefix_of(epoch))
    logs.add_entries(place, list(entries), MISSING)


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


class _Call(NamedTuple):
    """Scalars that were written in one call, as far as their order shows it, and the epoch that it logged, if any."""

    scalars: list[_Scalar]
    epoch: int | None


def _calls(scalars: Iterable[_Scalar], epoch: str | None) -> Iterator[_Call]:
    """Neighbours at one step, up to the scalar of the epoch."""
    group: list[_Scalar] = []
    for scalar in scalars:
        if group and (scalar.step != group[-1].step or any(scalar.name == other.name for other in group)):
            yield _Call(group, None)
            group = []
        if scalar.name != epoch:
            group.append(scalar)
        elif group:
            yield _Call(group, int(scalar.value))
            group = []
    if group:
        yield _Call(group, None)


def _entries(calls: Sequence[_Call], prefix: str) -> Iterator[Entry]:
    """One entry a call.

    ``trainer.global_step`` at the end of an epoch is the number of the first batch of the next one. So a value that the
    user logs there stands right before what Lightning logs of that batch, at the same step. It is recognised by its
    name, which Lightning's own calls use nowhere else.

    Args:
        calls: In the order in which they were written.
        prefix: The prefix of every name.

    Yields:
        What was written in a call of Lightning's, or past it.
    """
    usual = {scalar.name for before, call in pairwise(calls) if before.epoch == call.epoch for scalar in call.scalars}
    last = None
    for scalars, epoch in calls:
        names = [scalar.name in usual for scalar in scalars]
        begins_epoch = None not in {last, epoch} and epoch != last
        foreign = names.index(True) if begins_epoch and True in names else 0
        for part, number in ((scalars[:foreign], None), (scalars[foreign:], epoch)):
            if part:
                yield _entry(part, number, prefix)
        last = last if epoch is None else epoch


def _entry(group: list[_Scalar], epoch: int | None, prefix: str) -> Entry:
    values = {scalar.name.removeprefix(prefix): scalar.value for scalar in group}
    step = group[0].step
    return Entry(values if epoch is None else {**values, STEP: float(step)}, epoch, step, group[-1].time)
