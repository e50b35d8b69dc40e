"""The callback that measures what a training costs."""

from typing import Any

from typing_extensions import override

from lightning_critperiod.costs.account import Account
from lightning_critperiod.costs.amounts import Costs, Energy, total
from lightning_critperiod.costs.grid import check_grid
from lightning_critperiod.costs.ledger import EpochCosts
from lightning_critperiod.costs.logged import LoggedMetrics
from lightning_critperiod.costs.meter import EnergyMeter
from lightning_critperiod.costs.prices import Prices
from lightning_critperiod.costs.ranks import meter_devices
from lightning_critperiod.costs.session import Session
from lightning_critperiod.lightning_seam import Safely, finished_epochs, register, send_back
from lightning_critperiod.lightning_seam.namespace import Callback

ASSUMED_COUNTRY = "USA"
ASSUMED_PRICE = 0.17


class CostMeter(Callback):
    """Measures the time, energy, CO2, money and arithmetic of ``Trainer.fit``, by phase and by epoch.

    Seconds are wall-clock time on a monotonic clock, from the callback's ``setup`` to the end of training. Energy and
    CO2 come from codecarbon's offline tracker: the whole machine, one meter a node, summed over the nodes; nothing is
    sent anywhere. The seconds that codecarbon takes to start, while training goes on, are charged at the average power
    of the others (see ``EnergyMeter``). It works with and without ``CriticalPeriodCallback``. A resumed run goes on
    from what its checkpoint holds; what an earlier session spent after its last checkpoint, and the time between
    sessions, are not in it. A graphics card runs kernels asynchronously: the split between training and waiting
    for data is what the host sees.

    Money = ``price_per_kwh`` x kWh + ``price_per_hour`` x hours; if energy could not be measured it is only the
    second part, and None without a price per hour.

    Args:
        country_iso_code: The country of the machine, ISO 3166-1 alpha-3, for the grid's carbon intensity. None assumes
            the USA.
        region: A state of the USA or a province of Canada, lower case; None is the whole country.
        price_per_kwh: Price of electricity. None assumes 0.17, about what US households pay.
        price_per_hour: Price of the machines, all together, per hour.
        currency: Currency of both prices.

    Attributes:
        assumed: The arguments that were not given; the report calls their values assumptions.

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
        self._prices = Prices(price_per_kwh, price_per_hour, currency)
        self.country_iso_code = country_iso_code
        self.region = region
        self.price_per_kwh = price_per_kwh
        self.price_per_hour = price_per_hour
        self.currency = currency
        self.obtained: dict[str, str] = {}
        self.hardware: dict[str, Any] = {}
        self.token = register(self)
        self._account = Account()
        self._forget()

    @property
    def seconds(self) -> dict[str, float]:
        """Phase -> s, over all sessions of this training. See ``ledger.PHASES``."""
        return self._account.ledger.seconds

    @property
    def epochs(self) -> dict[int, EpochCosts]:
        """0-based epoch -> its costs, over all sessions of this training."""
        return self._account.ledger.epochs

    @property
    def validation_metrics(self) -> dict[str, float | None]:
        """What the latest validation of this session logged."""
        return self._logged.validation

    @property
    def energy(self) -> Energy | None:
        """Electricity and CO2 over all sessions of this training; None if not measured."""
        return self._account.ledger.energy

    @property
    def counts_exactly(self) -> bool:
        """Whether the FLOPs of this session are no estimate. See ``costs.flops.StepFlops``."""
        return self._session.flops.is_exact

    @property
    def costs(self) -> Costs:
        """The totals, over all sessions of this training."""
        ledger = self._account.ledger
        return self._prices.costs(sum(ledger.seconds.values()), ledger.energy)

    @property
    def spent(self) -> dict[str, float]:
        """What this training has used so far, by the names of ``Budget``; what is not measured is missing."""
        ledger = self._account.so_far()
        found = {
            "samples": total(epoch.samples for epoch in ledger.epochs.values()),
            "flops": total(epoch.flops for epoch in ledger.epochs.values()),
        }
        if ledger.energy is not None:  # money without the price of energy is not what a budget means
            costs = self._prices.costs(sum(ledger.seconds.values()), ledger.energy)
            found |= {"kwh": costs.energy_kwh, "co2_kg": costs.co2_kg, "money": costs.money}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def _session(self) -> Session:
        return self._account.session

    def _forget(self) -> None:
        self._logged = LoggedMetrics()
        self._said: int | None = None
        self._safely = Safely("CostMonitor")

    @override
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        # A Trainer that is fitted again goes on; a new one starts from nothing.
        self._account.open(goes_on=trainer.current_epoch > 0)
        self._forget()
        send_back(trainer, self)
        meter = None
        if trainer.local_rank == 0:
            meter = EnergyMeter(self.country_iso_code, self.region, meter_devices(trainer))
        self._session.begin(trainer, meter)
        if meter is not None:
            self.obtained, self.hardware = meter.obtained, meter.hardware

    @override
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        with self._safely("measuring an epoch"):
            self._session.enter(finished_epochs(trainer), "overhead")

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        with self._safely("measuring a batch"):
            # A run that continues in mid-epoch gets no on_train_epoch_start.
            epoch = self._session.step(finished_epochs(trainer))
            self._said = None  # counted, if what the user says fails
            self._said = self.samples_of(batch)  # now, because a step may empty its batch
            group = next((group for optimizer in trainer.optimizers for group in optimizer.param_groups), None)
            if group is not None and group.get("lr") is not None:  # Adafactor may have none of its own
                epoch.learning_rate = float(group["lr"])

    def samples_of(self, batch: Any) -> int | None:
        """The number of samples in a batch; override it where they are not counted.

        They are counted by the indices that a ``DataLoader`` draws, whatever its sampler, and by the items of a stream
        that it collates. Where batches come from elsewhere, or a dataset may yield whole batches (``batch_size=None``),
        the number of samples is not known, and only batches are counted.

        Returns:
            The number; None lets them be counted.
        """
        return None

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        with self._safely("measuring a step"):
            self._session.train(finished_epochs(trainer), self._said)

    @override
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        with self._safely("measuring a validation"):
            if self._session.runs and not trainer.sanity_checking:
                self._session.charge("overhead")
                self._logged.before_validation(trainer)

    @override
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        with self._safely("measuring a validation"):
            if self._session.runs and not trainer.sanity_checking:
                self._session.charge("validation")
                # Now, not at the end of the epoch: a checkpoint that is saved now resumes without these metrics.
                epoch = self._session.ledger.epoch(finished_epochs(trainer))
                epoch.metrics.update(self._logged.of_validation(trainer))

    @override
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        with self._safely("measuring an epoch"):
            self._session.charge("overhead")
            self._session.ledger.epoch(finished_epochs(trainer) - 1).metrics.update(self._logged.of_epoch(trainer))
            self._session.settle(trainer)

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        with self._safely("measuring the end of training"):
            self._session.charge("overhead")
            if self._session.meter is not None:
                self._session.meter.stop()
            self._session.charge("metering")
            self._session.settle(trainer)
            self._session.end()

    @override
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        with self._safely("measuring the end of training"):
            if self._session.runs:
                self._session.break_off()

    @override
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._session.end()

    @property
    @override
    def state_key(self) -> str:
        """That of the public class: a run may be resumed with either."""
        return "CostMonitor" if type(self) is CostMeter else str(super().state_key)

    @override
    def state_dict(self) -> dict[str, Any]:
        return self._account.state_dict()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._account.load_state_dict(state_dict)

    def found(self) -> dict[str, Any]:
        """What a process that was spawned sends back to the one that called ``fit``."""
        return {"ledger": self.state_dict(), "obtained": self.obtained, "hardware": self.hardware}

    def receive(self, found: dict[str, Any]) -> None:
        """Take what ``found`` returned in another process."""
        self.load_state_dict(found["ledger"])
        self.obtained, self.hardware = found["obtained"], found["hardware"]
