"""A regression project of a user's own: its LightningCLI config knows nothing of us."""

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod.rules import Rule

CONFIG = """
seed_everything: 3
trainer:
  max_epochs: 4
  accelerator: cpu
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {monitor: val/fit, mode: min}
model:
  class_path: own_project.Net
  init_args: {width: 4}
data:
  class_path: own_project.Waves
optimizer:
  class_path: torch.optim.SGD
  init_args: {lr: 0.05}
ckpt_path: null
"""


class Waves(LightningDataModule):
    def loader(self, seed, shuffle=False):
        x = torch.randn(48, 3, generator=torch.Generator().manual_seed(seed))
        return DataLoader(TensorDataset(x, x.sin().sum(1, keepdim=True)), batch_size=8, shuffle=shuffle)

    def train_dataloader(self):
        return self.loader(0, shuffle=True)

    def val_dataloader(self):
        return self.loader(1)

    def test_dataloader(self):
        return self.loader(2)


class Net(LightningModule):
    """Leaves its optimizer to the config, as LightningCLI lets it."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))

    def step(self, batch, name):
        loss = nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log(name, loss)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train/fit")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val/fit")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test/fit")


class WithData(Net):
    """Has its data itself."""

    def train_dataloader(self):
        return Waves().train_dataloader()

    def val_dataloader(self):
        return Waves().val_dataloader()

    def test_dataloader(self):
        return Waves().test_dataloader()


class Untested(Net):
    test_step = LightningModule.test_step


def net(width: int = 8) -> LightningModule:
    """For a project without a LightningCLI, as ``waves`` is."""
    return Net(width)


def waves() -> LightningDataModule:
    return Waves()


class After(Rule):
    """No dataclass, and it does not say what it is."""

    def __init__(self, epochs: int = 3):
        self.epochs = epochs

    def __call__(self, history, max_epochs):
        return len(history) >= self.epochs
