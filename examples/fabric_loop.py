"""The decision without a Trainer: a Lightning Fabric loop that ends when going on is not worth it.

Every epoch a detector with the rule Plateau takes the validation loss. Run it with: python examples/fabric_loop.py
"""

import torch
from lightning.fabric import Fabric
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import Plateau
from lightning_critperiod.detector import Detector

MOST_EPOCHS = 100
Batches = DataLoader[tuple[torch.Tensor, ...]]


def loaders() -> tuple[Batches, Batches]:
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    train, val = TensorDataset(x[:1400], y[:1400]), TensorDataset(x[1400:], y[1400:])
    return DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=512)


def validate(model: nn.Module, loader: Batches) -> float:
    model.eval()
    with torch.no_grad():
        losses = [nn.functional.cross_entropy(model(x), y) for x, y in loader]
    model.train()
    return torch.stack(losses).mean().item()


def train(most_epochs: int = MOST_EPOCHS, seed: int = 0) -> tuple[Detector, int]:
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.seed_everything(seed, verbose=False)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    train_loader, val_loader = fabric.setup_dataloaders(*loaders())
    detector = Detector("val_loss", Plateau(patience=3, mode="min"), max_epochs=most_epochs)
    for epoch in range(most_epochs):
        for x, y in train_loader:
            optimizer.zero_grad()
            fabric.backward(nn.functional.cross_entropy(model(x), y))
            optimizer.step()
        detector.record(epoch, validate(model, val_loader))
        if detector.ask(epoch + 1):
            break
    return detector, epoch + 1


if __name__ == "__main__":
    found, epochs = train()
    print(found.reason or found.why_not(epochs))
    print(f"trained {epochs} of at most {MOST_EPOCHS} epochs")
