"""One run of a project, and runs that leave it where a recipe switches.

The project's own run keeps a checkpoint of every epoch. A branch goes on from one of them with the callback, which
drives from there on: bit by bit the same as a run that had the callback from the start (`tests/test_branches.py`), without
training the beginning again.
"""

import hashlib
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Guard, Never
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.timeline import Timeline


class Project(NamedTuple):
    """What a run trains; ``data`` makes the datamodule, ``schedule`` is a scheduler and its interval."""

    data: Callable[[], L.LightningDataModule]
    channels: int
    classes: int
    optimizer: Callable[..., Any]
    schedule: tuple[Callable[..., Any], str]
    epochs: int


class Curve(Callback):
    """The validation accuracy of every epoch, and a checkpoint of every epoch if there is a folder."""

    def __init__(self, folder=None):
        self.val_acc, self.folder = [], folder

    def on_train_epoch_end(self, trainer, pl_module):
        self.val_acc.append(float(trainer.callback_metrics["val_acc"]))
        if self.folder is not None:
            trainer.save_checkpoint(Path(self.folder) / f"{trainer.current_epoch}.ckpt")


def fit(project, seed, callbacks, folder=None, ckpt_path=None):
    """Train and test; a hash identifies the weights."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    L.seed_everything(seed, verbose=False)
    network = CifarResNet(8, project.classes, project.channels)
    model = ImageClassifier(network, project.optimizer, *project.schedule)
    curve, datamodule = Curve(folder), project.data()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=project.epochs,
        callbacks=[*callbacks, curve],
        limit_val_batches=32,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=datamodule, ckpt_path=ckpt_path)
    weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest()
    accuracy = trainer.test(model, datamodule=datamodule, verbose=False)[0]["test_acc"]
    return {"test_acc": accuracy, "val_acc": curve.val_acc, "weights": weights}


def trunk(project, seed, folder, guard=None):
    """The project's own run. Two callbacks look on: the default one, and one whose state the branches go on from.

    A branch's own rule decides, so the second has a rule that never fires; the guard's history begins with it.
    """
    watching = CriticalPeriodCallback(rule=Never(), observe_only=True, guard=guard or Guard("val_acc", 1.0, "max"))
    found = fit(project, seed, [watching, CriticalPeriodCallback()], folder)
    return {**found, "layer_rotation": [watching.history[epoch] for epoch in range(project.epochs)]}


def branch(project, seed, folder, end_epoch, recipe, guard=None):
    """The run that switches at an epoch of the trunk; ``val_acc`` is that of the epochs from there on."""
    callback = CriticalPeriodCallback(rule=AtEpoch(end_epoch), recipe=recipe, guard=guard)
    found = fit(project, seed, [callback], ckpt_path=Path(folder) / f"{end_epoch - 1}.ckpt")
    return {**found, "end_epoch": end_epoch, "back_epoch": callback.back_epoch}


def saved(recipe, multiplier, end_epoch, epochs):
    """Part of the samples of a project of k = ``multiplier`` that a run with the recipe does not draw."""
    timeline = Timeline(epochs, end_epoch, annealing_fraction=recipe.annealing_fraction)
    cheap = sum(timeline.phase(epoch) == "after" for epoch in range(epochs))
    return cheap / epochs * (1 - recipe.after.fraction / multiplier)
