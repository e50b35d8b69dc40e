"""What gradient confusion costs: the Gram matrix against its floor, and a measurement against an epoch. One thread.

    python benchmarks/gradient_signals.py gram     98 gradients x 660,000: Gram matrix, its product alone, pair by pair
    python benchmarks/gradient_signals.py epoch    8 probe batches against an epoch of ResNet-20 (50,000 samples)

Contenders take turns, and CPU seconds are counted, so that a busy machine matters less; medians are shown. Images are
random numbers: what they show does not change the arithmetic.
"""

import argparse
import statistics
import time
import warnings

import lightning as L
import torch
from scipy.spatial.distance import cosine
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod.datamodules import ImageDataModule
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.signals import GradientConfusion, GradientPredictiveness, gradient_cosines

M, D, PAIRS = 98, 660_000, 40
SAMPLES, BATCH, BATCHES = 50_000, 128, 40


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
    """After every ``probe_batches`` training batches one measurement; the seconds of each apart."""

    def __init__(self, signal):
        self.signal, self.batches, self.measurements = signal, [], []

    def on_train_start(self, trainer, pl_module):
        self.signal.on_train_start(trainer, pl_module)
        self.start = time.process_time()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.signal.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(time.process_time() - self.start)
        if (batch_idx + 1) % self.signal.probe_batches == 0:
            self.measurements.append(seconds(self.signal.measure, trainer, pl_module))
        self.start = time.process_time()


class Augmented(ImageDataModule):
    """Random images, augmented as in the paper in the training's own thread."""

    mean = std = (0.5, 0.5, 0.5)

    def load(self, train):
        labels = torch.arange(BATCHES * BATCH * 2) % 10
        return TensorDataset(torch.randint(256, (len(labels), 3, 32, 32), dtype=torch.uint8), labels), labels


def ready():
    n = BATCHES * BATCH
    return DataLoader(TensorDataset(torch.randn(n, 3, 32, 32), torch.arange(n) % 10), batch_size=BATCH)


def epoch():
    print(f"ResNet-20, {SAMPLES:,} samples, batch {BATCH}: {BATCHES} batches timed and scaled, 1 thread")
    print("| signal | data | CPU s a batch | CPU s a measurement | share of an epoch |\n|---|---|---|---|---|")
    for signal in (GradientConfusion(), GradientPredictiveness()):
        for name, data in (
            ("ready in memory", ready()),
            ("augmented in the same thread", Augmented(BATCH, 1.0, 0.0, None, 0, 0)),
        ):
            turns = InTurns(signal)
            signal.reset()
            trainer = L.Trainer(
                max_epochs=1,
                limit_train_batches=BATCHES,
                limit_val_batches=0,
                callbacks=[turns],
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(ImageClassifier(CifarResNet(20)), data)
            batch, measurement = statistics.median(turns.batches[8:]), statistics.median(turns.measurements)
            share = measurement / (batch * SAMPLES / BATCH)
            print(f"| {signal.name} | {name} | {batch:.3f} | {measurement:.3f} | {share:.2%} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gram", "epoch"])
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    {"gram": gram, "epoch": epoch}[parser.parse_args().what]()
