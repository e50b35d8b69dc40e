"""Trains at a constant rate and records the validation metrics of the raw and of the averaged weights: the signal of `EarlyCooldown`.

    python benchmarks/worthwhile_trunks.py     writes results/worthwhile/trunks.json; 12 runs of 60 epochs, 20 minutes on one core

ResNet-8 on the digits (8 x 8) and on Fashion-MNIST (14 x 14, averaged over 2 x 2 pixels), few and more images, shifts
by up to a pixel, batches of 64. SGD (rate 0.05, momentum 0.9, weight decay 5e-4) for seeds 0 and 1, AdamW (1e-3) for
seed 2. The average is an exponential one of weights and buffers whose window is a tenth of the steps so far.
"""

import json
import os
from pathlib import Path

import torch
from torch.nn.functional import avg_pool2d, cross_entropy
from torch.optim.swa_utils import AveragedModel
from torchvision.datasets import FashionMNIST

from lightning_critperiod.datamodules import Digits
from lightning_critperiod.models import CifarResNet

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "results" / "worthwhile" / "trunks.json"
EPOCHS, BATCH, VALIDATION = 60, 64, 600


def digits():
    return Digits().load(True)[0].tensors


def fashion():
    data = FashionMNIST(ROOT.parent / "shared" / "data" / "fashion-mnist")
    return avg_pool2d(data.data[:8000, None].float(), 2), data.targets[:8000]


def tenth(average, current, n):
    return average + (current - average) * 10 / (10 + n)


def shifted(images):
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(images, (dx, dy), (2, 3))


@torch.no_grad()
def validate(model, images, labels):
    model.eval()
    outputs = torch.cat([model(part) for part in images.split(200)])
    return cross_entropy(outputs, labels).item(), (outputs.argmax(1) == labels).float().mean().item()


def train(images, labels, samples, seed):
    torch.manual_seed(seed)
    images = (images.float() - images.float().mean()) / images.float().std()
    order = torch.randperm(len(images))
    held_out, kept = order[:VALIDATION], order[VALIDATION : VALIDATION + samples]
    model = CifarResNet(8, 10, images.shape[1])
    average = AveragedModel(model, avg_fn=tenth, use_buffers=True)
    if seed < 2:
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    curves = {"val_loss": [], "val_acc": [], "averaged val_loss": [], "averaged val_acc": []}
    for _ in range(EPOCHS):
        model.train()
        for batch in kept[torch.randperm(len(kept))].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(shifted(images[batch])), labels[batch]).backward()
            optimizer.step()
            average.update_parameters(model)
        for name, one in (("", model), ("averaged ", average)):
            loss, accuracy = validate(one, images[held_out], labels[held_out])
            curves[f"{name}val_loss"].append(round(loss, 5))
            curves[f"{name}val_acc"].append(round(accuracy, 5))
    return curves


def main():
    torch.set_num_threads(1)
    runs = []
    for name, load, sizes in (("digits", digits, (200, 800)), ("fashion", fashion, (500, 2000))):
        for samples in sizes:
            for seed in range(3):
                runs.append({"data": name, "samples": samples, "seed": seed, "curves": train(*load(), samples, seed)})
                print(name, samples, seed, {k: v[-1] for k, v in runs[-1]["curves"].items()}, flush=True)
    unfinished = TARGET.with_suffix(".tmp")
    unfinished.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")
    os.replace(unfinished, TARGET)


if __name__ == "__main__":
    main()
