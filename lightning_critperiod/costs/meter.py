"""Electricity and CO2 of this machine, offline."""

import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_critperiod.costs.amounts import Energy
from lightning_critperiod.lightning_seam import how_obtained


class _Latest:
    """Output handler that keeps codecarbon's last totals and writes nothing."""

    def __init__(self) -> None:
        self.data: Any = None

    def out(self, total: Any, delta: Any) -> None:
        self.data = total

    def live_out(self, total: Any, delta: Any) -> None:
        self.data = total

    def task_out(self, data: Any, experiment_name: str) -> None: ...

    def exit(self) -> None: ...


class EnergyMeter:
    """Meters the whole machine from ``start`` to ``stop``. Never raises: what fails is one warning, no value.

    Args:
        country_iso_code: ISO 3166-1 alpha-3 code, for the grid's carbon intensity.
        region: A state or province of that country, or None.
        gpu_ids: The graphics cards that count; None is all that the machine shows.
    """

    def __init__(self, country_iso_code: str, region: str | None = None, gpu_ids: list[str] | None = None) -> None:
        self._country_iso_code = country_iso_code
        self._region = region
        self._gpu_ids = gpu_ids
        self._tracker: Any = None
        self._latest = _Latest()
        self._level = logging.NOTSET
        self._failed = False
        self.obtained: dict[str, str] = {}
        self.hardware: dict[str, Any] = {}

    def start(self) -> None:
        """Probe the hardware (about 2 s the first time in a process) and begin."""
        self._attempt(self._start)

    def read(self) -> Energy | None:
        """Energy and emissions since ``start``; after ``stop``, until then. None: not measured."""
        if self._tracker is not None:
            self._attempt(self._tracker.flush)
        data = self._latest.data
        if data is None or self._failed:
            return None
        return Energy(float(data.cpu_energy), float(data.gpu_energy), float(data.ram_energy), float(data.emissions))

    def stop(self) -> None:
        """Read a last time and end. A second call does nothing."""
        if self._tracker is not None:
            self._attempt(self._tracker.stop)
            self._tracker = None
            logging.getLogger("codecarbon").setLevel(self._level)

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                step()
            problem = None if self._latest.data is not None else "codecarbon returned nothing"
        except ImportError:
            problem = "codecarbon is not installed: pip install codecarbon"
        except Exception as error:  # whatever a meter does must not end a training
            problem = f"{type(error).__name__}: {error}"
        if problem and not self._failed:
            self._failed = True
            rank_zero_warn(f"Energy and CO2 are not measured in this run ({problem}). Training goes on.")

    def _start(self) -> None:
        import codecarbon

        # Importing codecarbon sets the level of its logger, so that this comes after it.
        logger = logging.getLogger("codecarbon")
        self._level = logger.level
        logger.setLevel(logging.CRITICAL)
        self._tracker = codecarbon.OfflineEmissionsTracker(
            country_iso_code=self._country_iso_code,
            region=self._region,
            gpu_ids=self._gpu_ids,
            # The user's own .codecarbon.config is read too: its powers count, its outputs are none of this meter's.
            output_methods=[],
            output_dir=tempfile.gettempdir(),
            on_csv_write="append",
            logger_preamble="",
            output_handlers=[self._latest],
            emissions_endpoint=None,
            electricitymaps_api_token="",
            tracking_mode="machine",
            allow_multiple_runs=True,
            log_level="critical",
        )
        self._tracker.start()
        self._tracker.flush()
        self.hardware = dict(self._tracker.get_detected_hardware())
        self.obtained = how_obtained(self._tracker)
