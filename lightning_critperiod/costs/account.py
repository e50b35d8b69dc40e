"""What a training has spent over all of its sessions."""

import uuid
from collections.abc import Mapping
from typing import Any

from lightning_critperiod.costs.ledger import Ledger
from lightning_critperiod.costs.session import Session

VERSION = 3
"""Of the state in a checkpoint; version 1 had no number, and always knew its samples; version 2 had no FLOPs."""


class Account:
    """Adds the session that runs, one call of ``fit``, to those before it.

    Attributes:
        session: The one that runs, or ran last.
    """

    def __init__(self) -> None:
        self.open(goes_on=False)

    def open(self, goes_on: bool) -> None:
        """Start a session; one that does not go on where the last one was starts from nothing."""
        self._before = self.ledger if goes_on else Ledger()
        self.session = Session()
        self._id = uuid.uuid4().hex

    @property
    def ledger(self) -> Ledger:
        """What is charged, with all ranks' shares, up to the end of the last epoch."""
        return self._before + self.session.ledger

    def so_far(self) -> Ledger:
        """What is charged in the middle of an epoch, by what this rank knows."""
        if self.session.meter is not None:
            self.session.meter.wait()  # the seconds before it has started would be without their energy
        return self._before + self.session.so_far()

    def state_dict(self) -> dict[str, Any]:
        """Plain Python values, so that a checkpoint loads with ``weights_only=True``."""
        return {"version": VERSION, "session": self._id, **self.so_far().state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what another session left."""
        # A learning rate or batch size finder gives the run, in its middle, what it was a moment ago.
        if state.get("session") != self._id:
            self._before = Ledger.from_state(state)
