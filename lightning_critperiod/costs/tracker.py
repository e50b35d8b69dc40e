"""codecarbon's tracker, told to send, write and print nothing."""

import inspect
import tempfile
from typing import Any


class Latest:
    """Output handler that keeps codecarbon's last totals and writes nothing."""

    def __init__(self) -> None:
        self.data: Any = None

    def out(self, total: Any, delta: Any) -> None:
        """Take the totals of a flush."""
        self.data = total

    def live_out(self, total: Any, delta: Any) -> None:
        """Take the totals of a measurement."""
        self.data = total

    def task_out(self, data: Any, experiment_name: str) -> None:
        """There are no tasks."""

    def exit(self) -> None:
        """There is nothing to close."""


def offline_tracker(
    latest: Latest, country_iso_code: str, region: str | None = None, gpu_ids: list[str] | None = None
) -> Any:
    """A tracker that has not started.

    codecarbon reads a ``.codecarbon.config`` of the user's, and ``CODECARBON_`` variables. What they say of the machine
    counts: forced powers, the data center's PUE, which energy counters to use; ``how_obtained`` names it. Where the
    machine stands is said by the arguments alone: a cloud region or a forced carbon intensity would replace the grid
    that the report names. Its outputs do not count either, nor does its interval between measurements.

    Args:
        latest: Gets the totals.
        country_iso_code: ISO 3166-1 alpha-3 code, for the grid's carbon intensity.
        region: A state or province of that country, or None.
        gpu_ids: The graphics cards that count; None is all that the machine shows.

    Returns:
        An ``OfflineEmissionsTracker``, with those of our settings that this version of codecarbon knows.
    """
    import codecarbon

    kind: Any = codecarbon.OfflineEmissionsTracker
    settings = {
        "country_iso_code": country_iso_code,
        "region": region,
        "country_2letter_iso_code": None,
        "cloud_provider": None,
        "cloud_region": None,
        "force_carbon_intensity_g_co2e_kwh": None,
        "gpu_ids": gpu_ids,
        "measure_power_secs": 15.0,
        "output_methods": [],
        "output_dir": tempfile.gettempdir(),
        "on_csv_write": "append",
        "logger_preamble": "",
        "output_handlers": [latest],
        "emissions_endpoint": None,
        "electricitymaps_api_token": "",
        "tracking_mode": "machine",
        "allow_multiple_runs": True,
        "log_level": "critical",
    }
    inits = [vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    known = {name for init in inits for name in inspect.signature(init).parameters}
    return kind(**{name: value for name, value in settings.items() if name in known})
