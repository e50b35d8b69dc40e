"""Is there a rule that is late enough? What each switch epoch keeps, and where each rule would have switched.

    python benchmarks/late_enough.py run --data DIR --seeds 10    trains (hours on two cores; finished runs are kept)
    python benchmarks/late_enough.py judge                        writes docs/late.md from the runs

For every set-up and seed one run has the full recipe (k = 3) to the end, and one run each switches to k = 1 at a
fixed part of the run. The rules are then asked, without training, on the signals that the full run recorded: up to the
switch a switched run is the same run. "Development" set-ups may be looked at to choose a rule, "confirmation" ones
judge it.
"""

import argparse
import json
import os
import warnings
from functools import partial
from pathlib import Path

import lightning as L
import torch
from late_enough_judge import judge
from lightning.pytorch.callbacks import Callback
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, MultiStepLR, OneCycleLR

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Never, Recipe, Volume
from lightning_critperiod.datamodules import CIFAR10, Digits, FashionMNIST
from lightning_critperiod.models import CifarResNet, ImageClassifier

EPOCHS = 20
PARTS = (0.2, 0.35, 0.5, 0.65, 0.8)
RESULTS = Path(__file__).parents[1] / "results" / "late_enough"

SGD_01 = partial(SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
COSINE = (partial(CosineAnnealingLR, T_max=-1), "epoch")
STEP = (partial(MultiStepLR, milestones=[EPOCHS // 2, EPOCHS * 3 // 4], gamma=0.1), "epoch")
CONSTANT = (partial(ConstantLR, factor=1.0), "epoch")
ONE_CYCLE = (partial(OneCycleLR, max_lr=2e-3, total_steps=-1), "step")


def digits(root):
    return Digits(batch_size=32, augmentation_multiplier=3)


def fashion(root):
    return FashionMNIST(root / "fashion", 64, 3, image_size=14, train_samples=1500, num_workers=0)


def cifar10(root):
    return CIFAR10(root / "cifar", 64, 3, image_size=16, train_samples=2000, num_workers=0)


# name -> (role, data, channels, optimizer, (schedule, interval))
SETUPS = {
    "digits, SGD, cosine": ("development", digits, 1, SGD_01, COSINE),
    "Fashion-MNIST, SGD, step": ("development", fashion, 1, SGD_01, STEP),
    "CIFAR-10, SGD, cosine": ("confirmation", cifar10, 3, SGD_01, COSINE),
    "Fashion-MNIST, AdamW, OneCycle": (
        "confirmation",
        fashion,
        1,
        partial(AdamW, lr=2e-3, weight_decay=1e-2),
        ONE_CYCLE,
    ),
    "digits, SGD, constant": ("confirmation", digits, 1, partial(SGD, lr=0.02, momentum=0.9), CONSTANT),
}


class Recorded(Callback):
    """The metrics and the learning rate of every epoch."""

    def __init__(self):
        self.curves = {"val_loss": [], "val_acc": [], "train_loss": [], "lr": []}

    def on_train_epoch_start(self, trainer, pl_module):
        self.curves["lr"].append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer, pl_module):
        for name in ("val_loss", "val_acc", "train_loss"):
            self.curves[name].append(float(trainer.callback_metrics[name]))


def train(setup, seed, rule, root):
    _, data, channels, optimizer, (schedule, interval) = SETUPS[setup]
    L.seed_everything(seed, verbose=False)
    model = ImageClassifier(CifarResNet(8, 10, channels), optimizer, schedule, interval)
    recorded = Recorded()
    callback = CriticalPeriodCallback(rule=rule, recipe=Recipe(after=Volume(), annealing_fraction=0))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[callback, recorded],
        limit_val_batches=32,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    datamodule = data(root)
    trainer.fit(model, datamodule=datamodule)
    accuracy = trainer.test(model, datamodule=datamodule, verbose=False)[0]["test_acc"]
    rotation = [callback.history[e] for e in range(EPOCHS)]
    return {"test_acc": accuracy, "curves": {**recorded.curves, "layer_rotation": rotation}}


def run(root, seeds):
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for setup in SETUPS:
            for part in (1.0, *PARTS):
                path = RESULTS / f"{setup} {part} seed {seed}.json".replace(", ", "_").replace(" ", "_")
                if path.exists():
                    continue
                rule = Never() if part == 1 else AtEpoch(round(part * EPOCHS))
                kept = train(setup, seed, rule, root)
                if part < 1:
                    del kept["curves"]
                text = json.dumps({"setup": setup, "role": SETUPS[setup][0], "part": part, "seed": seed, **kept})
                path.with_suffix(".tmp").write_text(text)
                os.replace(path.with_suffix(".tmp"), path)
                print(path.stem, kept["test_acc"], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--data", type=Path, help="folder with cifar/ and fashion/, torchvision roots")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if args.what == "run":
        run(args.data, range(args.seeds))
    else:
        judge(RESULTS, EPOCHS, Path(__file__).parents[1] / "docs" / "late.md")


if __name__ == "__main__":
    main()
