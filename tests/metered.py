"""One metered training on several processes; each rank writes down what its monitor says. Run as a script."""

import json
import sys
import time
from pathlib import Path

from conftest import Numbered, TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from lightning_critperiod import CostMonitor, RunRecorder


class SaysCosts(Callback):
    def __init__(self, folder):
        self.folder, self.began = folder, time.monotonic()

    def setup(self, trainer, pl_module, stage):
        monitor = next(c for c in trainer.callbacks if isinstance(c, CostMonitor))
        self.tracker = None if monitor._session.meter is None else monitor._session.meter._tracker

    def on_train_batch_start(self, *_):
        time.sleep(0.01)

    def on_fit_end(self, trainer, pl_module):
        monitor = next(c for c in trainer.callbacks if isinstance(c, CostMonitor))
        own = None if self.tracker is None else self.tracker.final_emissions_data
        whole = 0 if own is None else monitor.costs.seconds / own.duration  # it starts while training goes on
        said = {
            "node": trainer.node_rank,
            "kwh": monitor.energy.kwh,
            "co2_kg": monitor.energy.co2_kg,
            "money": monitor.costs.money,
            "seconds": monitor.costs.seconds,
            "elapsed": time.monotonic() - self.began,
            "samples": sum(epoch.samples for epoch in monitor.epochs.values()),
            "flops": sum(epoch.flops for epoch in monitor.epochs.values()),
            "own_kwh": None if own is None else whole * own.energy_consumed,
            "own_co2_kg": None if own is None else whole * own.emissions,
        }
        Path(self.folder, f"costs-{trainer.global_rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    folder, arguments = sys.argv[1], json.loads(sys.argv[2])
    monitor = CostMonitor(price_per_kwh=2.0, price_per_hour=3.0)
    trainer = make_trainer(folder, [monitor, SaysCosts(folder)], strategy="ddp", max_epochs=2, **arguments)
    trainer.fit(TinyModel(), TinyData(n=34))

    # Batches of other sizes on every rank, from a batch sampler of the user's.
    batches = [[[0, 1], [2]], [[0, 1, 2], [3, 4]]][trainer.global_rank]
    monitor = CostMonitor()
    quiet = RunRecorder(write=False, show=False)  # the report is that of the first run
    alone = {"use_distributed_sampler": False, **arguments}
    uneven = make_trainer(folder, [monitor, quiet], strategy="ddp", max_epochs=2, **alone)
    uneven.fit(TinyModel(), DataLoader(Numbered(5), batch_sampler=batches))
    drawn = [epoch.samples for epoch in monitor.epochs.values()]
    Path(folder, f"uneven-{uneven.global_rank}.json").write_text(json.dumps(drawn))
