"""What a callback found in a spawned or forked process, brought back to the process that called ``fit``."""

import functools
import pickle
import tempfile
import uuid
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

from lightning_critperiod.lightning_seam.override import Overrides


class Receiver(Protocol):
    """A callback that takes back what its copy in another process found."""

    token: str

    def found(self) -> dict[str, Any]:
        """Plain values to send; called in the process that trained."""

    def receive(self, found: dict[str, Any]) -> None:
        """Take them; called in the process that called ``fit``."""


_RECEIVERS: WeakValueDictionary[str, Receiver] = WeakValueDictionary()


def register(receiver: Receiver) -> str:
    """Make a callback known to this process.

    Args:
        receiver: A callback; it keeps the token as ``token``, so that its copies in other processes have it too.

    Returns:
        The token.
    """
    token = uuid.uuid4().hex
    _RECEIVERS[token] = receiver
    return token


class _Parcel:
    """Delivers itself when it is unpickled, which Lightning does with the results of rank 0.

    A file holds what was found, as one holds the weights: Lightning reads its pipe only when the process has ended, and
    the process would wait for ever to put more into it than it holds.
    """

    def __init__(self, token: str, found: dict[str, Any]) -> None:
        self._token, self._file = token, Path(tempfile.mkdtemp(), "found")
        self._file.write_bytes(pickle.dumps(found))

    def __reduce__(self) -> tuple[Any, ...]:
        return _deliver, (self._token, self._file)


def _deliver(token: str, file: Path) -> None:
    found = pickle.loads(file.read_bytes())
    file.unlink()
    file.parent.rmdir()
    receiver = _RECEIVERS.get(token)
    if receiver is not None:
        receiver.receive(found)


def send_back(trainer: Any, sender: Receiver) -> None:
    """Let the launcher of a spawned run carry what ``sender`` found with its own results.

    Nothing happens in a run whose processes are not started by Lightning's multiprocessing launcher. The override stays
    after ``fit``: the launcher asks once training is over, and the process then ends.

    Args:
        trainer: The trainer in the process that trains.
        sender: Its callback.
    """
    launcher = trainer.strategy.launcher
    collect = getattr(launcher, "get_extra_results", None)
    if collect is None:
        return

    @functools.wraps(collect)
    def get_extra_results(trainer: Any) -> dict[str, Any]:
        return {**collect(trainer), f"{type(sender).__name__} {sender.token}": _Parcel(sender.token, sender.found())}

    Overrides().put(launcher, "get_extra_results", get_extra_results)
