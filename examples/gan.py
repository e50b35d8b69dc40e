"""A GAN with manual optimization: it draws handwritten digits.

The critic takes three steps for every step of the generator. With the callback it takes one once the distance between
drawn and real digits no longer falls: what changes is an attribute of the module, named by its path.

    python examples/gan.py            # one step of the critic after the critical period
    python examples/gan.py --plain    # three steps to the end, without the callback
"""

import argparse

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CostMonitor, CriticalPeriodCallback, MonitoredMetric, Phased, Plateau, Recipe, Volume


class Digits(L.LightningDataModule):
    """Images of 64 pixels, in [-1, 1]: 1,500 for training."""

    def setup(self, stage: str) -> None:
        images = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
        self.train_set, self.val_set = TensorDataset(images[:1500]), TensorDataset(images[1500:])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train_set, batch_size=64, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=297)


class GAN(L.LightningModule):
    """Hinge loss, a critic with spectral norm (Miyato et al. 2018, arXiv 1802.05957)."""

    def __init__(self, noise: int = 16, width: int = 128, critic_steps: int = 3) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.noise, self.critic_steps = noise, critic_steps
        self.generator = nn.Sequential(
            nn.Linear(noise, width), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 64), nn.Tanh(),
        )  # fmt: skip
        self.critic = nn.Sequential(
            spectral_norm(nn.Linear(64, width)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(width, width)), nn.LeakyReLU(0.2), spectral_norm(nn.Linear(width, 1)),
        )  # fmt: skip

    def draw(self, number: int) -> Tensor:
        images: Tensor = self.generator(torch.randn(number, self.noise, device=self.device))
        return images

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        (real,) = batch
        of_generator, of_critic = self.optimizers()  # type: ignore[attr-defined]
        for _ in range(self.critic_steps):
            loss = F.relu(1 - self.critic(real)).mean() + F.relu(1 + self.critic(self.draw(len(real)).detach())).mean()
            of_critic.zero_grad()
            self.manual_backward(loss)
            of_critic.step()
        loss = -self.critic(self.draw(len(real))).mean()
        of_generator.zero_grad()
        self.manual_backward(loss)
        of_generator.step()

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        (real,) = batch
        self.log("val_distance", energy_distance(real, self.draw(len(real))))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = (self.generator, self.critic)
        return [torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.9)) for network in networks]


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """0 if two samples have one distribution (Szekely & Rizzo 2013): 2 E|a - b| - E|a - a'| - E|b - b'|."""
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description="A GAN, with and without CriticalPeriodCallback.")
    parser.add_argument("--plain", action="store_true", help="Train without the callback.")
    plain = parser.parse_args().plain

    L.seed_everything(0)
    callback = CriticalPeriodCallback(
        signal=MonitoredMetric("val_distance"),
        rule=Plateau(patience=5, min_delta=0.02, mode="min"),
        # The whole data in every epoch: what gets cheaper is the step. The last quarter has the expensive steps again.
        recipe=Recipe(after=Volume(), annealing_fraction=0.25, changes=[Phased("critic_steps", after=1)]),
    )
    trainer = L.Trainer(
        max_epochs=24,
        accelerator="cpu",
        default_root_dir="runs/gan",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if plain else [callback, CostMonitor()],
    )
    model, data = GAN(), Digits()
    trainer.fit(model, datamodule=data)
    trainer.validate(model, datamodule=data)


if __name__ == "__main__":
    main()
