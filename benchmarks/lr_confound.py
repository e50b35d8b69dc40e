"""Layer rotation flattens wherever the learning rate is small. Does it say that learning is over, or that the LR is low?

    python benchmarks/lr_confound.py run [--seeds 3]    trains on the digits, 15 s a run; finished runs are kept
    python benchmarks/lr_confound.py judge              writes docs/lr.md from the runs, trains nothing

One view of every sample, full data throughout: nothing changes in a run but the learning rate. Runs of one seed start
from the same weights and draw the same samples, so that "drop" is "constant" up to the epoch of the drop, bit by bit.
"""

import argparse
import json
import os
import warnings
from functools import partial
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lr_confound_judge import judge
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from lightning_critperiod import CriticalPeriodCallback, Never
from lightning_critperiod.datamodules import Digits
from lightning_critperiod.models import CifarResNet, ImageClassifier

EPOCHS, LOW, BACK, WARM = 30, 7, 15, 5
RATE, DECAY = 0.1, 5e-3
ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "lr_confound"


def factor(function):
    return partial(LambdaLR, lr_lambda=function), "epoch"


SCHEDULES = {
    "constant": factor(lambda e: 1.0),
    "drop": factor(lambda e: 0.1 if e >= LOW else 1.0),
    "drop and back": factor(lambda e: 0.1 if LOW <= e < BACK else 1.0),
    "step": factor(lambda e: 0.1 ** (e >= EPOCHS // 2) * 0.1 ** (e >= EPOCHS * 3 // 4)),
    "cosine": factor(lambda e: (1 + torch.cos(torch.tensor(torch.pi * e / EPOCHS)).item()) / 2),
    "OneCycle": (partial(OneCycleLR, max_lr=RATE, total_steps=-1), "step"),
    "warm-up": factor(lambda e: min((e + 1) / WARM, 1.0)),
}


class Recorded(Callback):
    """Metrics of every epoch, and its learning rate: the mean over the steps."""

    def __init__(self):
        self.curves = {"val_loss": [], "val_acc": [], "train_loss": [], "lr": []}

    def on_train_epoch_start(self, trainer, pl_module):
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer, pl_module):
        self.curves["lr"].append(sum(self.rates) / len(self.rates))
        for name in ("val_loss", "val_acc", "train_loss"):
            self.curves[name].append(float(trainer.callback_metrics[name]))


def train(schedule, seed):
    L.seed_everything(seed, verbose=False)
    scheduler, interval = SCHEDULES[schedule]
    optimizer = partial(SGD, lr=RATE, momentum=0.9, nesterov=True, weight_decay=DECAY)
    recorded, callback = Recorded(), CriticalPeriodCallback(rule=Never(), observe_only=True)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[callback, recorded],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(ImageClassifier(CifarResNet(8, 10, 1), optimizer, scheduler, interval), Digits(batch_size=32))
    return {**recorded.curves, "layer_rotation": [callback.history[e] for e in range(EPOCHS)]}


def run(seeds):
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for schedule in SCHEDULES:
            path = RESULTS / f"{schedule.replace(' ', '_')}_seed_{seed}.json"
            if not path.exists():
                text = json.dumps({"schedule": schedule, "seed": seed, "curves": train(schedule, seed)})
                path.with_suffix(".tmp").write_text(text)
                os.replace(path.with_suffix(".tmp"), path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if args.what == "run":
        run(args.seeds)
    else:
        judge(RESULTS, ROOT / "docs" / "lr.md", LOW, BACK)


if __name__ == "__main__":
    main()
