"""Collects the record of a run from its trainer and leaves the report in the run's folder."""

from lightning_critperiod.recorder.run_recorder import RunRecorder

__all__ = ["RunRecorder"]
