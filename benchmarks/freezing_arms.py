"""The arms of the study of freezing what no longer rotates: real fits on the CPU, one thread."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from ending_runs import BATCH, Shuffled, images_of, validate
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod.models import CifarResNet
from lightning_critperiod.signals import layer_rotation

CONSTANT = 0.8
"""Part of a run with a constant rate; it then decays to zero as 1 - sqrt(u)."""
RATE, FINE_RATE = 0.1, 0.02
PRETRAINED = (4_000, 20)
"""Images and epochs."""
FIXED = 2
"""Parts that `fixed` freezes from the first step on: the stem and the first block."""


class Setup(NamedTuple):
    """What is trained.

    Args:
        data: The data set.
        pretrained: On one half of the classes, then fine-tuned on the other half.
        images: For training.
        epochs: Of a run that freezes nothing, or freezes something.
    """

    data: str
    pretrained: bool
    images: int
    epochs: int

    @property
    def name(self) -> str:
        return f"{self.data}, {'fine-tuned' if self.pretrained else 'from scratch'}"

    @property
    def steps(self) -> int:
        return self.epochs * math.ceil(self.images / BATCH)


SETUPS = (
    Setup("CIFAR-10", True, 1_000, 20),
    Setup("Fashion-MNIST", True, 1_000, 20),
    Setup("CIFAR-10", False, 2_000, 40),
)


Rotations = Sequence[Sequence[float]]
"""Of each part, from the front to the back, after each epoch."""


def gains(rotation: Sequence[float]) -> list[float]:
    """Of each epoch."""
    return [after - before for before, after in pairwise([0.0, *rotation])]


def recent(rotation: Sequence[float]) -> float:
    """Mean gain of the last two epochs."""
    return sum(gains(rotation)[-2:]) / 2


def stopped(rotations: Rotations, part: int, tolerance: float) -> bool:
    """Whether the recent gain of a part is at most this fraction of its own largest gain, from the third epoch on."""
    return len(rotations[part]) > 2 and recent(rotations[part]) <= tolerance * max(gains(rotations[part]))


def slow(rotations: Rotations, part: int, tolerance: float) -> bool:
    """Whether the recent gain of a part is at most this fraction of the largest recent gain of any part, from the third epoch on."""
    return len(rotations[part]) > 2 and recent(rotations[part]) <= tolerance * max(map(recent, rotations))


class Candidate(NamedTuple):
    """When a part is frozen.

    Args:
        rule: `stopped` or `slow`.
        tolerance: See there.
    """

    rule: Callable[[Rotations, int, float], bool]
    tolerance: float

    @property
    def name(self) -> str:
        return f"{self.rule.__name__} at {self.tolerance:g}"


def parts(network: nn.Module) -> list[nn.Module]:
    """From the front to the back; the head is none, for it is always trained."""
    return [network.stem, *network.blocks]


def freeze(network: nn.Module, number: int) -> None:
    for part in parts(network)[:number]:
        part.requires_grad_(False)


class Freezing(Callback):
    """Freezes the parts that have stopped, from the front on, while the rate is constant.

    Args:
        candidate: When a part is frozen; None freezes nothing more than is frozen.
        frozen: Parts that are frozen from the first step on.
    """

    def __init__(self, candidate: Candidate | None = None, frozen: int = 0) -> None:
        self.candidate, self.frozen = candidate, frozen
        self.steps: dict[int, int] = {}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        freeze(pl_module.network, self.frozen)
        self.initial = [self._weights(part) for part in parts(pl_module.network)]
        self.rotations: list[list[float]] = [[] for _ in self.initial]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.steps[self.frozen] = self.steps.get(self.frozen, 0) + 1

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        found = parts(pl_module.network)
        for part, initial, rotation in zip(found, self.initial, self.rotations, strict=True):
            rotation.append(float(layer_rotation(initial, self._weights(part)).mean()))
        if self.candidate is None or trainer.global_step >= CONSTANT * pl_module.total_steps:
            return
        rule, tolerance = self.candidate
        while self.frozen < len(found) and rule(self.rotations, self.frozen, tolerance):
            self.frozen += 1
        freeze(pl_module.network, self.frozen)

    @staticmethod
    def _weights(part: nn.Module) -> list[Tensor]:
        return [weights.detach().clone() for weights in part.parameters() if weights.ndim > 1]


class Net(L.LightningModule):
    """Images are shifted by up to a pixel and mirrored."""

    def __init__(self, network: nn.Module, seed: int, rate: float, total_steps: int) -> None:
        super().__init__()
        self.network, self.seed, self.rate, self.total_steps = network, seed, rate, total_steps

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        random = torch.Generator().manual_seed(10**6 * self.seed + self.trainer.global_step)
        dx, dy, mirror = (int(torch.randint(n, (), generator=random)) for n in (3, 3, 2))
        images = torch.roll(images, (dx - 1, dy - 1), (2, 3))
        return cross_entropy(self.network(images.flip(3) if mirror else images), labels)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), self.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        scheduler = LambdaLR(optimizer, self.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def factor(self, step: int) -> float:
        done = (step / self.total_steps - CONSTANT) / (1 - CONSTANT)
        return 1 - math.sqrt(min(max(done, 0.0), 1.0))


def of_classes(images: Tensor, labels: Tensor, late: bool) -> tuple[Tensor, Tensor]:
    """Those of the first or the last five classes, called 0 to 4."""
    chosen = (labels >= 5) == late
    return images[chosen], labels[chosen] - 5 * late


def drawn(images: Tensor, labels: Tensor, number: int, seed: int) -> tuple[Tensor, Tensor]:
    kept = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:number]
    return images[kept], labels[kept]


def fit(
    network: nn.Module, data: tuple[Tensor, Tensor], seed: int, rate: float, steps: int, freezing: Freezing
) -> None:
    torch.manual_seed(seed)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[freezing],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train = DataLoader(TensorDataset(*data), BATCH, sampler=Shuffled(len(data[0]), seed))
    trainer.fit(Net(network, seed, rate, steps), train)


@cache
def flops(channels: int, frozen: int) -> int:
    """Floating-point operations of a training step at half size with so many frozen parts."""
    network = CifarResNet(8, 5, channels)
    freeze(network, frozen)
    size = 16 if channels == 3 else 14
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(BATCH, channels, size, size)).sum().backward()
    return counter.get_total_flops()


def run(setup: Setup, seed: int, root: Path, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """All arms of a seed; `short` has the operations of the first candidate.

    Args:
        setup: What is trained.
        seed: Of weights, order, augmentation and what is drawn for training.
        root: Folder with cifar/ and fashion/, torchvision's roots.
        candidates: An arm for each.
    """
    train, labels, test, test_labels = images_of(setup.data, root, 10_000)
    channels = train.shape[1]
    torch.manual_seed(seed)
    network = CifarResNet(8, 5 if setup.pretrained else 10, channels)
    data, rate = drawn(train, labels, setup.images, seed), RATE
    if setup.pretrained:
        images, epochs = PRETRAINED
        first = drawn(*of_classes(train, labels, late=False), images, seed)
        fit(network, first, seed, RATE, epochs * math.ceil(images / BATCH), Freezing())
        network.head[-1] = nn.Linear(64, 5)
        data, rate = drawn(*of_classes(train, labels, late=True), setup.images, seed), FINE_RATE
        test, test_labels = of_classes(test, test_labels, late=True)

    def arm(freezing: Freezing, steps: int = setup.steps) -> dict[str, Any]:
        trained, began = copy.deepcopy(network), time.process_time()
        fit(trained, data, seed, rate, steps, freezing)
        return {
            "test_acc": validate(trained, test, test_labels)[1],
            "flops": sum(flops(channels, frozen) * n for frozen, n in freezing.steps.items()),
            "steps": {str(frozen): n for frozen, n in freezing.steps.items()},
            "cpu_seconds": round(time.process_time() - began, 1),
            "rotations": [[round(value, 6) for value in rotation] for rotation in freezing.rotations],
        }

    arms = {"full": arm(Freezing())}
    arms |= {candidate.name: arm(Freezing(candidate)) for candidate in candidates}
    budget = arms[candidates[0].name]["flops"]
    arms["short"] = arm(Freezing(), round(budget / flops(channels, 0)))
    arms["fixed"] = arm(Freezing(frozen=FIXED))
    return {"setup": setup.name, "seed": seed, "torch": torch.__version__, "arms": arms}
