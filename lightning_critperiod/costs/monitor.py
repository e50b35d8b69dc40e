"""The callback that measures what a training costs."""

import math
from typing import Any

from typing_extensions import override

from lightning_critperiod.costs.amounts import Costs, Energy, plus
from lightning_critperiod.costs.counting import samples_in_batch
from lightning_critperiod.costs.grid import check_grid
from lightning_critperiod.costs.ledger import EpochCosts, Ledger
from lightning_critperiod.costs.logged import LoggedMetrics
from lightning_critperiod.costs.meter import EnergyMeter
from lightning_critperiod.costs.ranks import meter_devices, summed
from lightning_critperiod.costs.stopwatch import Stopwatch
from lightning_critperiod.lightning_seam import register, send_back
from lightning_critperiod.lightning_seam.namespace import Callback
from lightning_critperiod.recipe import require_number

ASSUMED_COUNTRY = "USA"
ASSUMED_PRICE = 0.17
VERSION = 2
"""Of the state in a checkpoint; version 1 had no number, and always knew its samples."""


class CostMonitor(Callback):
    """Measures the time, energy, CO2 and money of ``Trainer.fit``, by phase and by epoch.

    Seconds are wall-clock time on a monotonic clock, from the callback's ``setup`` to the end of training.
    Energy and CO2 come from codecarbon's offline tracker: the whole machine, one meter a node, summed over
    the nodes; nothing is sent anywhere. It works with and without ``CriticalPeriodCallback``. A resumed run
    goes on from what its checkpoint holds; what an earlier session spent after its last checkpoint, and the
    time between sessions, are not in it. On a graphics card kernels run behind the host's back: the split
    between training and waiting for data is the host's view.

    Money = ``price_per_kwh`` x kWh + ``price_per_hour`` x hours; where energy could not be measured it is the second
    part alone, and None without a price per hour.

    Args:
        country_iso_code: Where the machine stands, ISO 3166-1 alpha-3, for the grid's carbon intensity. None assumes
            the USA.
        region: A state of the USA or a province of Canada, lower case; None is the whole country.
        price_per_kwh: Price of electricity. None assumes 0.17, about what US households pay.
        price_per_hour: Price of the machines, all together, per hour.
        currency: Of both prices.

    Attributes:
        assumed: The arguments that nobody gave, so that the report calls their values assumptions.

    Raises:
        TypeError: A price is not a number, or a name no string.
        ValueError: A price is negative or not finite; an unknown country or region.
    """

    def __init__(
        self,
        country_iso_code: str | None = None,
        region: str | None = None,
        price_per_kwh: float | None = None,
        price_per_hour: float = 0.0,
        currency: str = "USD",
    ) -> None:
        given = {"country_iso_code": country_iso_code, "price_per_kwh": price_per_kwh}
        self.assumed = tuple(name for name, value in given.items() if value is None)
        country_iso_code = ASSUMED_COUNTRY if country_iso_code is None else country_iso_code
        price_per_kwh = ASSUMED_PRICE if price_per_kwh is None else price_per_kwh
        check_grid(country_iso_code, region)
        require_number("price_per_kwh", price_per_kwh, low=0)
        require_number("price_per_hour", price_per_hour, low=0)
        if not isinstance(currency, str):
            raise TypeError(f"currency must be a string such as 'EUR', got {currency!r}")
        self.country_iso_code = country_iso_code
        self.region = region
        self.price_per_kwh = price_per_kwh
        self.price_per_hour = price_per_hour
        self.currency = currency
        self.obtained: dict[str, str] = {}
        self.hardware: dict[str, Any] = {}
        self._before = Ledger()
        self.token = register(self)
        self._forget_session()

    @property
    def seconds(self) -> dict[str, float]:
        """Phase -> s, over all sessions of this training. See ``ledger.PHASES``."""
        return self._ledger.seconds

    @property
    def epochs(self) -> dict[int, EpochCosts]:
        """0-based epoch -> its costs, over all sessions of this training."""
        return self._ledger.epochs

    @property
    def validation_metrics(self) -> dict[str, float | None]:
        """What the latest validation of this session logged."""
        return self._logged.validation

    @property
    def energy(self) -> Energy | None:
        """Electricity and CO2 over all sessions of this training; None if not measured."""
        return self._ledger.energy

    @property
    def costs(self) -> Costs:
        """The totals, over all sessions of this training."""
        ledger = self._ledger
        seconds, energy = sum(ledger.seconds.values()), ledger.energy
        machines = self.price_per_hour * seconds / 3600
        if energy is None:  # the price of the machines is known all the same
            return Costs(seconds, None, None, machines if self.price_per_hour else None, self.currency)
        money = self.price_per_kwh * energy.kwh + machines
        return Costs(seconds, energy.kwh, energy.co2_kg, money, self.currency)

    @property
    def spent(self) -> dict[str, float]:
        """What this training has used so far, by the names of ``Budget``; what is not measured is missing."""
        ledger = self._before + self._so_far()
        drawn = [epoch.samples for epoch in ledger.epochs.values()]
        found = {} if None in drawn else {"samples": float(sum(n for n in drawn if n is not None))}
        if ledger.energy is not None:
            hours, energy = sum(ledger.seconds.values()) / 3600, ledger.energy
            money = self.price_per_kwh * energy.kwh + self.price_per_hour * hours
            found.update(kwh=energy.kwh, co2_kg=energy.co2_kg, money=money)
        return found

    @property
    def _ledger(self) -> Ledger:
        return self._before + self._session

    def _forget_session(self) -> None:
        self._session = Ledger()
        self._logged = LoggedMetrics()
        self._meter: EnergyMeter | None = None
        self._watch: Stopwatch | None = None
        self._epoch: int | None = None
        self._drawn = self._in_step = 0.0  # NaN where it is not known
        self._ranks = 1

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        # A Trainer that is fitted again goes on; a new one starts from nothing.
        self._before = self._ledger if trainer.current_epoch > 0 else Ledger()
        self._forget_session()
        send_back(trainer, self)
        self._watch = Stopwatch(trainer)
        self._ranks = trainer.world_size
        if trainer.local_rank == 0:
            self._meter = EnergyMeter(self.country_iso_code, self.region, meter_devices(trainer))
            self._meter.start()
            self.obtained, self.hardware = self._meter.obtained, self._meter.hardware
        self._charge("metering")

    def _charge(self, phase: str) -> None:
        """Charge the time since the last call to ``phase``, less what the detector took meanwhile."""
        if self._watch is None:
            return
        seconds, detecting = self._watch.lap()
        self._session.charge(phase, seconds, self._epoch)
        if detecting:
            self._session.charge("detector", detecting, self._epoch)

    def _enter(self, epoch: int, phase: str) -> None:
        self._charge("start_up" if self._epoch is None else phase)
        self._epoch = epoch

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._enter(_finished_epochs(trainer), "overhead")

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        # A run that continues in mid-epoch gets no on_train_epoch_start.
        self._enter(_finished_epochs(trainer), "data_wait")
        known = self.samples_of(batch)
        # Now, because a step may empty its batch; it is charged when the step is done.
        self._in_step = samples_in_batch(trainer, batch_idx) if known is None else float(known)
        if trainer.optimizers:
            lr = float(trainer.optimizers[0].param_groups[0]["lr"])
            self._session.epoch(_finished_epochs(trainer)).learning_rate = lr

    def samples_of(self, batch: Any) -> int | None:
        """Samples of a batch, for you to override where they are not counted.

        They are counted by the indices that a ``DataLoader`` draws. With a custom batch sampler, an iterable dataset or
        a batch from elsewhere the number of samples is not known, and only batches are counted.

        Returns:
            The number; None lets the loader's indices tell.
        """
        return None

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._charge("training")
        self._session.epoch(_finished_epochs(trainer)).batches += 1
        self._drawn += self._in_step

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if self._watch is not None and not trainer.sanity_checking:
            self._charge("overhead")
            self._logged.before_validation(trainer)

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if self._watch is not None and not trainer.sanity_checking:
            self._charge("validation")
            # Now, not at the end of the epoch: a checkpoint that is saved now resumes without these metrics.
            self._session.epoch(_finished_epochs(trainer)).metrics.update(self._logged.of_validation(trainer))

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._charge("overhead")
        self._session.epoch(_finished_epochs(trainer) - 1).metrics.update(self._logged.of_epoch(trainer))
        self._settle(trainer)

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._charge("overhead")
        if self._meter is not None:
            self._meter.stop()
        self._settle(trainer)
        self._end()

    def _settle(self, trainer: Any) -> None:
        """Add up what the ranks drew and the nodes used. All ranks call it."""
        energy = Energy() if self._meter is None else self._meter.read()
        drawn, self._session.energy = summed(trainer, self._drawn, energy)
        self._draw(drawn)

    def _draw(self, samples: float) -> None:
        if self._epoch is not None:
            epoch = self._session.epoch(self._epoch)
            epoch.samples = plus(epoch.samples, None if math.isnan(samples) else int(samples))
        self._drawn = 0.0

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if self._watch is None:
            return
        self._charge("start_up" if self._epoch is None else "overhead")
        if self._meter is not None:
            self._meter.stop()
        self._session = self._so_far()
        self._drawn = 0.0
        self._end()

    def _so_far(self) -> Ledger:
        """This session, in the middle of an epoch: nothing is reduced, the other ranks' shares are equal to ours."""
        unsettled = Ledger()
        if self._drawn and self._epoch is not None:
            known = not math.isnan(self._drawn)
            unsettled.epoch(self._epoch).samples = int(self._drawn) * self._ranks if known else None
        if self._meter is not None and self._ranks == 1:
            self._session.energy = self._meter.read()
        return self._session + unsettled

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._end()

    def _end(self) -> None:
        self._watch = None
        if self._meter is not None:
            self._meter.stop()
            self._meter = None

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"version": VERSION, **(self._before + self._so_far()).state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = Ledger.from_state(state_dict)

    def found(self) -> dict[str, Any]:
        """What a process that was spawned sends back to the one that called ``fit``."""
        return {"ledger": self.state_dict(), "obtained": self.obtained, "hardware": self.hardware}

    def receive(self, found: dict[str, Any]) -> None:
        """Take what ``found`` returned in another process."""
        self.load_state_dict(found["ledger"])
        self.obtained, self.hardware = found["obtained"], found["hardware"]

    def __getstate__(self) -> dict[str, Any]:
        # The meter has threads; a clock's reading means nothing in another process.
        return {**self.__dict__, "_meter": None, "_watch": None}


def _finished_epochs(trainer: Any) -> int:
    """The 0-based number of the epoch that runs."""
    # current_epoch lags behind in a run that is resumed from the last batch of an epoch.
    return int(trainer.fit_loop.epoch_progress.current.processed)
