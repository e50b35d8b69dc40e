"""A cooldown on two processes: one decision, the same rates, and the same weights on every rank."""

import json
from pathlib import Path

import lightning as L
import pytest
import torch
from conftest import Declares, TinyModel, make_trainer, weights
from fresh import launched
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from lightning_critperiod import (
    Budget,
    Cooldown,
    CriticalPeriodCallback,
    EarlyCooldown,
    MonitoredMetric,
    Never,
    Plateau,
    Recipe,
    Volume,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:It is recommended to use `self.log.*sync_dist=True"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Ranked(TinyModel):
    """Logs another metric on every rank: rank 0's stops falling after epoch 2, the others' fall on."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def on_before_optimizer_step(self, optimizer):
        self.taken.append((self.current_epoch, optimizer.param_groups[0]["lr"]))

    def validation_step(self, batch, batch_idx):
        epoch = min(self.current_epoch, 2) if self.global_rank == 0 else self.current_epoch
        self.log("val_loss", torch.tensor(1.0 / (1 + epoch)), batch_size=1)


class Writes(Callback):
    def __init__(self, folder, asks_at=None):
        self.folder, self.asks_at = folder, asks_at

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_rank == 1 and trainer.current_epoch == self.asks_at:
            ours(trainer).cool_down()

    def on_train_end(self, trainer, pl_module):
        callback = ours(trainer)
        record = {
            "taken": pl_module.taken,
            "weights": weights(pl_module).tolist(),
            "decision": [callback.cooldown_epoch, callback.last_epoch, callback.reason],
            "epochs": trainer.current_epoch,
            "final_weights": getattr(callback, "final_weights", None),
        }
        Path(self.folder, f"{trainer.global_rank}.json").write_text(json.dumps(record))


def ours(trainer):
    return next(callback for callback in trainer.callbacks if isinstance(callback, CriticalPeriodCallback))


def run(folder, callback, *others, asks_at=None, **arguments):
    L.seed_everything(1, verbose=False)
    saves = any(isinstance(other, ModelCheckpoint) for other in others)
    defaults = {"devices": 2, "strategy": "ddp_fork", "max_epochs": -1, "enable_checkpointing": saves}
    # The one that writes is behind the other, so that it sees the weights that are kept.
    trainer = make_trainer(folder, [callback, Writes(folder, asks_at), *others], **{**defaults, **arguments})
    trainer.fit(Ranked(), Declares(n=16, multiplier=1))
    ranks = [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(2)]
    assert ranks[0] == ranks[1]
    return ranks[0]


def drive(rule=None, **cooldown):
    recipe = Recipe(after=Volume(), cooldown=Cooldown(**cooldown))
    return CriticalPeriodCallback(MonitoredMetric("val_loss"), rule or Plateau(patience=2), recipe)


def test_rank_0s_metric_decides(tmp_path):
    callback = drive()
    found = run(tmp_path, callback, ModelCheckpoint(tmp_path))
    start, last, _ = found["decision"]
    assert 2 < start < 12
    rates = [rate for epoch, rate in found["taken"] if epoch >= start]
    assert rates == pytest.approx([0.05 * (1 - (step / 6) ** 0.5) for step in range(6)])  # 2 steps an epoch
    assert found["epochs"] == last + 1
    assert (tmp_path / "before_cooldown.ckpt").is_file()
    # The process that called fit has it from rank 0.
    assert (callback.cooldown_epoch, callback.last_epoch) == (start, last)


def test_asked_for_on_one_rank_it_begins_on_all(tmp_path):
    found = run(tmp_path, drive(Never()), asks_at=3)
    assert found["decision"][:2] == [4, 6]


def test_what_one_rank_was_asked_for_was_not_in_a_checkpoint_that_was_saved_before_the_epoch_ended(tmp_path):
    saves = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    run(tmp_path, drive(Never()), saves, asks_at=3)  # asked after step 7, rank 1 alone; 2 steps an epoch
    requests = {step: request(tmp_path / f"step={step}.ckpt") for step in (6, 7)}
    assert requests == {6: None, 7: "a cooldown was requested"}


def request(path):
    states = torch.load(path, weights_only=True)["callbacks"]
    return next(state["request"] for key, state in states.items() if key.startswith("CriticalPeriodCallback"))


def test_early_stopping_on_one_rank_begins_it_on_all(tmp_path):
    found = run(tmp_path, drive(Never()), EarlyStopping("val_loss", patience=2))
    assert found["decision"][:2] == [5, 7]  # rank 0's metric is best in epoch 2, the other's improves on
    assert found["decision"][2].endswith("the patience of EarlyStopping is over")


def test_rank_0s_clock_decides_about_hours(tmp_path):
    found = run(tmp_path, drive(Never(), budget=Budget(hours=1.5 / 3600)))
    assert found["decision"][1] + 1 == found["epochs"]


def test_early_cooldown_keeps_the_same_weights_everywhere(tmp_path):
    callback = EarlyCooldown("val_loss", mode="min")
    found = run(tmp_path, callback, max_epochs=6)
    assert found["final_weights"] in {"raw", "averaged"}
    assert callback.final_weights == found["final_weights"]
    assert found["decision"][:2] == [3, 5]


SHARDED = """
import json, sys, torch
from pathlib import Path
from conftest import Declares, make_trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from test_cooldown_ranks import Ranked, drive
from torch.distributed.fsdp import fully_shard
from lightning_critperiod import AtEpoch, EarlyCooldown

class Sharded(Ranked):
    def configure_model(self):
        for part in (self.net[0], self.net[2], self.net, self):
            fully_shard(part, mesh=self.device_mesh["data_parallel"])
    def forward(self, x):
        return self.net(x)
    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self(batch[1]), batch[2])

def fit(folder, callback, ckpt=None, **arguments):
    torch.manual_seed(0)
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=False)
    trainer = make_trainer(folder, [callback, ModelCheckpoint(folder)], strategy=strategy, devices=2,
                           enable_checkpointing=True, **arguments)
    model = Sharded()
    trainer.fit(model, Declares(n=16, multiplier=1), ckpt_path=ckpt, weights_only=True if ckpt else None)
    return {"epochs": trainer.current_epoch, "taken": model.taken, "rank": trainer.global_rank}

folder = Path(sys.argv[1])
found = {"whole": fit(folder / "a", drive(AtEpoch(2)), max_epochs=-1)}
found["undone"] = fit(folder / "b", drive(AtEpoch(2)), ckpt=folder / "a" / "before_cooldown.ckpt", max_epochs=7)
found["early"] = fit(folder / "c", EarlyCooldown("val_loss", mode="min", average=False), max_epochs=5)
try:
    fit(folder / "d", EarlyCooldown("val_loss", mode="min"), max_epochs=5)
except ValueError as error:
    found["refused"] = str(error)
(folder / f"{found['whole']['rank']}.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
def test_sharded_weights_are_cooled_down_and_only_their_average_is_refused(tmp_path):
    """FSDP2 on two processes."""
    file = tmp_path / "sharded.py"
    file.write_text(SHARDED)
    launched(file, tmp_path)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert [found[name]["epochs"] for name in ("whole", "undone", "early")] == [5, 7, 5]
        rates = [rate for epoch, rate in found["whole"]["taken"] if epoch >= 2]
        assert rates == pytest.approx([0.05 * (1 - (step / 6) ** 0.5) for step in range(6)])
        assert [rate for epoch, rate in found["undone"]["taken"] if epoch < 4] == [0.05] * 4
        assert found["early"]["taken"][-1][1] < 0.05
        assert "average=True needs whole weights on every process" in found["refused"]
        assert "give average=False" in found["refused"]
