"""What one call of ``fit`` costs while it runs."""

import math
from typing import Any

from lightning_critperiod.costs.amounts import Energy, plus
from lightning_critperiod.costs.counting import SampleCounter
from lightning_critperiod.costs.flops import StepFlops
from lightning_critperiod.costs.ledger import EpochCosts, Ledger
from lightning_critperiod.costs.meter import EnergyMeter
from lightning_critperiod.costs.ranks import summed
from lightning_critperiod.costs.stopwatch import Stopwatch


class Session:
    """Charges one call of ``fit``: seconds to phases and epochs, samples and FLOPs to epochs, energy to the whole.

    Nothing is charged before ``begin`` and after ``end``.

    Attributes:
        ledger: What is charged so far.
        epoch: The 0-based epoch that is charged; None before the first one.
        flops: Counts those of the training steps of this rank.
        meter: The meter of this node's energy; None on a rank without one, before ``begin`` and after ``end``.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.epoch: int | None = None
        self.flops = StepFlops()
        self.meter: EnergyMeter | None = None
        self._watch: Stopwatch | None = None
        self._counter: SampleCounter | None = None
        self._drawn = 0.0  # by this rank, since the ranks' numbers were added up last; NaN where it is not known
        self._ranks = 1

    @property
    def runs(self) -> bool:
        """Whether it has begun and not ended."""
        return self._watch is not None

    def begin(self, trainer: Any, meter: EnergyMeter | None) -> None:
        """Start the clock, then the meter and the counting, before the train dataloaders are set up."""
        self._watch = Stopwatch(trainer)
        self._counter = SampleCounter(trainer)
        self._ranks = trainer.world_size
        self.meter = meter
        if meter is not None:
            meter.start()
        self.flops.attach(trainer)
        self.charge("metering")

    def step(self, epoch: int) -> EpochCosts:
        """Begin a training step in ``epoch``. The workers that its batch came from have been forked by now."""
        if self.meter is not None:
            self.meter.begin()
        self.flops.step_begins()
        return self.enter(epoch, "data_wait")

    def charge(self, phase: str) -> None:
        """Charge the time since the last call to ``phase``, less what the detector took meanwhile."""
        if self._watch is None:
            return
        seconds, detecting = self._watch.lap()
        self.ledger.charge(phase, seconds, None if phase == "metering" else self.epoch)
        if detecting:
            self.ledger.charge("detector", detecting, self.epoch)

    def enter(self, epoch: int, phase: str) -> EpochCosts:
        """Charge the time since the last call to ``phase``, or to the start-up, and go on in ``epoch``."""
        self.charge("start_up" if self.epoch is None else phase)
        self.epoch = epoch
        return self.ledger.epoch(epoch)

    def train(self, epoch: int, samples: float | None) -> None:
        """Charge a training step.

        Args:
            epoch: 0-based, of the step.
            samples: How many the user says it had; None lets them be counted.
        """
        self.charge("training")
        self.ledger.epoch(epoch).batches += 1
        counted = math.nan if self._counter is None else self._counter.take()
        self._drawn += counted if samples is None else samples

    def settle(self, trainer: Any) -> None:
        """Add up what the ranks drew and the nodes used. All ranks call it."""
        energy = Energy() if self.meter is None else self.meter.read()
        drawn, flops, self.ledger.energy = summed(trainer, self._drawn, self.flops.take(), energy)
        self._take(self.ledger, drawn, flops)
        self._drawn = 0.0

    def so_far(self) -> Ledger:
        """This session, in the middle of an epoch: nothing is reduced, the other ranks' shares are equal to ours."""
        unsettled = Ledger()
        if self._drawn:
            self._take(unsettled, self._drawn * self._ranks, self.flops.so_far * self._ranks)
        if self.meter is not None and self._ranks == 1:
            self.ledger.energy = self.meter.read()
        return self.ledger + unsettled

    def break_off(self) -> None:
        """End where an exception ends the training: what is not settled counts as it is."""
        self.charge("start_up" if self.epoch is None else "overhead")
        if self.meter is not None:
            self.meter.stop()
        self.ledger, self._drawn = self.so_far(), 0.0
        self.flops.take()
        self.end()

    def end(self) -> None:
        """Stop the clock, the counting and the meter. A second call does nothing."""
        self._watch = None
        self.flops.detach()
        if self._counter is not None:
            self._counter.stop()
            self._counter = None
        if self.meter is not None:
            self.meter.stop()
            self.meter = None

    def _take(self, ledger: Ledger, samples: float, flops: float) -> None:
        if self.epoch is not None:
            epoch = ledger.epoch(self.epoch)
            epoch.samples = plus(epoch.samples, None if math.isnan(samples) else int(samples))
            epoch.flops = plus(epoch.flops, None if math.isnan(flops) else flops)

    def __getstate__(self) -> dict[str, Any]:
        # The meter has threads; a clock's reading means nothing in another process, nor do its loaders.
        return {**self.__dict__, "meter": None, "_watch": None, "_counter": None}
