"""The arms of the study of `GrowingImages`, and one run of an arm with the real callback and Trainer."""

import random
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from growing_setups import PEAK, SETUPS, Setup, data_of
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import CriticalPeriodCallback, GrowingImages, MonitoredMetric, Never, Plateau, Recipe, Volume
from lightning_critperiod.models import ImageClassifier

PASSES = 20
VALIDATION, TEST = 512, 4_992  # images, whole batches of the first ones
AT = (0.5, 0.75)
"""Parts of the run with which the second and the full size begin: those of the pilot."""
SHARES = {0: AT[0], 1: AT[1] - AT[0], 2: 1 - AT[1]}
"""Of the steps at the first, second and full size."""
RULE = Plateau(patience=2, mode="max", min_epochs=0)
"""On the validation accuracy of the averaged weights."""


class Ordered(GrowingImages):
    """The same sizes in another order: `number` says which of the three a step has, from the part of the run that is done."""

    def __init__(self, sizes: tuple[int, ...], number: Callable[[float, int], int]) -> None:
        super().__init__(sizes, at=AT)
        self.number = number

    def size(self, epoch: int) -> int:
        step, steps = self._trainer.global_step, self._trainer.estimated_stepping_batches
        return self.sizes[self.number(step / steps, step)]


def reverse(part: float, step: int) -> int:
    return 2 - (part >= SHARES[2]) - (part >= SHARES[2] + SHARES[1])


def drawn(seed: int, part: float, step: int) -> int:
    return random.Random(f"{seed} {step}").choices(list(SHARES), list(SHARES.values()))[0]


class Counts(ImageClassifier):
    """Counts the training images of each size; `size` is that of the images it is tested on, None is as they are."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.images: dict[int, int] = {}
        self.by_epoch: dict[int, int] = {}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        size = batch[0].shape[-1]
        self.images[size] = self.images.get(size, 0) + len(batch[0])
        self.by_epoch[self.current_epoch] = size
        return super().training_step(batch, batch_idx)


@cache
def flops(setup: Setup, size: int) -> float:
    """Floating-point operations of a training step, forward and backward, by image."""
    network, images = setup.network(), torch.zeros(2, setup.channels, size, size)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return counter.get_total_flops() / len(images)


def spent(setup: Setup, images: dict[int, int]) -> float:
    return sum(flops(setup, int(size)) * n for size, n in images.items())


def planned(setup: Setup, passes: int) -> float:
    """What growing at fixed fractions costs."""
    starts = [0, *(int(part * passes) for part in AT), passes]
    return sum(
        flops(setup, size) * setup.images * (end - start)
        for size, start, end in zip(setup.sizes, starts, starts[1:], strict=False)
    )


def stretched(setup: Setup) -> int:
    """The most passes that growing at fixed fractions affords at the cost of all passes at full size."""
    budget = flops(setup, setup.sizes[-1]) * setup.images * PASSES
    return max(passes for passes in range(PASSES, 4 * PASSES) if planned(setup, passes) <= budget)


def steps(setup: Setup, budget: float) -> int:
    """Steps at full size for so many operations."""
    per_pass = -(-setup.images // setup.batch)
    return round(budget / (flops(setup, setup.sizes[-1]) * setup.images) * per_pass)


def change(name: str, arm: str, seed: int) -> GrowingImages | None:
    sizes = SETUPS[name].sizes
    changes = {
        "grown by rule": lambda: GrowingImages(sizes, rule=RULE),
        "grown": lambda: GrowingImages(sizes, at=AT),
        "stretched": lambda: GrowingImages(sizes, at=AT),
        "reverse": lambda: Ordered(sizes, reverse),
        "random": lambda: Ordered(sizes, partial(drawn, seed)),
        "small": lambda: Ordered(sizes, lambda part, step: 0),
    }
    return changes[arm]() if arm in changes else None


ARMS = ("full", "grown", "short", "grown by rule", "short as the rule", "reverse", "random", "small", "stretched")
"""In the order of the runs; `short as the rule` needs the run before it."""


def length(name: str, arm: str, seed: int, results: dict[str, Any]) -> dict[str, int]:
    """The Trainer's arguments that say how long the run is."""
    setup = SETUPS[name]
    if arm == "stretched":
        return {"max_epochs": stretched(setup)}
    if arm == "short":
        return {"max_epochs": PASSES, "max_steps": steps(setup, planned(setup, PASSES))}
    if arm == "short as the rule":
        return {"max_epochs": PASSES, "max_steps": steps(setup, results["grown by rule"]["flops"])}
    return {"max_epochs": PASSES}


def cosine(peak: float) -> Any:
    """One pass of warm-up, then to zero over the steps of the run."""
    return partial(OneCycleLR, max_lr=peak, total_steps=-1, pct_start=1 / PASSES, cycle_momentum=False)


def fit(
    name: str,
    seed: int,
    data: Path,
    callbacks: list[Any],
    schedule: Any,
    peak: float,
    **arguments: Any,
) -> dict[str, Any]:
    """Train once; the accuracy is that of the final weights on test images that nothing else has seen.

    Args:
        name: Of the set-up.
        seed: Of weights, order, augmentation, and of what is drawn for training and validation.
        data: Folder with the data as torchvision stores it.
        callbacks: Of the Trainer.
        schedule: Of the learning rate, step by step.
        peak: Of the learning rate.
        arguments: For the Trainer.
    """
    warnings.filterwarnings("ignore")
    setup = SETUPS[name]
    L.seed_everything(seed, verbose=False)
    module = Counts(
        setup.network(),
        lambda parameters: torch.optim.SGD(parameters, peak, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule,
        lr_interval="step",
    )
    datamodule = data_of(setup, seed, data)
    trainer = L.Trainer(
        accelerator=setup.accelerator,
        devices=1,
        precision=setup.precision,
        callbacks=callbacks,
        limit_test_batches=TEST // setup.batch,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )
    began = time.process_time()
    trainer.fit(module, datamodule)
    seconds = time.process_time() - began
    found = {
        "setup": name,
        "seed": seed,
        "test_acc": trainer.test(module, datamodule, verbose=False)[0]["test_acc"],
        "flops": spent(setup, module.images),
        "cpu_seconds": round(seconds, 1),
        "steps": trainer.global_step,
        "images": {str(size): n for size, n in sorted(module.images.items())},
        "sizes": list(module.by_epoch.values()),
        "batch": setup.batch,
        "peak": peak,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if setup.accelerator == "gpu" else "cpu",
    }
    if len(module.images) == 1 and setup.sizes[0] in module.images:
        # It may be at its best at the only size that it was trained on.
        datamodule.image_size = setup.sizes[0]
        found["test_acc_at_its_size"] = trainer.test(module, datamodule, verbose=False)[0]["test_acc"]
    return found


def run(name: str, arm: str, seed: int, data: Path, done: dict[str, Any], peak: float = PEAK) -> dict[str, Any]:
    """Train one arm, tested with averaged weights.

    Args:
        name: Of the set-up.
        arm: One of `ARMS`.
        seed: See `fit`.
        data: See `fit`.
        done: Arm -> what was found with the same seed.
        peak: Of the learning rate.
    """
    callbacks: list[Any] = [EMAWeightAveraging(decay=0.98)]
    growing = change(name, arm, seed)
    if growing is not None:
        recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[growing])
        callbacks.append(CriticalPeriodCallback(MonitoredMetric("val_acc"), Never(), recipe))
    validates = VALIDATION // SETUPS[name].batch if arm == "grown by rule" else 0  # no other arm asks for it
    known = length(name, arm, seed, done)
    found = fit(name, seed, data, callbacks, cosine(peak), peak, limit_val_batches=validates, **known)
    if arm in {"random", "reverse"}:
        del found["sizes"]  # they change within an epoch
    return {"arm": arm, **found}
