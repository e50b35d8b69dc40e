"""The arms of the study of sharpness-aware steps, and one run of an arm: real fits on the CPU, one thread."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from ending_runs import BATCH, Net, Setup, Shuffled, Split, split, validate
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import Cooldown, CriticalPeriodCallback, Never, Recipe, Volume

SETUPS = (Setup("CIFAR-10", 2000, 40), Setup("Fashion-MNIST", 2000, 40))
COOLDOWN = Cooldown(fraction=0.25)
PLAIN, LONGER, SHORTER = 40, 48, 24
"""Epochs: of a run with some sharpness-aware steps; of runs of SGD alone and of such steps alone at the same cost."""
SHARE = 0.2
"""Of the steps that are sharpness-aware: the cooldown of 40 epochs is 8 of them."""
DECAY = 0.99
"""Of the average, a step."""


class Arm(NamedTuple):
    """A recipe.

    Args:
        epochs: The cooldown is a fifth of them, the last one.
        sharp: Whether a step is sharpness-aware, from the 0-based epoch, the 0-based step and the seed.
        averaged: Tested with averaged weights.
    """

    epochs: int
    sharp: Callable[[int, int, int], bool] = lambda epoch, step, seed: False
    averaged: bool = False


def in_cooldown(epoch: int, step: int, seed: int) -> bool:
    return epoch >= COOLDOWN.start(PLAIN)


def first(epoch: int, step: int, seed: int) -> bool:
    return epoch < SHARE * PLAIN


def every_fifth(epoch: int, step: int, seed: int) -> bool:
    return step % 5 == 4


def drawn(epoch: int, step: int, seed: int) -> bool:
    return random.Random(f"{seed} {step}").random() < SHARE


def always(epoch: int, step: int, seed: int) -> bool:
    return True


ARMS = {
    "SGD": Arm(PLAIN),
    "SGD, longer": Arm(LONGER),
    "SGD, longer, averaged": Arm(LONGER, averaged=True),
    "SAM in the cooldown": Arm(PLAIN, in_cooldown),
    "SAM first": Arm(PLAIN, first),
    "SAM every fifth step": Arm(PLAIN, every_fifth),
    "SAM in random steps": Arm(PLAIN, drawn),
    "SAM throughout, shorter": Arm(SHORTER, always),
}
"""All but the first cost the same: 48 epochs of SGD."""


class SharpNet(Net):
    """Takes the steps for which ``sharp`` is true at the weights that a step of length ``rho`` uphill leads to.

    g is the gradient of the loss of the batch at w, over all parameters; the step is SGD's with the gradient of the
    same batch at w + rho g / |g| (Foret et al. 2021, arXiv 2010.01412). Running statistics are those of the first pass.
    """

    def __init__(self, setup: Setup, seed: int, rate: float, arm: Arm, rho: float) -> None:
        super().__init__(setup, seed, rate)
        self.arm, self.rho, self.passes = arm, rho, 0

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.passes += 1
        return super().training_step(batch, batch_idx)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        def closure() -> Any:
            loss = optimizer_closure()
            if self.arm.sharp(epoch, self.trainer.global_step, self.seed):
                with uphill(self, self.rho), still_statistics(self):
                    optimizer_closure()
            return loss

        super().optimizer_step(epoch, batch_idx, optimizer, closure)


@contextmanager
@torch.no_grad()
def uphill(module: nn.Module, rho: float) -> Iterator[None]:
    """The weights after a step of length ``rho`` along the gradient; those from before it afterwards, exactly."""
    weights = [weight for weight in module.parameters() if weight.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(weight.grad) for weight in weights]))
    before = [weight.clone() for weight in weights]
    for weight in weights:
        weight.add_(weight.grad, alpha=rho / (norm.item() + 1e-12))
    with torch.enable_grad():
        yield
    for weight, old in zip(weights, before, strict=True):
        weight.copy_(old)


@contextmanager
def still_statistics(module: nn.Module) -> Iterator[None]:
    """Batch normalization normalizes by the batch, and leaves its running statistics alone."""
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    yield
    for norm in norms:
        norm.track_running_stats = True


def fit(net: Net, callbacks: list[Any], epochs: int, parts: Split) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=callbacks,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train = DataLoader(TensorDataset(*parts.train), BATCH, sampler=Shuffled(len(parts.train[0]), net.seed))
    trainer.fit(net, train, DataLoader([parts.val], batch_size=None))
    return trainer


def run(setup: Setup, arm: str, seed: int, data: Path, rate: float, rho: float) -> dict[str, Any]:
    """Train one arm: a constant rate, then its cooldown; tested on images that nothing else has seen.

    Args:
        setup: What is trained.
        arm: One of `ARMS`.
        seed: Of weights, order, augmentation, and of what is drawn for training and validation.
        data: Folder with cifar/ and fashion/, torchvision's roots.
        rate: Of learning, before the cooldown.
        rho: Length of the step uphill.
    """
    chosen, parts = ARMS[arm], split(setup, seed, data)
    torch.manual_seed(seed)
    net = SharpNet(setup, seed, rate, chosen, rho)
    recipe = Recipe(after=Volume(), annealing_fraction=0, cooldown=COOLDOWN)
    callbacks: list[Any] = [CriticalPeriodCallback(rule=Never(), recipe=recipe)]
    if chosen.averaged:
        callbacks.append(EMAWeightAveraging(decay=DECAY))
    began = time.process_time()
    trainer = fit(net, callbacks, chosen.epochs, parts)
    seconds = time.process_time() - began
    per_epoch = -(-setup.samples // BATCH)
    return {
        "setup": setup.name,
        "arm": arm,
        "seed": seed,
        "rate": rate,
        "rho": rho,
        "test_acc": validate(net.network, *parts.test)[1],
        "val_acc": validate(net.network, *parts.val)[1],
        "epochs": trainer.current_epoch,
        "cost": net.passes / per_epoch,
        "cpu_seconds": round(seconds, 1),
        "torch": torch.__version__,
    }
