"""The trainings of `ending.py`: a constant rate with cooldowns from any epoch of it, and what they are compared with."""

import functools
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch.nn.functional import avg_pool2d, cross_entropy
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, Sampler, TensorDataset
from torchvision.datasets import CIFAR10, FashionMNIST

from lightning_critperiod import EarlyCooldown
from lightning_critperiod.datamodules import Digits
from lightning_critperiod.lightning_seam import growing_average
from lightning_critperiod.models import CifarResNet

BATCH, TEST = 32, 4000
SHAPES = {"cosine": lambda part: (1 + math.cos(math.pi * part)) / 2, "linear": lambda part: 1 - part}


class Setup(NamedTuple):
    """What is trained: few or many images of a data set, for at most so many epochs."""

    data: str
    samples: int
    epochs: int
    optimizer: str = "SGD"

    @property
    def name(self) -> str:
        return f"{self.data}, {self.samples} images" + ("" if self.optimizer == "SGD" else f", {self.optimizer}")


class Split(NamedTuple):
    """Images and classes."""

    train: tuple
    val: tuple
    test: tuple


@functools.cache
def images_of(data: str, root: Path, test_images: int = TEST) -> tuple:
    """Training images and classes, test images and classes; the photographs at half their size."""
    if data == "digits":
        found = [t for train in (True, False) for t in Digits().load(train)[0].tensors]
        images = [found[0].float(), found[2].float()]
        labels = [found[1], found[3]]
    else:
        kind = {"CIFAR-10": CIFAR10, "Fashion-MNIST": FashionMNIST}[data]
        sets = [kind(root / ("cifar" if data == "CIFAR-10" else "fashion"), train=train) for train in (True, False)]
        pixels = [torch.as_tensor(each.data) for each in sets]
        images = [avg_pool2d(p.reshape(*p.shape[:3], -1).permute(0, 3, 1, 2).float(), 2) for p in pixels]
        labels = [torch.as_tensor(each.targets) for each in sets]
    mean, std = images[0].mean((0, 2, 3), keepdim=True), images[0].std((0, 2, 3), keepdim=True)
    train, test = [(each - mean) / std for each in images]
    return train, labels[0], test[:test_images], labels[1][:test_images]


def split(setup: Setup, seed: int, root: Path) -> Split:
    """Validation and training images drawn by the seed; the test images are always the same."""
    images, labels, *test = images_of(setup.data, root)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    val = 400 if setup.data == "digits" else 500
    held_out, kept = order[:val], order[val : val + setup.samples]
    return Split((images[kept], labels[kept]), (images[held_out], labels[held_out]), tuple(test))


class Shuffled(Sampler):
    """Another order every epoch, the same in every run of a seed."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self):
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        return iter(torch.randperm(self.n, generator=generator).tolist())

    def __len__(self) -> int:
        return self.n


class Net(L.LightningModule):
    """ResNet-8; images are shifted by up to a pixel and, but for digits, mirrored.

    ``schedule`` is None for a constant rate, (shape, epochs), or "plateau".
    """

    def __init__(self, setup: Setup, seed: int, rate: float, schedule=None) -> None:
        super().__init__()
        self.setup_, self.seed, self.rate, self.schedule = setup, seed, rate, schedule
        self.network = CifarResNet(8, 10, 3 if setup.data == "CIFAR-10" else 1)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        random = torch.Generator().manual_seed(10**6 * self.seed + self.trainer.global_step)
        dx, dy, mirror = (int(torch.randint(n, (), generator=random)) for n in (3, 3, 2))
        images = torch.roll(images, (dx - 1, dy - 1), (2, 3))
        if mirror and self.setup_.data != "digits":
            images = images.flip(3)
        return cross_entropy(self.network(images), labels)

    def validation_step(self, batch, batch_idx):
        loss, accuracy = validate(self.network, *batch)
        self.log_dict({"val_loss": loss, "val_acc": accuracy}, batch_size=len(batch[1]))

    def configure_optimizers(self):
        if self.setup_.optimizer == "AdamW":
            optimizer = torch.optim.AdamW(self.parameters(), self.rate / 50, weight_decay=1e-2)
        else:
            optimizer = torch.optim.SGD(self.parameters(), self.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        if self.schedule is None:
            return optimizer
        if self.schedule == "plateau":
            scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.1, patience=5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_acc"}}
        shape, epochs = self.schedule
        steps = epochs * math.ceil(self.setup_.samples / BATCH)
        scheduler = LambdaLR(optimizer, lambda step: SHAPES[shape](min(step / steps, 1.0)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


@torch.no_grad()
def validate(network, images, labels):
    """Loss and accuracy."""
    network.eval()
    outputs = torch.cat([network(part) for part in images.split(500)])
    return cross_entropy(outputs, labels).item(), (outputs.argmax(1) == labels).float().mean().item()


class Record(Callback):
    """Every epoch the validation that was logged, that of the raw weights, and the weights."""

    def __init__(self, parts: Split, folder: Path | None = None, end: int | None = None) -> None:
        self.parts, self.folder, self.end = parts, folder, end
        self.curves = {"val_loss": [], "val_acc": [], "raw val_loss": [], "raw val_acc": []}
        self.states = []

    def on_fit_start(self, trainer, pl_module):
        for callback in trainer.callbacks:
            if self.end is not None and isinstance(callback, EarlyCooldown):
                callback.detector.judges = False  # the rules are asked afterwards

    def on_train_epoch_end(self, trainer, pl_module):
        logged = [float(trainer.callback_metrics[name]) for name in ("val_loss", "val_acc")]
        raw = logged if self.folder is None else validate(pl_module.network, *self.parts.val)
        pl_module.train()
        for curve, value in zip(self.curves.values(), [*logged, *raw], strict=True):
            curve.append(round(value, 5))
        finished = trainer.current_epoch + 1
        if self.folder is not None:
            trainer.save_checkpoint(self.folder / f"{finished}.ckpt", weights_only=False)
        else:
            self.states.append({k: v.clone() for k, v in pl_module.state_dict().items()})
        trainer.should_stop = trainer.should_stop or finished == self.end


class Study:
    """All trainings of one set-up and seed. Everything is counted in epochs; accuracies are those on test data."""

    def __init__(self, setup: Setup, seed: int, root: Path) -> None:
        self.setup, self.seed = setup, seed
        self.parts = split(setup, seed, root)

    def fit(self, net: Net, callbacks: list, epochs: int, checkpoint: Path | None = None) -> L.Trainer:
        torch.manual_seed(self.seed)
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tempfile.gettempdir(),
        )
        images, labels = self.parts.train
        train = DataLoader(TensorDataset(images, labels), BATCH, sampler=Shuffled(len(images), self.seed))
        val = DataLoader([self.parts.val], batch_size=None)
        trainer.fit(net, train, val, ckpt_path=checkpoint, weights_only=False if checkpoint else None)
        return trainer

    def net(self, rate: float, schedule=None) -> Net:
        torch.manual_seed(self.seed)
        return Net(self.setup, self.seed, rate, schedule)

    def test(self, net: Net, state: dict | None = None) -> float:
        if state is not None:
            net.load_state_dict(state)
        return round(100 * validate(net.network, *self.parts.test)[1], 3)

    def trunk(self, rate: float, folder: Path) -> dict:
        """The constant rate to the end, no cooldown; a checkpoint an epoch in the folder, and the curves."""
        record = Record(self.parts, folder, self.setup.epochs)
        self.fit(self.net(rate), [EarlyCooldown("val_acc", "max"), record], -1)
        return record.curves

    def cooldown(self, rate: float, folder: Path, epoch: int) -> dict:
        """The cooldown that begins after so many epochs of the trunk, and ends the run."""
        callback, net = EarlyCooldown("val_acc", "max"), self.net(rate)
        callback.cool_down()
        trainer = self.fit(net, [callback], -1, folder / f"{epoch}.ckpt")
        return {"epochs": trainer.current_epoch, "acc": self.test(net), "weights": callback.final_weights}

    def of_trunk(self, folder: Path, epoch: int, averaged: bool) -> float:
        checkpoint = torch.load(folder / f"{epoch}.ckpt", weights_only=False)
        return self.test(self.net(0.0), checkpoint["state_dict" if averaged else "current_model_state"])

    def decayed(self, shape: str, rate: float, epochs: int, tests=lambda curves: ()) -> dict:
        """A run of known length; ``tests`` says from its curves after which epochs it is tested, too."""
        record, net = Record(self.parts), self.net(rate, (shape, epochs))
        self.fit(net, [record], epochs)
        acc = self.test(net)
        tested = {e: self.test(net, record.states[e - 1]) for e in sorted(set(tests(record.curves)))}
        return {"epochs": epochs, "acc": acc, "tests": tested, "curves": record.curves if tested else {}}

    def plateau(self, rate: float, averaged: bool) -> dict:
        """ReduceLROnPlateau (patience 5), then EarlyStopping (10), the best epoch's weights restored."""
        record, net = Record(self.parts), self.net(rate, "plateau")
        callbacks = [EarlyStopping("val_acc", mode="max", patience=10), _Averages(), record]
        trainer = self.fit(net, callbacks if averaged else [callbacks[0], record], self.setup.epochs)
        accuracies = record.curves["val_acc"]
        best = accuracies.index(max(accuracies))
        states = callbacks[1].states if averaged else record.states
        return {"epochs": trainer.current_epoch, "acc": self.test(net, states[best])}


class _Averages(Callback):
    """Brings along the weight averaging that `EarlyCooldown` brings, and keeps the average of every epoch."""

    def __init__(self) -> None:
        self.states = []

    def setup(self, trainer, pl_module, stage):
        self.average = growing_average(trainer)
        trainer.callbacks.append(self.average)

    def on_train_epoch_end(self, trainer, pl_module):
        self.states.append({k: v.clone() for k, v in self.average._average_model.module.state_dict().items()})
