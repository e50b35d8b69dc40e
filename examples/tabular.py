"""Tabular data: is a tumour benign? Our line only observes, so that the model is the same with and without it.

The report says where the critical period ended, what a cheaper recipe would have drawn from there on, and what the
run cost.

    python examples/tabular.py            # observed
    python examples/tabular.py --plain    # without the callback
"""

import argparse

import lightning as L
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

from lightning_critperiod import CostMonitor, CriticalPeriodCallback


class Tumours(L.LightningDataModule):
    """569 tumours, 30 numbers each, of which 400 are for training."""

    def setup(self, stage: str) -> None:
        found = load_breast_cancer()
        numbers = torch.tensor(found.data, dtype=torch.float32)
        parts = random_split(
            TensorDataset((numbers - numbers.mean(0)) / numbers.std(0), torch.tensor(found.target)),
            [400, 69, 100],
            generator=torch.Generator().manual_seed(0),
        )
        self.train_set, self.val_set, self.test_set = parts

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train_set, batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=69)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.test_set, batch_size=100)


class Perceptron(L.LightningModule):
    """Two hidden layers with dropout."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(30, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        numbers, labels = batch
        return F.cross_entropy(self.network(numbers), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluate("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluate("test", batch)

    def evaluate(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        numbers, labels = batch
        logits = self.network(numbers)
        self.log(f"{stage}_loss", F.cross_entropy(logits, labels))
        self.log(f"{stage}_acc", (logits.argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tabular data, observed or not.")
    parser.add_argument("--plain", action="store_true", help="Train without the callback.")
    plain = parser.parse_args().plain

    L.seed_everything(0)
    trainer = L.Trainer(
        max_epochs=20,
        accelerator="cpu",
        default_root_dir="runs/tabular",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if plain else [CriticalPeriodCallback(), CostMonitor()],
    )
    model, data = Perceptron(), Tumours()
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data)


if __name__ == "__main__":
    main()
