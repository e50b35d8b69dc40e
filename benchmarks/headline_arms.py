"""The set-ups and arms of the headline study, and one run of an arm with the real callback and Trainer."""

import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from growing_arms import AT, Counts, planned, spent, steps
from growing_setups import PEAK, Setup
from lightning.pytorch.callbacks import EMAWeightAveraging
from pool import pool
from torch.optim.lr_scheduler import LinearLR, OneCycleLR

from lightning_critperiod import (
    Cooldown,
    CriticalPeriodCallback,
    GrowingImages,
    MonitoredMetric,
    Never,
    Plateau,
    Recipe,
    Volume,
)
from lightning_critperiod.datamodules import CIFAR10, CIFAR100, FashionMNIST
from lightning_critperiod.rules import Rule

VIEWS, EPOCHS = 3, 30
"""Of the full recipe."""
DEPTH = 8
"""Of the residual network."""
WINDOW = 0.995
"""Decay of the average of the weights, a step: about six passes of the smaller sets."""
PRECISION = "bf16-mixed"
"""Half the time of a step on a CPU that has it, in every arm."""


SETUPS = {
    "Fashion-MNIST": Setup(pool(FashionMNIST), DEPTH, 10, 1, (14, 21, 28), 2_000, PRECISION, 64),
    "CIFAR-10": Setup(pool(CIFAR10), DEPTH, 10, 3, (16, 24, 32), 2_000, PRECISION, 64),
    "CIFAR-100": Setup(pool(CIFAR100), DEPTH, 100, 3, (16, 24, 32), 3_000, PRECISION, 64),
}
LARGE = {
    "CIFAR-10, ResNet-18": Setup(
        pool(CIFAR10), 18, 10, 3, (16, 24, 32), 2_000, PRECISION, 128, "gpu", file="CIFAR-10 large"
    ),
}
"""On a GPU, with the recipe that was chosen with the small network; every arm has the peak of the study of growing images."""
ALL = SETUPS | LARGE

DEVELOPED, DEVELOPMENT = ("CIFAR-10", "Fashion-MNIST"), 100
"""The set-ups and the seed on which the settings are chosen."""


@dataclass(frozen=True)
class Together:
    """The settings of the recipe that has everything.

    Args:
        epochs: At most.
        ends: The rule, asked about the averaged weights, that begins the cooldown.
        grows: The rule of the growth; None is at half and three quarters of the epochs.
        views: Of each image in an epoch of the cooldown.
        sizes: How many of the set-up's sizes, the full one among them.
    """

    epochs: int
    ends: Rule
    grows: Rule | None = None
    views: int = VIEWS
    sizes: int = 3

    def callback(self, setup: Setup) -> CriticalPeriodCallback:
        growth: dict[str, Any] = {"at": AT[1 - self.sizes :]} if self.grows is None else {"rule": self.grows}
        changes = [GrowingImages(setup.sizes[-self.sizes :], **growth)]
        recipe = Recipe(None, Volume(self.views), 0, changes, Cooldown(fraction=0.25))
        return CriticalPeriodCallback(MonitoredMetric("val_acc"), self.ends, recipe)


def best_within(patience: int) -> Plateau:
    return Plateau(patience=patience, mode="max", min_epochs=0)


CANDIDATES = {
    "pilot": Together(20, Never()),
    "longer": Together(21, Never()),
    "longer still": Together(22, Never()),
    "two sizes": Together(16, Never(), sizes=2),
    "one view at the end": Together(26, Never(), views=1),
    "ended": Together(24, best_within(4)),
    "by rule": Together(22, Never(), best_within(2)),
    "by rule, ended": Together(30, best_within(3), best_within(1)),
}
"""For development; the first one has the sizes and the length of an earlier pilot."""
CHOSEN = "longer"
PEAKS = {"full recipe": 0.4, "together": 0.2, "short": 0.1, "grown": 0.4}
"""Arm -> peak of its learning rate, as the development runs have chosen it."""
ARMS = tuple(PEAKS)
"""The last two have the operations of `together`."""


def peaks(name: str) -> dict[str, float]:
    """Arm -> peak of its learning rate, in a set-up."""
    return dict.fromkeys(PEAKS, PEAK) if name in LARGE else PEAKS


def per_pass(setup: Setup) -> int:
    return -(-setup.images // setup.batch)


def cosine(setup: Setup, peak: float, whole: int) -> Any:
    """One pass of warm-up, then to zero over the steps of the run, ``whole`` of them."""
    share = per_pass(setup) / whole
    return partial(OneCycleLR, max_lr=peak, total_steps=-1, pct_start=share, cycle_momentum=False)


def constant(setup: Setup) -> Any:
    """One pass of warm-up."""
    return partial(LinearLR, start_factor=0.02, total_iters=per_pass(setup))


def passes(setup: Setup, budget: float) -> int:
    """The most passes that growing at fixed fractions affords."""
    return max(n for n in range(1, 2 * VIEWS * EPOCHS) if planned(setup, n) <= budget)


@dataclass(frozen=True)
class Plan:
    """What an arm hands to the Trainer.

    Args:
        schedule: Of the learning rate, step by step.
        views: Of each image in an epoch.
        trainer: How long the run is and how much it validates.
        callback: Ours; None is none.
    """

    schedule: Any
    views: int
    trainer: dict[str, Any]
    callback: CriticalPeriodCallback | None = None


def plan(setup: Setup, arm: str, peak: float, budget: float | None, candidate: str) -> Plan:
    """What an arm does; `budget` are the operations of those that follow `together`."""
    blind = {"limit_val_batches": 0}  # no schedule needs a validation
    whole = EPOCHS * VIEWS * per_pass(setup)
    if arm == "together":
        chosen = CANDIDATES[candidate]
        return Plan(constant(setup), VIEWS, {"max_epochs": chosen.epochs}, chosen.callback(setup))
    if arm == "grown":
        n = passes(setup, budget)
        recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[GrowingImages(setup.sizes, at=AT)])
        ours = CriticalPeriodCallback(rule=Never(), recipe=recipe)
        return Plan(cosine(setup, peak, n * per_pass(setup)), 1, {"max_epochs": n, **blind}, ours)
    if arm == "short":
        n = steps(setup, budget)
        return Plan(cosine(setup, peak, n), VIEWS, {"max_epochs": EPOCHS, "max_steps": n, **blind})
    return Plan(cosine(setup, peak, whole), VIEWS, {"max_epochs": EPOCHS, **blind})


def run(
    name: str,
    arm: str,
    seed: int,
    data: Path,
    budget: float | None = None,
    peak: float | None = None,
    candidate: str = CHOSEN,
) -> dict[str, Any]:
    """Train one arm, and test its averaged weights on images that nothing else has seen.

    Args:
        name: Of the set-up.
        arm: One of `ARMS`.
        seed: Of weights, order, augmentation, and of what is drawn for training and validation.
        data: Folder with the files of `headline.py pack`.
        budget: Operations, for the arms that follow `together`.
        peak: Of the learning rate; None is the arm's own.
        candidate: What `together` is.
    """
    warnings.filterwarnings("ignore")
    setup, peak = ALL[name], peaks(name)[arm] if peak is None else peak
    does = plan(setup, arm, peak, budget, candidate)
    L.seed_everything(seed, verbose=False)
    module = Counts(
        setup.network(),
        lambda parameters: torch.optim.SGD(parameters, peak, momentum=0.9, nesterov=True, weight_decay=5e-4),
        does.schedule,
        lr_interval="step",
    )
    datamodule = setup.data(setup.batch, does.views, 0.0, setup.images, 0, seed)
    datamodule.file = data / f"{setup.file or name}.npz"
    trainer = L.Trainer(
        accelerator=setup.accelerator,
        devices=1,
        precision=setup.precision,
        callbacks=[EMAWeightAveraging(decay=WINDOW), *([does.callback] if does.callback else [])],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **does.trainer,
    )
    began = time.process_time()
    trainer.fit(module, datamodule)
    seconds = time.process_time() - began
    return {
        "setup": name,
        "arm": arm,
        "seed": seed,
        "test_acc": trainer.test(module, datamodule, verbose=False)[0]["test_acc"],
        "flops": spent(setup, module.images),
        "cpu_seconds": round(seconds, 1),
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "images": {str(size): n for size, n in sorted(module.images.items())},
        "peak": peak,
        "candidate": candidate if arm == "together" else "",
        "device": torch.cuda.get_device_name() if setup.accelerator == "gpu" else "cpu",
        "torch": torch.__version__,
    }
