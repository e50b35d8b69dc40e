"""Laps on a monotonic clock, the detector's own time apart."""

import time
from typing import Any


class Stopwatch:
    """Measures laps; what the callbacks spent meanwhile on measuring, deciding and setting the volume is kept apart.

    Args:
        trainer: Its callbacks are asked for ``detector_seconds``, their total so far in s; most have none.
    """

    def __init__(self, trainer: Any) -> None:
        self._detectors = [c for c in trainer.callbacks if getattr(c, "detector_seconds", None) is not None]
        self._mark = time.monotonic()
        self._detector = self._detector_seconds()

    def lap(self) -> tuple[float, float]:
        """Seconds since the last lap: (without the detector, the detector's)."""
        now, detector = time.monotonic(), self._detector_seconds()
        elapsed = now - self._mark
        detecting = min(elapsed, max(0.0, detector - self._detector))
        self._mark, self._detector = now, detector
        return elapsed - detecting, detecting

    def _detector_seconds(self) -> float:
        return float(sum(callback.detector_seconds for callback in self._detectors))
