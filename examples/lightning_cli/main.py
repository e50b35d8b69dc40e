"""A time series on the command line: config groups as Hydra has them, with nothing but LightningCLI.

Every group is a folder in configs/, and a run takes one file of each:

    cd examples/lightning_cli
    python main.py fit -c configs/base.yaml -c configs/data/noisy.yaml -c configs/model/wide.yaml
    python main.py fit -c configs/base.yaml -c configs/data/noisy.yaml -c configs/model/wide.yaml \
        -c configs/critperiod/cooldown.yaml    # the same, ended by EarlyCooldown
"""

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Waves(LightningDataModule):
    """Two waves and noise: the next value from the last ones.

    Args:
        length: Number of values.
        window: How many values the model sees.
        noise: Standard deviation of the noise.
    """

    def __init__(self, length: int = 2000, window: int = 24, noise: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.length, self.window, self.noise = length, window, noise

    def setup(self, stage: str) -> None:
        time, generator = torch.arange(self.length), torch.Generator().manual_seed(0)
        series = (time / 3).sin() + 0.5 * (time / 11).sin()
        series += self.noise * torch.randn(self.length, generator=generator)
        windows = series.unfold(0, self.window + 1, 1)
        cut = len(windows) * 8 // 10  # the future is for validation
        past, future = windows[:, :-1].contiguous(), windows[:, -1:].contiguous()
        self.train_set = TensorDataset(past[:cut], future[:cut])
        self.val_set = TensorDataset(past[cut:], future[cut:])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train_set, batch_size=64, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=512)


class Forecaster(LightningModule):
    """A network with one hidden layer.

    Args:
        window: How many values it sees.
        width: Of the hidden layer.
    """

    def __init__(self, window: int = 24, width: int = 16) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(nn.Linear(window, width), nn.ReLU(), nn.Linear(width, 1))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        past, future = batch
        return F.mse_loss(self.network(past), future)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        past, future = batch
        self.log("val_error", F.mse_loss(self.network(past), future).sqrt(), prog_bar=True)


if __name__ == "__main__":
    LightningCLI(Forecaster, Waves)
