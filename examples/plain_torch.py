"""The decision without a Trainer: a plain PyTorch loop on the handwritten digits that ship with scikit-learn.

The loop measures layer rotation once an epoch, asks a rule whether the critical period is over, and lets the phase of
each epoch say how much data it draws. Run it with: python examples/plain_torch.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from lightning_critperiod import Slope
from lightning_critperiod.detector import Detector
from lightning_critperiod.signals.layer_rotation import layer_rotation
from lightning_critperiod.timeline import Timeline

EPOCHS, BATCH = 30, 32


def matrices(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.dim() > 1]


def train(epochs: int = EPOCHS, seed: int = 0) -> tuple[Detector, list[int], float]:
    torch.manual_seed(seed)
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    train_set, test_set = torch.arange(1400), torch.arange(1400, len(y))
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    initial = [weights.detach().clone() for weights in matrices(model)]
    detector = Detector("layer_rotation", Slope(), max_epochs=epochs)
    drawn = []
    for epoch in range(epochs):
        phase = Timeline(epochs, detector.end_epoch, annealing_fraction=0.125).phase(epoch)
        order = train_set[torch.randperm(len(train_set))]
        order = order[: len(order) * 7 // 10] if phase == "after" else order
        drawn.append(len(order))
        for batch in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        detector.record(epoch, layer_rotation(initial, matrices(model)).mean().item())
        detector.ask(epoch + 1)
    accuracy = (model(x[test_set]).argmax(1) == y[test_set]).float().mean().item()
    return detector, drawn, accuracy


if __name__ == "__main__":
    found, samples, test_accuracy = train()
    print(found.reason or found.why_not(EPOCHS))
    print(f"samples drawn: {sum(samples):,} of {EPOCHS * 1400:,}; test accuracy {test_accuracy:.3f}")
