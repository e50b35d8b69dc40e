"""What gradient confusion costs: the Gram matrix against its floor, and a measurement against an epoch. One thread.

    python benchmarks/gradient_signals.py gram     98 gradients x 660,000: Gram matrix, its product alone, pair by pair
    python benchmarks/gradient_signals.py epoch    a measurement against an epoch of ResNet-20 (--depth), 50,000 samples
    python benchmarks/gradient_signals.py approximation    confusion on training's own gradients against the exact one

The candidates take turns, and CPU seconds are counted, so that a busy machine matters less; medians are shown. Images are
random numbers, except in `approximation`, which trains on the handwritten digits: what they show does not change the
arithmetic.
"""

import argparse
import statistics
import time
import warnings
from functools import partial

import lightning as L
import torch
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr
from scoring import end_epoch, table
from threadpoolctl import threadpool_limits
from torch import nn
from torch.optim import SGD
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

from lightning_critperiod.datamodules import Digits, ImageDataModule
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.rules import LowOutlier
from lightning_critperiod.signals import (
    GradientConfusion,
    GradientPredictiveness,
    TrainingGradientConfusion,
    gradient_cosines,
)

M, D, PAIRS = 98, 660_000, 40
SAMPLES, BATCH, BATCHES = 50_000, 128, 40
SEEDS, EPOCHS = 5, 60
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def seconds(function, *arguments):
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def gram():
    gradients = torch.randn(M, D, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(gradients)
    rows = gradients.numpy()

    def pair_by_pair():
        for i in range(PAIRS):
            cosine(rows[0], rows[i + 1])

    contenders = {
        "matrix product alone": lambda: unit @ unit.T,
        "the same in chunks of columns": lambda: [chunk @ chunk.T for chunk in torch.split(gradients, 2**13, dim=1)],
        "gradient_cosines": lambda: gradient_cosines(gradients),
        "pair by pair": pair_by_pair,
    }
    times = {name: [] for name in contenders}
    for _ in range(9):
        for name, function in contenders.items():
            times[name].append(seconds(function))
    medians = {name: statistics.median(t) for name, t in times.items()}
    medians["pair by pair"] *= M * (M - 1) / 2 / PAIRS
    print(f"{M} gradients x {D:,}, torch {torch.__version__}, 1 thread")
    print(
        f"(pair by pair: SciPy's cosine, as in the authors' script; {PAIRS} of {M * (M - 1) // 2} pairs timed, scaled)"
    )
    print("| | median CPU s | x matrix product | faster than pair by pair |\n|---|---|---|---|")
    for name, t in medians.items():
        print(f"| {name} | {t:.3f} | {t / medians['matrix product alone']:.2f} | {medians['pair by pair'] / t:.1f} |")
    print(f"largest difference from the product: {(gradient_cosines(gradients) - unit @ unit.T).abs().max():.1e}")


class InTurns(L.Callback):
    """After every 8 training batches one measurement of each signal, in turning order; the seconds of each apart."""

    def __init__(self, signals):
        self.signals, self.batches, self.measurements = signals, [], {name: [] for name in signals}

    def on_train_start(self, trainer, pl_module):
        for signal in self.signals.values():
            signal.on_train_start(trainer, pl_module)
        self.start = time.process_time()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        before = time.process_time()
        for signal in self.signals.values():
            signal.on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self.start += time.process_time() - before

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(time.process_time() - self.start)
        if (batch_idx + 1) % 8 == 0:
            turns = list(self.signals)[:: (-1) ** (batch_idx // 8)]
            for name in turns:
                self.measurements[name].append(seconds(self.signals[name].measure, trainer, pl_module))
        self.start = time.process_time()


class Augmented(ImageDataModule):
    """Random images, augmented as in the paper in the training's own thread."""

    mean = std = (0.5, 0.5, 0.5)

    def load(self, train):
        labels = torch.arange(SAMPLES * 6 // 5) % 10
        return TensorDataset(torch.randint(256, (len(labels), 3, 32, 32), dtype=torch.uint8), labels), labels


def ready():
    n = BATCHES * BATCH
    few = TensorDataset(torch.randn(n, 3, 32, 32), torch.arange(n) % 10)
    return DataLoader(ConcatDataset([few] * (SAMPLES // n + 1)), batch_size=BATCH)


def epoch(depth):
    steps = -(-SAMPLES // BATCH)
    print(
        f"ResNet-{depth}, an epoch of {steps} batches of {BATCH}; {BATCHES} of them timed, torch {torch.__version__}, 1 thread"
    )
    print("| signal | data | CPU s a batch | CPU s a measurement | share of an epoch |\n|---|---|---|---|---|")
    for data_name, make in (
        ("ready in memory", ready),
        ("augmented in the same thread", lambda: Augmented(BATCH, 1.0, 0.0, None, 0, 0)),
    ):
        turns = InTurns({
            "GradientConfusion()": GradientConfusion(),
            "GradientConfusion(8)": GradientConfusion(8),
            "GradientPredictiveness()": GradientPredictiveness(),
        })
        trainer = L.Trainer(
            max_steps=BATCHES, limit_train_batches=steps, limit_val_batches=0, callbacks=[turns], **QUIET
        )
        trainer.fit(ImageClassifier(CifarResNet(depth)), make())
        batch = statistics.median(turns.batches[8:])
        for name, times in turns.measurements.items():
            shares = [t / (batch * steps) for t in times]
            print(f"| {name} | {data_name} | {batch:.3f} | {statistics.median(times):.3f} | {spread(shares, '.2%')} |")


class OtherBatches(GradientConfusion):
    """The exact signal on the next probe batches: how much of a difference comes from which batches they are."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx >= self.probe_batches:
            super().on_train_batch_start(trainer, pl_module, batch, batch_idx)


class SideBySide(L.Callback):
    """Measures several signals in one training; max, mean and CPU seconds of each, and those of the epochs alone."""

    def __init__(self, signals):
        self.signals = signals
        self.values = {name: {"max": [], "mean": []} for name in signals}
        self.seconds, self.epochs = {name: [] for name in signals}, []

    def ask(self, hook, *arguments):
        for name, signal in self.signals.items():
            self.seconds[name][-1] += seconds(getattr(signal, hook), *arguments)

    def on_train_start(self, *arguments):
        for signal in self.signals.values():
            signal.on_train_start(*arguments)

    def on_train_epoch_start(self, trainer, pl_module):
        for times in self.seconds.values():
            times.append(0.0)
        self.start = time.process_time()

    def on_train_batch_start(self, *arguments):
        self.ask("on_train_batch_start", *arguments)

    def on_before_optimizer_step(self, *arguments):
        self.ask("on_before_optimizer_step", *arguments)

    def on_train_epoch_end(self, *arguments):
        self.epochs.append(time.process_time() - self.start - sum(times[-1] for times in self.seconds.values()))
        self.ask("measure", *arguments)
        for name, signal in self.signals.items():
            for statistic, values in self.values[name].items():
                values.append(signal.last[statistic])


def network(norm):
    """ResNet-8, with another normalization in the place of BatchNorm."""
    net = CifarResNet(8, 10, 1)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, norm(child.num_features))
    return net


NORMS = {"BatchNorm": nn.BatchNorm2d, "GroupNorm": partial(nn.GroupNorm, 4)}


def trained(norm, seed):
    L.seed_everything(seed, verbose=False)
    both = SideBySide({
        "GradientConfusion": GradientConfusion(8),
        "the same on 8 other batches": OtherBatches(8),
        "TrainingGradientConfusion": TrainingGradientConfusion(),
    })
    trainer = L.Trainer(max_epochs=EPOCHS, limit_val_batches=0, callbacks=[both], **QUIET)
    optimizer = partial(SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    trainer.fit(ImageClassifier(network(NORMS[norm]), optimizer), Digits(batch_size=32))
    return both


def spread(values, form):
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def compared(runs, name, statistic):
    pairs = [(run.values["GradientConfusion"][statistic], run.values[name][statistic]) for run in runs]
    errors = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairs]
    cells = [
        spread([statistics.mean(e) for e in errors], "+.3f"),
        spread([statistics.mean(map(abs, e)) for e in errors], ".3f"),
        spread([spearmanr(*pair).statistic for pair in pairs], ".2f"),
    ]
    for every in (10, 1):
        ends = [end_epoch(LowOutlier(every_n_epochs=every), values, EPOCHS) for _, values in pairs]
        cells.append(", ".join("never" if end is None else str(end) for end in ends))
    return cells


def approximation():
    print(f"digits, ResNet-8, batch 32, {EPOCHS} epochs, seeds 0 to {SEEDS - 1}: median over the seeds [least, most]")
    rows, costs = [], []
    for norm in NORMS:
        runs = [trained(norm, seed) for seed in range(SEEDS)]
        epoch = statistics.median(t for run in runs for t in run.epochs)
        for name in runs[0].signals:
            rows += [[norm, statistic, name, *compared(runs, name, statistic)] for statistic in ("max", "mean")]
            cost = statistics.median(t for run in runs for t in run.seconds[name])
            costs.append([norm, name, f"{1e3 * cost:.1f}", f"{cost / epoch:.1%}"])
    head = ["network", "statistic", "signal", "difference", "absolute", "rank correlation"]
    print(table([*head, "end by LowOutlier()", "by LowOutlier(every_n_epochs=1)"], rows))
    print(table(["network", "signal", "CPU ms an epoch", "share of an epoch"], costs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gram", "epoch", "approximation"])
    warnings.filterwarnings("ignore")
    parser.add_argument("--depth", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):  # NumPy's
        {"gram": gram, "epoch": partial(epoch, options.depth), "approximation": approximation}[options.what]()
