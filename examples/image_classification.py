"""Image classification: handwritten digits, and an epoch that draws three augmented views of every image.

With CriticalPeriodCallback the run draws three views only until the critical period ends, then one.

    python examples/image_classification.py            # cheaper after the critical period
    python examples/image_classification.py --plain    # the same training without the callback
"""

import argparse

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

from lightning_critperiod import CostMonitor, CriticalPeriodCallback, Recipe, Volume

EPOCHS = 16


class Shifted(Dataset[tuple[Tensor, Tensor]]):
    """Every access gives the image shifted by up to one pixel in either direction."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = F.pad(images, (1, 1, 1, 1)), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        y, x = torch.randint(3, (2,)).tolist()
        return self.images[index, :, y : y + 8, x : x + 8], self.labels[index]


class Digits(L.LightningDataModule):
    """The two attributes declare the full recipe; CriticalPeriodCallback changes what an epoch draws."""

    augmentation_multiplier = 3.0
    pruning_ratio = 0.0

    def setup(self, stage: str) -> None:
        digits = load_digits()
        images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
        labels = torch.tensor(digits.target)
        self.train_set = Shifted(images[:1200], labels[:1200])
        self.val_set = TensorDataset(images[1200:1500], labels[1200:1500])
        self.test_set = TensorDataset(images[1500:], labels[1500:])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        views = round(self.augmentation_multiplier * len(self.train_set))
        sampler = RandomSampler(self.train_set, num_samples=views)  # one permutation after the other
        return DataLoader(self.train_set, batch_size=64, sampler=sampler)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=300)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.test_set, batch_size=300)


class Classifier(L.LightningModule):
    """A small convolutional network, SGD with momentum, and a learning rate that falls along a cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val_acc", self.accuracy(batch))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("test_acc", self.accuracy(batch))

    def accuracy(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        hits: Tensor = self.network(images).argmax(dim=1) == labels
        return hits.float().mean()

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Image classification, with and without CriticalPeriodCallback.")
    parser.add_argument("--plain", action="store_true", help="Train without the callback.")
    plain = parser.parse_args().plain

    L.seed_everything(0)
    recipe = Recipe(after=Volume(), annealing_fraction=0.125)  # of the paper: one view, at the end three again
    trainer = L.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        default_root_dir="runs/image_classification",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if plain else [CriticalPeriodCallback(recipe=recipe), CostMonitor()],
    )
    model, data = Classifier(), Digits()
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data)


if __name__ == "__main__":
    main()
