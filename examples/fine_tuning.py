"""Fine-tuning: a backbone that knows the digits 0 to 4 learns 5 to 9. It is frozen first and unfrozen later.

The critical period ends when the validation loss of the new task no longer falls, with the backbone unfrozen. From then
on an epoch draws half of the images; a guard takes that back if the accuracy drops.

    python examples/fine_tuning.py            # half of the images once the loss no longer falls
    python examples/fine_tuning.py --plain    # all images in every epoch, without the callback
"""

import argparse

import lightning as L
import torch
from lightning.pytorch.callbacks import BackboneFinetuning
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CostMonitor, CriticalPeriodCallback, Guard, MonitoredMetric, Plateau, Recipe, Volume

THAW = 6  # the epoch from which on the backbone learns, too


class Digits(L.LightningDataModule):
    """Five of the ten digits, as the classes 0 to 4."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def setup(self, stage: str) -> None:
        digits = load_digits()
        chosen = (digits.target >= self.first) & (digits.target < self.first + 5)
        images = torch.tensor(digits.data[chosen] / 16, dtype=torch.float32)
        labels = torch.tensor(digits.target[chosen] - self.first)
        self.train_set = TensorDataset(images[:600], labels[:600])
        self.val_set = TensorDataset(images[600:], labels[600:])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train_set, batch_size=32, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=512)


class Classifier(L.LightningModule):
    """A backbone and a head; Lightning's BackboneFinetuning looks for the attribute ``backbone``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(64, 5)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.head(self.backbone(images)), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self.head(self.backbone(images))
        self.log("val_loss", F.cross_entropy(logits, labels))
        self.log("val_acc", (logits.argmax(dim=1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.02, momentum=0.9)


def trainer(epochs: int, callbacks: list[L.Callback]) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir="runs/fine_tuning",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tuning, with and without CriticalPeriodCallback.")
    parser.add_argument("--plain", action="store_true", help="Train without the callback.")
    plain = parser.parse_args().plain

    L.seed_everything(0)
    backbone = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    trainer(10, []).fit(Classifier(backbone), datamodule=Digits(first=0))

    callback = CriticalPeriodCallback(
        signal=MonitoredMetric("val_loss"),
        rule=Plateau(patience=3, min_delta=0.002, mode="min", min_epochs=2 * THAW),
        recipe=Recipe(after=Volume(pruning_ratio=0.5)),
        guard=Guard("val_acc", max_drop=0.03, mode="max", patience=2),
    )
    thaw = BackboneFinetuning(unfreeze_backbone_at_epoch=THAW, backbone_initial_lr=0.01)
    fine_tuning = trainer(40, [thaw] if plain else [thaw, callback, CostMonitor()])
    model, data = Classifier(backbone), Digits(first=5)
    fine_tuning.fit(model, datamodule=data)
    fine_tuning.validate(model, datamodule=data)


if __name__ == "__main__":
    main()
