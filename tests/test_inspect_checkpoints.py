"""Checkpoints beside a log, and alone: what cannot be used of them is a note, never the end."""

import argparse
import os
import shutil

import numpy as np
import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from lightning_critperiod.inspection.logs import Logs
from lightning_critperiod.inspection.run import read

EPOCHS = 6


class WithArguments(TinyModel):
    def __init__(self, args=None):
        super().__init__()
        self.save_hyperparameters()


def train(folder, module=None, epochs=EPOCHS, samples=20, **checkpoint):
    torch.manual_seed(0)
    logger = CSVLogger(folder, "run", version=0)
    keep = ModelCheckpoint(**{"save_top_k": -1, **checkpoint})
    options = {"max_epochs": epochs, "logger": logger, "log_every_n_steps": 1, "enable_checkpointing": True}
    make_trainer(folder, [keep], **options).fit(module or TinyModel(), TinyData(n=samples))
    return folder / "run/version_0"


def truth(files):
    """Mean rotation of each epoch's weight matrices against the first ones, in double precision."""
    weights = {}
    for file in files:
        checkpoint = torch.load(file, weights_only=False)
        weights[checkpoint["epoch"]] = [w.double().numpy() for w in checkpoint["state_dict"].values() if w.ndim > 1]
    first = weights[min(weights)]
    return {
        epoch: np.mean([
            1 - (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) for a, b in zip(first, layers, strict=True)
        ])
        for epoch, layers in weights.items()
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("run"))


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def rotation_of(folder):
    return read(folder).logs.signals.get("layer_rotation")


def test_checkpoints_alone_give_the_rotation_against_the_first_one(run):
    found = read(run / "checkpoints")
    expected = truth((run / "checkpoints").iterdir())
    assert found.logs.signals == {"layer_rotation": pytest.approx(expected, abs=1e-6)}
    assert len(expected) == EPOCHS
    (note,) = found.logs.notes
    assert (
        "against the weights of the first checkpoint, epoch=0-step=5.ckpt of epoch 0, not against the initial" in note
    )


def test_checkpoints_beside_a_log_add_the_rotation_to_it(run):
    assert rotation_of(run) == pytest.approx(truth((run / "checkpoints").iterdir()), abs=1e-6)


def test_hyperparameters_that_are_a_namespace_are_read(tmp_path):
    folder = train(tmp_path, WithArguments(argparse.Namespace(width=8)))
    assert rotation_of(folder) == pytest.approx(truth((folder / "checkpoints").iterdir()), abs=1e-6)


def test_hyperparameters_with_code_in_them_are_not_run(tmp_path):
    folder = train(tmp_path, WithArguments(Logs()), epochs=2)
    found = read(folder)
    assert set(found.logs.signals) == {"train_loss", "val_loss"}
    assert "cannot be read as a checkpoint of weights and plain values" in found.logs.notes[0]


def test_one_epoch_only_is_a_note(tmp_path):
    folder = train(tmp_path, save_top_k=1, save_last=True)
    found = read(folder)
    assert set(found.logs.signals) == {"train_loss", "val_loss"}
    assert "checkpoints of epoch 5 only" in found.logs.notes[0]


def truncated(file):
    file.write_bytes(file.read_bytes()[:500])


def sharded(file):
    file.unlink()
    file.mkdir()
    (file / ".metadata").write_bytes(b"")


OTHER = {
    "truncated": (truncated, "cannot be read as a checkpoint"),
    "empty": (lambda file: file.write_bytes(b""), "cannot be read as a checkpoint"),
    "no checkpoint": (lambda file: file.write_text("hello"), "cannot be read as a checkpoint"),
    "git-lfs": (lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\noid 1\n"), "git-lfs"),
    "sharded": (sharded, "is a folder: a sharded checkpoint is not read"),
    "another tool's": (lambda file: torch.save({"model": {}, "epoch": 3}, file), "no checkpoint of Lightning"),
    "weights alone": (lambda file: torch.save({"w": torch.ones(2, 2)}, file), "no checkpoint of Lightning"),
    "a tensor": (lambda file: torch.save(torch.ones(3), file), "no checkpoint of Lightning"),
    "no matrix": (
        lambda file: torch.save({"epoch": 3, "state_dict": {"b": torch.ones(2)}}, file),
        "no weight matrices",
    ),
    "another model": (
        lambda file: torch.save({"epoch": 3, "state_dict": {"w": torch.ones(2, 2)}}, file),
        "is of another model",
    ),
}


@pytest.mark.parametrize("kind", OTHER)
def test_one_checkpoint_that_cannot_be_used_is_left_out_with_a_note(copy, kind):
    spoil, reason = OTHER[kind]
    files = sorted((copy / "checkpoints").iterdir())
    spoil(files[3])
    found = read(copy)
    expected = truth([*files[:3], *files[4:]])
    assert found.logs.signals["layer_rotation"] == pytest.approx(expected, abs=1e-6)
    assert set(found.logs.signals) == {"train_loss", "val_loss", "layer_rotation"}
    (note,) = [note for note in found.logs.notes if "left out" in note]
    assert "Of 6 checkpoints 1 are left out" in note
    assert reason in note


@pytest.mark.parametrize("kind", OTHER)
def test_a_log_is_read_although_no_checkpoint_beside_it_can_be_used(copy, kind):
    spoil, reason = OTHER[kind]
    for file in (copy / "checkpoints").iterdir():
        spoil(file)
    found = read(copy)
    assert set(found.logs.signals) == {"train_loss", "val_loss"}
    assert found.logs.epochs == EPOCHS
    assert "say nothing about layer rotation" in found.logs.notes[0]
    assert (reason if kind != "another model" else "of epoch 3 only") in found.logs.notes[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_checkpoint_that_may_not_be_read_is_a_note(copy):
    for file in (copy / "checkpoints").iterdir():
        file.chmod(0)
    assert set(read(copy).logs.signals) == {"train_loss", "val_loss"}


def test_a_checkpoint_of_a_longer_run_in_the_same_folder_makes_no_run_longer(copy, tmp_path):
    longer = train(tmp_path / "longer", epochs=9)
    for file in list((longer / "checkpoints").iterdir())[-3:]:
        shutil.copy(file, copy / "checkpoints" / f"old-{file.name}")
    found = read(copy)
    assert found.logs.epochs == EPOCHS
    assert max(found.logs.signals["layer_rotation"]) < EPOCHS


def test_checkpoints_whose_steps_are_not_those_of_the_log_are_of_another_run(copy, tmp_path):
    other = train(tmp_path / "other", samples=40)
    expected = truth((copy / "checkpoints").iterdir())
    for file in (other / "checkpoints").iterdir():
        shutil.copy(file, copy / "checkpoints" / f"old-{file.name}")
    found = read(copy)
    assert found.logs.signals["layer_rotation"] == pytest.approx(expected, abs=1e-6)
    assert any("another run: it does not fit the log" in note for note in found.logs.notes)


def test_of_two_models_the_one_with_most_epochs_counts(tmp_path):
    for epoch in range(4):
        state = {"w": torch.eye(2) + epoch * torch.ones(2, 2)}
        torch.save({"epoch": epoch, "state_dict": state}, tmp_path / f"a{epoch}.ckpt")
    for epoch in range(2):
        torch.save({"epoch": epoch, "state_dict": {"w": torch.ones(3, 2)}}, tmp_path / f"0{epoch}.ckpt")
    found = read(tmp_path)
    assert found.logs.signals["layer_rotation"].keys() == {0, 1, 2, 3}
    assert "Of 6 checkpoints 2 are left out" in found.logs.notes[-1]
