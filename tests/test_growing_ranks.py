"""Images that grow in two processes on gloo: the same size on both ranks at every step, also when resumed."""

import json
from pathlib import Path

import lightning as L
import pytest
import torch
from conftest import make_trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from test_growing_images import Net, loader
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import (
    AtEpoch,
    CostMonitor,
    CriticalPeriodCallback,
    GrowingImages,
    MonitoredMetric,
    Plateau,
    Recipe,
    Volume,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:It is recommended to use `self.log.*sync_dist=True"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
]


class Ranked(Net):
    """Logs another metric on every rank: by that of rank 0 the images grow, by the other's they would not."""

    def __init__(self):
        super().__init__()
        self.steps = []
        for dropout in (each for each in self.modules() if isinstance(each, nn.Dropout)):
            dropout.p = 0.0  # the random state is in no checkpoint

    def training_step(self, batch, batch_idx):
        self.steps.append((self.current_epoch, batch_idx, batch[0].shape[-1]))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.tensor(1.0 if self.global_rank == 0 else 1.0 / (1 + self.current_epoch)))


class Says(Callback):
    def on_fit_end(self, trainer, pl_module):
        (costs,) = [callback for callback in trainer.callbacks if isinstance(callback, CostMonitor)]
        said = {
            "steps": pl_module.steps,
            "flops": [epoch.flops for epoch in costs.epochs.values()],
            "weights": [weights.flatten().tolist() for weights in pl_module.parameters()],
        }
        Path(trainer.default_root_dir, f"rank-{trainer.global_rank}.json").write_text(json.dumps(said))


def run(folder, ckpt_path=None):
    folder.mkdir()
    L.seed_everything(1, verbose=False)
    changes = [GrowingImages([4, 8, 12], rule=Plateau(patience=2))]
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=changes)
    callbacks = [
        CriticalPeriodCallback(MonitoredMetric("val_loss"), AtEpoch(2), recipe),
        CostMonitor(),
        ModelCheckpoint(folder, "{epoch}", save_top_k=-1),
        Says(),
    ]
    trainer = make_trainer(folder, callbacks, max_epochs=8, devices=2, strategy="ddp_fork", enable_checkpointing=True)
    trainer.fit(Ranked(), loader(), loader(False), ckpt_path=ckpt_path)
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def flops_of_an_epoch(size):
    network = Net().net
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(12, 3, size, size)).sum().backward()
    return counter.get_total_flops()


def test_two_ranks_train_on_images_of_one_size_at_every_step_and_go_on_so_when_resumed(tmp_path):
    ranks = run(tmp_path / "whole")
    steps = ranks[0]["steps"]
    assert ranks[1]["steps"] == steps
    sizes = {epoch: size for epoch, _, size in steps}
    assert len(steps) == 2 * 8
    assert len({(epoch, size) for epoch, _, size in steps}) == 8
    assert list(sizes.values()) == [4, 4, 4, 8, 8, 8, 12, 12]
    for rank in ranks:  # the operations of both, each counted by the process that did them
        assert rank["flops"] == [flops_of_an_epoch(size) for size in sizes.values()]
    resumed = run(tmp_path / "resumed", str(tmp_path / "whole" / "epoch=3.ckpt"))
    for whole, rest in zip(ranks, resumed, strict=True):
        assert rest["steps"] == whole["steps"][8:]
        assert rest["flops"] == whole["flops"]
        assert rest["weights"] == whole["weights"]
