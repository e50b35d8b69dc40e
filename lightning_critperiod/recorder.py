"""Where ``RunRecorder`` was before it became public; import it from ``lightning_critperiod``."""

from lightning_critperiod.report import RunRecorder

__all__ = ["RunRecorder"]
