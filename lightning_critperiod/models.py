"""The networks and the LightningModule that the configs and notebooks train."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassAccuracy
from typing_extensions import override

from lightning_critperiod.lightning_seam.namespace import LightningModule

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler

# The arguments by which torch's schedulers ask for the length of the run.
_RUN_LENGTHS = ("T_max", "total_steps", "total_iters")


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (option A: strided, zero new channels)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.stride = channels // in_channels
        self.new_channels = channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=self.stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        x = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """The residual network for small images: three stages of n blocks with 16, 32 and 64 channels.

    He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), section 4.2,
    with option A shortcuts, which have no parameters: 0.27M parameters at depth 20, 0.46M at 32, 0.66M at
    44, 0.85M at 56, 1.7M at 110 (10 classes). Takes images [batch, in_channels, height, width] of any size,
    returns logits [batch, num_classes].

    Args:
        depth: Number of layers with weights, 6 n + 2: 8, 14, 20, 32, 44, 56, 86, 110, ...
        num_classes: Number of classes.
        in_channels: 3 for colour images, 1 for grey ones.

    Raises:
        ValueError: ``depth`` is not 6 n + 2.
    """

    def __init__(self, depth: int = 20, num_classes: int = 10, in_channels: int = 3) -> None:
        if depth not in range(8, 10_000, 6):
            raise ValueError(f"depth must be 6 n + 2 (8, 14, 20, 32, 44, 56, 86, 110, ...), got {depth!r}")
        super().__init__()
        n = depth // 6
        channels = [16, *[16] * n, *[32] * n, *[64] * n]
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(*map(_Block, channels, channels[1:]))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(images)))
        return logits


class ImageClassifier(LightningModule):
    """Trains a network on (image, class) batches with the cross-entropy.

    Logs ``train_loss``, ``val_loss``, ``val_acc``, ``test_loss`` and ``test_acc`` once an epoch; an accuracy
    is the fraction of images classified correctly, in [0, 1].

    A schedule whose ``T_max``, ``total_steps`` or ``total_iters`` is -1 in the config is as long as the run,
    in epochs or steps as ``lr_interval`` says: ``CosineAnnealingLR`` with ``T_max: -1``, or ``OneCycleLR``
    with ``total_steps: -1`` and ``lr_interval: step``. In Python: ``partial(CosineAnnealingLR, T_max=-1)``.

    Args:
        network: Maps images [batch, channels, height, width] to logits [batch, classes].
        optimizer: Makes the optimizer from the network's parameters.
        lr_scheduler: Makes the learning rate schedule from the optimizer; None keeps the rate constant. A
            ``ReduceLROnPlateau`` watches ``val_loss``. A length of -1 means the whole run.
        lr_interval: The schedule's clock: ``epoch`` or ``step`` (optimizer step).

    Raises:
        ValueError: ``lr_interval`` is neither of the two.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[Any]], Optimizer] = lambda parameters: torch.optim.SGD(
            parameters, lr=0.01, momentum=0.9, nesterov=True
        ),
        lr_scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        lr_interval: Literal["epoch", "step"] = "epoch",
    ) -> None:
        super().__init__()
        if lr_interval not in {"epoch", "step"}:
            raise ValueError(f"lr_interval must be 'epoch' or 'step', got {lr_interval!r}")
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
        self.val_acc = MulticlassAccuracy(average="micro")
        self.test_acc = MulticlassAccuracy(average="micro")

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = functional.cross_entropy(self(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._evaluate("val", self.val_acc, batch)

    @override
    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._evaluate("test", self.test_acc, batch)

    @override
    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        classes: Tensor = self(batch[0]).argmax(dim=1)
        return classes

    def _evaluate(self, split: str, accuracy: MulticlassAccuracy, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        logits = self(images)
        accuracy(logits, labels)
        loss = functional.cross_entropy(logits, labels)
        self.log(f"{split}_loss", loss, batch_size=len(labels), sync_dist=True)
        self.log(f"{split}_acc", accuracy, batch_size=len(labels), prog_bar=True)

    @override
    def configure_optimizers(self) -> "OptimizerLRScheduler":
        optimizer = self.optimizer(self.parameters())
        if self.lr_scheduler is None:
            return optimizer
        scheduler = self._as_long_as_the_run(self.lr_scheduler)(optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": self.lr_interval, "monitor": "val_loss"},
        }

    def _as_long_as_the_run(
        self, lr_scheduler: Callable[[Optimizer], LRScheduler]
    ) -> Callable[[Optimizer], LRScheduler]:
        # A class_path in the config arrives as a partial.
        arguments = lr_scheduler.keywords if isinstance(lr_scheduler, partial) else {}
        open_lengths = [name for name in _RUN_LENGTHS if arguments.get(name) == -1]
        if not open_lengths:
            return lr_scheduler
        return partial(lr_scheduler, **dict.fromkeys(open_lengths, self._run_length()))

    def _run_length(self) -> int:
        by_epoch = self.lr_interval == "epoch"
        length = self.trainer.max_epochs if by_epoch else self.trainer.estimated_stepping_batches
        if length is None or not 0 < length < float("inf"):
            raise ValueError(
                f"lr_scheduler: a length of -1 is the whole run, whose number of {self.lr_interval}s is not "
                f"known here; set max_epochs (got {self.trainer.max_epochs}) or give the length itself"
            )
        return int(length)
