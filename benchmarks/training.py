"""What the callback costs a training, and how much of the ideal saving a training really sees.

    python benchmarks/training.py overhead    ResNet-20 on 32 x 32 images, batch 128: share of an epoch in our hooks
    python benchmarks/training.py saving      seconds per sample before and after the volume drops from 3 to 1

The images are random numbers (what they show does not change the arithmetic); everything runs on one thread.
"""

import argparse
import statistics
import time
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Dataset

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Never, Recipe, Volume
from lightning_critperiod.models import CifarResNet, ImageClassifier

HOOKS = (
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_end",
    "on_train_epoch_end",
)


class Images(Dataset):
    def __init__(self, n):
        self.images, self.labels = torch.randn(n, 3, 32, 32), torch.arange(n) % 10

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class EpochSeconds(Callback):
    def __init__(self):
        self.seconds = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module):
        self.seconds.append(time.perf_counter() - self.start)


def timed(callback):
    """Let every hook of this callback add its seconds to ``callback.hook_seconds``."""
    callback.hook_seconds = 0.0

    def wrap(hook):
        def run(*args, **kwargs):
            start = time.perf_counter()
            try:
                return hook(*args, **kwargs)
            finally:
                callback.hook_seconds += time.perf_counter() - start

        return run

    for name in HOOKS:
        setattr(callback, name, wrap(getattr(callback, name)))
    return callback


def fit(depth, samples, batch_size, callbacks, epochs, workers=0, persistent=False):
    L.seed_everything(0, verbose=False)
    loader = DataLoader(Images(samples), batch_size, shuffle=True, num_workers=workers, persistent_workers=persistent)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = L.Trainer(accelerator="cpu", max_epochs=epochs, callbacks=callbacks, limit_val_batches=0, **quiet)
    trainer.fit(ImageClassifier(CifarResNet(depth, 10)), loader)
    return trainer


def overhead(samples, epochs):
    clock, callback = EpochSeconds(), timed(CriticalPeriodCallback(rule=Never()))
    fit(20, samples, 128, [clock, callback], epochs)
    share = callback.hook_seconds / sum(clock.seconds)
    print(f"ResNet-20, {samples} images, batch 128, {epochs} epochs of {statistics.median(clock.seconds):.1f} s")
    print(f"seconds in our hooks / seconds of the epochs: {100 * share:.3f}%")


def saving(samples, epochs):
    for workers, persistent in ((0, False), (1, False), (1, True)):
        clock = EpochSeconds()
        callback = CriticalPeriodCallback(rule=AtEpoch(epochs // 2), recipe=Recipe(Volume(3), Volume(), 0))
        fit(8, samples, 64, [clock, callback], epochs, workers, persistent)
        during = statistics.median(clock.seconds[1 : epochs // 2])
        after = statistics.median(clock.seconds[epochs // 2 :])
        realised, ideal = 1 - after / during, 1 - 1 / 3
        kind = "no workers" if not workers else "persistent worker" if persistent else "worker restarted each epoch"
        print(f"{kind}: {during:.2f} s -> {after:.2f} s an epoch; realised / ideal saving {realised / ideal:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "saving"))
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    {"overhead": overhead, "saving": saving}[args.what](args.samples, args.epochs)


if __name__ == "__main__":
    main()
