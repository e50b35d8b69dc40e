"""One training on several processes; each rank writes down what it did. Run as a script for launchers that need one."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from conftest import Declares, Numbered, TinyData, make_trainer, weights
from lightning.pytorch.callbacks import Callback
from test_resume import RECIPE, Recording, SavesEverywhere, one_cycle
from torch.utils.data import DataLoader, WeightedRandomSampler

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, MonitoredMetric, Never, Plateau
from lightning_critperiod.datamodules import Digits


class Ranked(Recording):
    """Logs another metric on every rank: rank 0's stops falling after epoch 0, the others' fall on."""

    def validation_step(self, batch, batch_idx):
        value = 1.0 if self.global_rank == 0 else 1.0 / (1 + self.current_epoch)
        self.log("val_loss", torch.tensor(value), batch_size=1)


class Images(Ranked):
    """For batches of 8 x 8 images; a sample's number is not known, so 0 stands for each."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.net(batch[1]), batch[2])

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return super().training_step((torch.zeros(len(labels), dtype=torch.int), images, labels), batch_idx)


class Weighted(Declares):
    def train_dataloader(self):
        sampler = WeightedRandomSampler([1.0] * (self.n // 2) + [3.0] * (self.n - self.n // 2), self.n)
        return DataLoader(Numbered(self.n), batch_size=4, sampler=sampler)


DATA = {"declares": Declares, "plain": TinyData, "weighted": Weighted, "digits": Digits}


class Dies(Callback):
    """Rank 1 ends in the middle of epoch 1: by an exception, or of SIGKILL."""

    def __init__(self, how):
        self.how = how

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank == 1 and (trainer.current_epoch, batch_idx) == (1, 2):
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("on purpose")


class Writes(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_end(self, trainer, pl_module):
        record = {
            "steps": pl_module.steps,
            "weights": weights(pl_module).double().tolist(),
            "global_step": trainer.global_step,
            "validations": pl_module.validations,
            "planned": pl_module.planned_steps,
        }
        for ours in trainer.callbacks:
            if isinstance(ours, CriticalPeriodCallback):
                record["history"] = sorted(ours.history.items())
                record["end_epoch"] = ours.end_epoch
                record["volumes"] = [(e, v.augmentation_multiplier, v.pruning_ratio) for e, v in ours.volumes.items()]
        Path(self.folder, f"rank-{trainer.global_rank}.json").write_text(json.dumps(record))


RULES = {
    "at 2": lambda: CriticalPeriodCallback(rule=AtEpoch(2), recipe=RECIPE),
    "metric": lambda: CriticalPeriodCallback(MonitoredMetric("val_loss"), Plateau(patience=1), RECIPE),
    "never": lambda: CriticalPeriodCallback(rule=Never()),
}


def train(folder, rule="at 2", data="declares", options=(), seed=1, ckpt=None, saves=False, dies=None, **arguments):
    """Train; the ranks of it leave their records in ``folder``."""
    torch.manual_seed(0)
    model = (Images if data == "digits" else Ranked)(scheduler=one_cycle)
    torch.manual_seed(seed)
    callbacks = [Writes(folder), *([RULES[rule]()] if rule else [])]
    callbacks += [SavesEverywhere(folder)] if saves else []
    callbacks += [Dies(dies)] if dies else []
    defaults = {"devices": 2, "strategy": "ddp_fork", "enable_checkpointing": saves}
    trainer = make_trainer(folder, callbacks, **{**defaults, **arguments})
    trainer.fit(model, DATA[data](**dict(options)), ckpt_path=ckpt, weights_only=True if ckpt else None)


if __name__ == "__main__":
    train(sys.argv[1], **json.loads(sys.argv[2]))
