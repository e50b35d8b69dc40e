"""The arms of the study of augmentation that ends with the cooldown: real fits on the CPU, one thread."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from ending_runs import BATCH, Net, Setup, Shuffled, split, validate
from lightning.pytorch.callbacks import Callback
from sharpness_arms import COOLDOWN
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import RandAugment

from lightning_critperiod import CriticalPeriodCallback, Never, Phased, Recipe, Slope, Volume
from lightning_critperiod.rules import Rule

SETUPS = (Setup("CIFAR-10", 2000, 40), Setup("Fashion-MNIST", 2000, 40))
OPERATIONS, MAGNITUDE, WEAKER, ALPHA = 2, 9, 4, 0.4
"""Of RandAugment: operations an image and their strength, of 30; and of MixUp: both parameters of the Beta distribution."""


class Arm(NamedTuple):
    """A recipe.

    Args:
        magnitude: Of RandAugment in the run; 0 is none.
        alpha: Of MixUp in the run; 0 is none.
        phased: What changes with the phase.
        ended_by: RandAugment is off from the epoch on with which this rule fires, on layer rotation.
    """

    magnitude: int = 0
    alpha: float = 0.0
    phased: tuple[Phased, ...] = ()
    ended_by: Rule = Never()


def of_images(**phases: int) -> tuple[Phased, ...]:
    return (Phased("datamodule.magnitude", **phases),)


ARMS = {
    "none": Arm(),
    "RandAugment": Arm(MAGNITUDE),
    "RandAugment, off in the cooldown": Arm(MAGNITUDE, phased=of_images(cooldown=0)),
    "RandAugment, weaker in the cooldown": Arm(MAGNITUDE, phased=of_images(cooldown=WEAKER)),
    "RandAugment, off at the published rule": Arm(MAGNITUDE, ended_by=Slope.published()),
    "MixUp": Arm(alpha=ALPHA),
    "MixUp, off in the cooldown": Arm(alpha=ALPHA, phased=(Phased("mixup_alpha", cooldown=0.0),)),
}


class Images(Dataset):
    """Each image is augmented when it is read, at the strength that the datamodule has then."""

    def __init__(self, images: Tensor, labels: Tensor, datamodule: Any) -> None:
        self.low, self.high = float(images.min()), float(images.max())
        self.bytes = ((images - self.low) / (self.high - self.low) * 255).round().to(torch.uint8)
        self.labels, self.datamodule = labels, datamodule

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.bytes[index]
        if self.datamodule.magnitude:
            image = RandAugment(OPERATIONS, self.datamodule.magnitude)(image)
            self.datamodule.augmented += 1
        return image / 255 * (self.high - self.low) + self.low, self.labels[index]


class Data(L.LightningDataModule):
    def __init__(self, setup: Setup, seed: int, root: Path, magnitude: int) -> None:
        super().__init__()
        self.seed, self.magnitude, self.augmented = seed, magnitude, 0
        self.parts = split(setup, seed, root)

    def train_dataloader(self) -> DataLoader:
        images = Images(*self.parts.train, self)
        return DataLoader(images, BATCH, sampler=Shuffled(len(images), self.seed))


class EndsAugmentation(Callback):
    """No RandAugment from the epoch on with which a rule fires. In a recipe with a cooldown the rule would end the run.

    Args:
        rule: Is asked about the signal of the callback that drives the run.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        driving = next(each for each in trainer.callbacks if isinstance(each, CriticalPeriodCallback))
        if self.rule(driving.history, trainer.max_epochs):
            trainer.datamodule.magnitude = 0


class MixUpNet(Net):
    """With MixUp (Zhang et al. 2018, arXiv 1710.09412) where ``mixup_alpha`` is above 0."""

    mixup_alpha = 0.0

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if not self.mixup_alpha:
            return super().training_step(batch, batch_idx)
        images, labels = batch
        random = torch.Generator().manual_seed(10**6 * self.seed + self.trainer.global_step)
        part = float(torch._sample_dirichlet(torch.full((2,), self.mixup_alpha), generator=random)[0])
        order = torch.randperm(len(images), generator=random)
        dx, dy, mirror = (int(torch.randint(n, (), generator=random)) for n in (3, 3, 2))
        mixed = torch.roll(part * images + (1 - part) * images[order], (dx - 1, dy - 1), (2, 3))
        outputs = self.network(mixed.flip(3) if mirror else mixed)
        return part * cross_entropy(outputs, labels) + (1 - part) * cross_entropy(outputs, labels[order])


def run(setup: Setup, arm: str, seed: int, root: Path, rate: float) -> dict[str, Any]:
    """Train one arm: a constant rate, then its cooldown; tested on images that nothing else has seen.

    Args:
        setup: What is trained.
        arm: One of `ARMS`.
        seed: Of weights, order, augmentation, and of what is drawn for training.
        root: Folder with cifar/ and fashion/, torchvision's roots.
        rate: Of learning, before the cooldown.
    """
    chosen = ARMS[arm]
    torch.manual_seed(seed)
    net, data = MixUpNet(setup, seed, rate), Data(setup, seed, root, chosen.magnitude)
    net.mixup_alpha = chosen.alpha
    recipe = Recipe(after=Volume(), annealing_fraction=0, cooldown=COOLDOWN, changes=list(chosen.phased))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=setup.epochs,
        callbacks=[CriticalPeriodCallback(rule=Never(), recipe=recipe), EndsAugmentation(chosen.ended_by)],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    began = time.process_time()
    trainer.fit(net, data)
    return {
        "setup": setup.name,
        "arm": arm,
        "seed": seed,
        "test_acc": validate(net.network, *data.parts.test)[1],
        "epochs": trainer.current_epoch,
        "augmented": data.augmented,
        "cpu_seconds": round(time.process_time() - began, 1),
        "torch": torch.__version__,
    }
