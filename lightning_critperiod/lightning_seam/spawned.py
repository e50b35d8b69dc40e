"""What a callback found in a spawned or forked process, brought back to the process that called ``fit``."""

import functools
import uuid
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
    """Delivers itself when it is unpickled, which Lightning does with the results of rank 0."""

    def __init__(self, token: str, found: dict[str, Any]) -> None:
        self._token, self._found = token, found

    def __reduce__(self) -> tuple[Any, ...]:
        return _deliver, (self._token, self._found)


def _deliver(token: str, found: dict[str, Any]) -> None:
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
