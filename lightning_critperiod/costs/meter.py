"""Electricity and CO2 of this machine, offline, by codecarbon."""

import importlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.costs.amounts import Energy
from lightning_critperiod.costs.tracker import Latest, offline_tracker
from lightning_critperiod.lightning_seam import how_obtained

PATIENCE = 10.0
"""How long the end of a run waits for a meter that has not started yet, in s."""
ENOUGH = 0.2
"""Seconds for which a run that was shorter than the meter's start is metered at its end."""
IMPORTED_LATER = ("pandas", "cpuinfo", "codecarbon.core.resource_tracker", "codecarbon.core.emissions")
"""What codecarbon imports when it starts: here in the main thread, as a process that is forked while another thread
imports a module can never import it."""


_STARTING: WeakSet["EnergyMeter"] = WeakSet()


def _let_start() -> None:
    """Before a fork: let codecarbon's own programs end.

    It waits for the end of their output, which a process that is forked meanwhile, such as a worker of a DataLoader,
    would hold open for as long as it lives.
    """
    for meter in list(_STARTING):
        meter.let_start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_let_start)


class EnergyMeter:
    """Meters the whole machine from ``start`` to ``stop``. Never raises: what fails is one warning, no value.

    codecarbon needs a second or two to find the hardware, the first time in a process. It does so in a thread of its
    own, from ``begin`` on, while training goes on. A fork of the process waits for it, so ``begin`` comes after the
    workers of a DataLoader were forked. The seconds before it has started are charged at the average power of the
    others: E = E_m t / t_m, where E_m is the energy of the t_m seconds that were metered, and t the seconds since
    ``start``. A run that was over before is metered for a moment at its end.

    Args:
        country_iso_code: ISO 3166-1 alpha-3 code, for the grid's carbon intensity.
        region: A state or province of that country, or None.
        gpu_ids: The graphics cards that count; None is all that the machine shows.

    Attributes:
        obtained: Part of the machine -> how its energy is obtained; complete after ``stop``.
        hardware: What codecarbon found; complete after ``stop``.
    """

    def __init__(self, country_iso_code: str, region: str | None = None, gpu_ids: list[str] | None = None) -> None:
        self._place = country_iso_code, region
        self._gpu_ids = gpu_ids
        self._tracker: Any = None
        self._latest = Latest()
        self._thread: threading.Thread | None = None
        self._level: int | None = None
        self._problem: str | None = None
        self._has_begun = self._has_warned = self._has_given_up = False
        self._caller = threading.get_ident()
        self._began = self._metered_from = self._until = 0.0
        self.obtained: dict[str, str] = {}
        self.hardware: dict[str, Any] = {}

    def start(self) -> None:
        """From here on the energy counts."""
        self._began = time.monotonic()
        self._attempt_quietly(self._make)

    def begin(self) -> None:
        """Look for the hardware in the background, and meter from then on. A second call does nothing."""
        if self._has_begun:
            return
        self._has_begun = True
        if self._tracker is not None:
            begin = threading.Thread(target=self._attempt, args=(self._begin,), name="energy meter", daemon=True)
            self._thread = begin
            _STARTING.add(self)
            begin.start()

    def read(self) -> Energy | None:
        """Energy and emissions since ``start``; after ``stop``, until then.

        Returns:
            Nothing used before the hardware was found; None: not measured.
        """
        if not self._has_begun or (self._thread is not None and self._thread.is_alive()):
            return Energy()
        if self._tracker is not None:
            self._ask(self._tracker.flush)
        self._warn()
        data = self._latest.data
        if data is None or self._problem:
            return None
        energy = Energy(float(data.cpu_energy), float(data.gpu_energy), float(data.ram_energy), float(data.emissions))
        return energy.times(self._seconds / self._metered)

    def let_start(self) -> None:
        """Wait for the start if this is the thread that goes on meanwhile."""
        if self._thread is not None and threading.get_ident() == self._caller:
            self._thread.join(PATIENCE)
            _STARTING.discard(self)

    def wait(self) -> None:
        """Until the meter has started, but not for ever."""
        self.begin()
        if self._thread is None:
            return
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._problem = f"codecarbon did not find the hardware within {PATIENCE:g} s"
            self._tracker, self._has_given_up = None, True  # the thread stops it
        self._thread = None
        _STARTING.discard(self)

    def stop(self) -> None:
        """Read a last time and end. A second call does nothing."""
        self.wait()
        if self._tracker is not None:
            self._meter_enough()
            self._ask(self._tracker.stop)
            self._tracker = None
            late = self._seconds - self._metered
            if late > self._seconds / 100:
                self.obtained["start"] = f"the first {late:.1f} s at the average power of the rest"
        if not self._has_given_up:
            self._give_level_back()
        self._warn()

    @property
    def _seconds(self) -> float:
        return self._until - self._began

    @property
    def _metered(self) -> float:
        return self._until - self._metered_from

    def _make(self) -> None:
        importlib.import_module("codecarbon")
        for name in IMPORTED_LATER:
            with suppress(ImportError):  # another version may do without
                importlib.import_module(name)
        # Importing codecarbon sets the level of its logger, so that this comes after it.
        logger = logging.getLogger("codecarbon")
        self._level = logger.level
        logger.setLevel(logging.CRITICAL)
        self._tracker = offline_tracker(self._latest, *self._place, self._gpu_ids)

    def _begin(self) -> None:
        tracker = self._tracker
        hardware = tracker.get_detected_hardware()
        self._metered_from = time.monotonic()
        tracker.start()
        tracker.flush()
        if self._latest.data is None:
            raise RuntimeError("codecarbon returned nothing")
        if self._has_given_up:
            tracker.stop()
            self._give_level_back()
            return
        self.hardware.update(hardware)
        self.obtained.update(how_obtained(tracker))

    def _give_level_back(self) -> None:
        if self._level is not None:
            logging.getLogger("codecarbon").setLevel(self._level)
            self._level = None

    def _meter_enough(self) -> None:
        now = time.monotonic()
        metered, before = now - self._metered_from, self._metered_from - self._began
        time.sleep(max(0.0, min(before, ENOUGH) - metered))

    def _ask(self, step: Callable[[], object]) -> None:
        self._attempt_quietly(step)
        self._until = time.monotonic()

    def _attempt_quietly(self, step: Callable[[], object]) -> None:
        with warnings.catch_warnings():  # of the whole process: not in a thread
            warnings.simplefilter("ignore")
            self._attempt(step)

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except ImportError as error:
            self._problem = f"{error}: pip install codecarbon"
        except Exception as error:  # whatever a meter does must not end a training
            self._problem = self._problem or f"{type(error).__name__}: {error}"

    def _warn(self) -> None:
        if self._problem and not self._has_warned:
            self._has_warned = True
            rank_zero_warn(f"Energy and CO2 are not measured in this run ({self._problem}). Training goes on.")
