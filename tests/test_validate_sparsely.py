"""Fewer validations and the same weights."""

import hashlib

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyModel, make_trainer, weights
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, RichProgressBar, TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader

from lightning_critperiod import (
    AtEpoch,
    Cooldown,
    CriticalPeriodCallback,
    EarlyCooldown,
    Never,
    Recipe,
    ValidateSparsely,
    Volume,
)
from lightning_critperiod.rules.worthwhile import Worthwhile

GRID = [1, 2, 3, 4, 6, 8, 12, 18, 26]  # powers of 1.5, rounded up


class Drops(TinyModel):
    """Draws random numbers in every training step."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))


class Samples(Drops):
    """Draws in validation: a number that is no seed."""

    def validation_step(self, batch, batch_idx):
        if batch_idx == 0:
            torch.rand(3)
        super().validation_step(batch, batch_idx)


class Data(L.LightningDataModule):
    def __init__(self, loaders=1, **val):
        super().__init__()
        self.loaders, self.val = loaders, val

    def train_dataloader(self):
        return DataLoader(Numbered(17), batch_size=4, shuffle=True)

    def val_dataloader(self):
        loaders = [DataLoader(Numbered(8), batch_size=4, **self.val) for _ in range(self.loaders)]
        return loaders[0] if self.loaders == 1 else loaders


class Two(Drops):
    def validation_step(self, batch, batch_idx, dataloader_idx):
        super().validation_step(batch, batch_idx)


def fit(tmp_path, *callbacks, model=None, data=None, **arguments):
    L.seed_everything(1, verbose=False)
    model = (model or Drops)()
    saves = any(isinstance(other, ModelCheckpoint) for other in callbacks)
    trainer = make_trainer(tmp_path, callbacks, **{"max_epochs": 9, "enable_checkpointing": saves, **arguments})
    trainer.fit(model, data or Data())
    return trainer, model


def digest(model):
    return hashlib.sha256(weights(model).numpy().tobytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:Your `val_dataloader`'s sampler has shuffling enabled")
@pytest.mark.parametrize(
    ("model", "data"),
    [(Drops, {}), (Drops, {"shuffle": True}), (Two, {"loaders": 2}), (Drops, {"num_workers": 1})],
    ids=["plain", "shuffled", "two loaders", "workers"],
)
def test_the_weights_are_those_of_the_run_with_all_validations(tmp_path, model, data):
    _, every = fit(tmp_path, model=model, data=Data(**data))
    _, sparse = fit(tmp_path, ValidateSparsely(factor=1.5), model=model, data=Data(**data))
    assert set(every.validations) == set(range(9))
    assert [epoch + 1 for epoch in sorted(set(sparse.validations))] == [1, 2, 3, 4, 6, 8, 9]  # the last one, too
    assert digest(sparse) == digest(every)
    assert sparse.samples == every.samples


def test_a_validation_that_draws_by_itself_is_said(tmp_path):
    with pytest.warns(UserWarning, match="not bit-identical"):
        fit(tmp_path, ValidateSparsely(), model=Samples)


def test_the_grid():
    sparse = ValidateSparsely(factor=1.5)
    assert [n for n in range(1, 33) if sparse.is_on_grid(n)] == GRID
    assert [n for n in range(1, 65) if ValidateSparsely(factor=2).is_on_grid(n)] == [1, 2, 4, 8, 16, 32, 64]


def test_the_default_leaves_worthwhile_its_measurements():
    sparse, rule = ValidateSparsely(), Worthwhile(min_gain=0.01, mode="max")
    for finished in range(12, 400):
        history = {n - 1: 1 - 1.0 / n for n in range(1, finished + 1) if sparse.is_on_grid(n)}
        assert "rarely" not in rule.why(history, None)
    assert len(history) < 80


def test_all_epochs_of_a_cooldown_are_validated(tmp_path):
    callback = CriticalPeriodCallback(rule=AtEpoch(12), recipe=Recipe(after=Volume(), cooldown=Cooldown()))
    _, model = fit(tmp_path, callback, ValidateSparsely(factor=2), max_epochs=-1)
    assert model.validations == [0, 1, 3, 7, 12, 13, 14]


def test_a_planned_cooldown_is_validated(tmp_path):
    callback = CriticalPeriodCallback(rule=Never(), recipe=Recipe(after=Volume(), cooldown=Cooldown()))
    _, model = fit(tmp_path, ValidateSparsely(factor=2), callback, max_epochs=14)
    assert model.validations == [0, 1, 3, 7, 11, 12, 13]


@pytest.mark.parametrize("bar", [TQDMProgressBar, RichProgressBar])
def test_with_early_cooldown_and_progress_bars(tmp_path, bar, caplog):
    callback = EarlyCooldown("val_loss", mode="min", min_gain=1e-9)
    trainer, model = fit(tmp_path, callback, ValidateSparsely(), bar(), max_epochs=40, enable_progress_bar=True)
    assert callback.final_weights
    assert len(model.validations) < trainer.current_epoch + 1
    assert set(callback.history) == set(model.validations)
    assert "ValidateSparsely leaves val_loss fewer measurements: Worthwhile" in caplog.text


def test_several_validations_within_an_epoch_that_is_due(tmp_path):
    _, model = fit(tmp_path, ValidateSparsely(factor=2), max_epochs=4, val_check_interval=0.5)
    assert model.validations == [0, 0, 1, 1, 3, 3]


def test_a_run_that_is_told_to_stop_is_validated(tmp_path):
    class Stops(L.Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.current_epoch == 6

    _, model = fit(tmp_path, ValidateSparsely(factor=2), Stops())
    assert model.validations == [0, 1, 3, 6]


def test_max_steps_ends_with_a_validation(tmp_path):
    _, model = fit(tmp_path, ValidateSparsely(factor=2), max_epochs=-1, max_steps=35)
    assert model.validations == [0, 1, 3, 6]


def test_checkpoints_without_a_metric_are_saved_after_every_epoch(tmp_path):
    fit(tmp_path, ValidateSparsely(factor=2), ModelCheckpoint(tmp_path, save_top_k=-1))
    assert len(list(tmp_path.glob("*.ckpt"))) == 9


@pytest.mark.parametrize(
    "other",
    [EarlyStopping("val_loss"), ModelCheckpoint(monitor="val_loss")],
    ids=["EarlyStopping", "ModelCheckpoint"],
)
def test_what_reads_the_metric_of_epochs_without_a_validation_is_refused(tmp_path, other):
    with pytest.raises(ValueError, match=rf"{type(other).__name__}\(monitor='val_loss'\) .*_on_train_epoch_end=False"):
        fit(tmp_path, ValidateSparsely(), other)


def test_what_acts_after_validations_only_goes_with_it(tmp_path):
    stopping = EarlyStopping("val_loss", patience=50, check_on_train_epoch_end=False)
    saves = ModelCheckpoint(tmp_path, monitor="val_loss", save_on_train_epoch_end=False, save_top_k=-1)
    fit(tmp_path, ValidateSparsely(factor=2), stopping, saves)
    assert len(list(tmp_path.glob("*.ckpt"))) == 5  # epochs 0, 1, 3, 7, 8


class OnPlateau(Drops):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"}}


def test_reduce_on_plateau_is_refused_before_the_first_batch(tmp_path):
    with pytest.raises(ValueError, match="cannot be combined with ReduceLROnPlateau"):
        fit(tmp_path, ValidateSparsely(), model=OnPlateau)


def test_nothing_of_it_stays(tmp_path):
    trainer, _ = fit(tmp_path, ValidateSparsely())
    assert "run" not in vars(trainer.fit_loop.epoch_loop.val_loop)


@pytest.mark.parametrize("factor", [1, 2.5, -1, float("nan")])
def test_a_factor_out_of_range_is_refused(factor):
    with pytest.raises(ValueError, match="factor must be a number above 1 to 2"):
        ValidateSparsely(factor)
