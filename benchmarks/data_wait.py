"""How much of a training's time is spent waiting for data: whole-batch augmentation beside torchvision's, image by image.

    python benchmarks/data_wait.py --data data    the recipes of configs/, three views of every image, first epochs

`data` holds FashionMNIST/ and cifar-10-batches-py/ as torchvision stores them; digits need nothing.
"""

import argparse
import logging
import statistics
import tempfile
import warnings

import lightning as L
import torch
from torchvision.transforms import InterpolationMode, v2

from lightning_critperiod import CostMonitor, RunRecorder
from lightning_critperiod.datamodules import CIFAR10, Digits, FashionMNIST
from lightning_critperiod.datamodules.views import Views
from lightning_critperiod.models import CifarResNet, ImageClassifier

CASES = {
    "digits, ResNet-8, batch 32": lambda folder, workers: (
        Digits(32, 3, num_workers=workers),
        CifarResNet(8, 10, 1),
    ),
    "Fashion-MNIST at 14 x 14, ResNet-8, batch 64": lambda folder, workers: (
        FashionMNIST(folder, 64, 3, image_size=14, train_samples=2000, num_workers=workers),
        CifarResNet(8, 10, 1),
    ),
    "Fashion-MNIST, ResNet-8, batch 128": lambda folder, workers: (
        FashionMNIST(folder, 128, 3, train_samples=2000, num_workers=workers),
        CifarResNet(8, 10, 1),
    ),
    "CIFAR-10, ResNet-20, batch 128": lambda folder, workers: (
        CIFAR10(folder, 128, 3, train_samples=2000, num_workers=workers),
        CifarResNet(20, 10, 3),
    ),
}
MEAN, STD = {1: Digits.mean, 3: CIFAR10.mean}, {1: Digits.std, 3: CIFAR10.std}


class ImageByImage(Views):
    """The views of a training set, each made by torchvision's transforms of one image."""

    def __init__(self, views):
        super().__init__(views.dataset, torch.tensor(views.indices), views.size, views.normalise)
        turn = v2.RandomAffine(15, translate=(0.1, 0.1), interpolation=InterpolationMode.BILINEAR)
        flip = [v2.RandomHorizontalFlip()] if views.augmentation.flip else []
        to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN[len(views[0][0])], STD[len(views[0][0])])]
        self.one = v2.Compose([turn, *flip, *to_float])

    def __getitem__(self, key):
        image, label = self.dataset[self.indices[key[0]]]
        if self.size is not None:
            image = v2.functional.resize(image, [self.size, self.size])
        return self.one(image), label

    def __getitems__(self, keys):
        return [self[key] for key in keys]


def share(case, folder, workers, image_by_image, epochs):
    """Seconds of waiting for data / seconds of training, waiting included, without the first epoch."""
    L.seed_everything(0, verbose=False)
    data, network = CASES[case](folder, workers)
    if image_by_image:
        views = data._views
        data._views = lambda *args: ImageByImage(views(*args)) if len(args) == 3 else views(*args)
    monitor = CostMonitor()
    with tempfile.TemporaryDirectory() as root:
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=[monitor, RunRecorder(write=False, show=False)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=root,
            limit_val_batches=0,
        )
        trainer.fit(ImageClassifier(network), data)
    seconds = [costs.seconds for epoch, costs in monitor.epochs.items() if epoch]
    waited, trained = (sum(epoch[phase] for epoch in seconds) for phase in ("data_wait", "training"))
    return waited / (waited + trained)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread; median of {args.repeats} [least, most]\n")
    print("| share of the time spent waiting for data | workers | torchvision, image by image | whole batches |")
    print("|---|---|---|---|")
    for case in CASES:
        for workers in args.workers:
            cells = []
            for image_by_image in (True, False):
                shares = [share(case, args.data, workers, image_by_image, args.epochs) for _ in range(args.repeats)]
                cells.append(f"{statistics.median(shares):.1%} [{min(shares):.1%}, {max(shares):.1%}]")
            print(f"| {case} | {workers} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
