"""Where runs run: in this process, in processes beside it, or on a Ray cluster."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from typing_extensions import override

RETRIES = 2
"""How often a run is begun again whose process died."""


class InProcess(Executor):
    """Runs what is submitted at once, in this process."""

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with _ctrl_c_kept():
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
        return future


@contextmanager
def _ctrl_c_kept() -> Generator[None]:
    """Ctrl-C as ever; where Python drops its exception, in a ``__del__`` or a weakref callback, it comes at the end."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


class InProcesses(ProcessPoolExecutor):
    """Runs in processes beside this one. If an error or Ctrl-C ends the block that uses it, they end too."""

    @override
    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()  # in a training after its current batch, by Lightning
        return super().__exit__(kind, error, trace)


class OnRay(Executor):
    """Runs on a Ray cluster, one core each; Ray begins a run again whose worker died.

    Args:
        address: The address of the cluster, as ``ray.init`` takes it: "auto", "local", or "ray://host:port".

    Raises:
        ValueError: Ray is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ValueError("--ray needs Ray: pip install 'lightning-critperiod[ray]'") from error
        self._ray = ray
        self._own = not ray.is_initialized()
        if self._own:
            ray.init(address=address, log_to_driver=False)

    @override
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        remote = self._ray.remote(max_retries=RETRIES)(fn)
        future: Future[Any] = remote.remote(*args, **kwargs).future()
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self._own:
            self._ray.shutdown()


@dataclass(frozen=True)
class Pool:
    """Makes the executor of the runs.

    Args:
        workers: Runs at a time.
        ray: Address of the Ray cluster; None is this machine.
    """

    workers: int = 1
    ray: str | None = None

    def executor(self) -> Executor:
        """A new executor, to be used as a context."""
        if self.ray is not None:
            return OnRay(self.ray)
        if self.workers == 1:
            return InProcess()
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        # Spawned: a forked process would inherit the threads of torch.
        context = multiprocessing.get_context("spawn")
        return InProcesses(self.workers, context, initializer=_begin_worker, initargs=(threads,))


def _begin_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all of them: the parent ends its workers
    import torch

    torch.set_num_threads(threads)
