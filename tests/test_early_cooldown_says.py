"""What EarlyCooldown says while it runs: how far the decision is, a rate that falls, a run that nothing ends."""

import csv
import math
import warnings

import lightning as L
import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import CSVLogger
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, IterableDataset

from lightning_critperiod import (
    AtEpoch,
    Budget,
    Cooldown,
    CriticalPeriodCallback,
    EarlyCooldown,
    MonitoredMetric,
    Patient,
    Plateau,
    Recipe,
    ValidateSparsely,
    Worthwhile,
)
from lightning_critperiod.rules.outlook import outlook


class Curve(TinyModel):
    """Logs a given function of the epoch as val_acc."""

    def __init__(self, value=lambda epoch: 1 - 2.0 ** -min(epoch, 8), **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", self.value(self.current_epoch), batch_size=1)


def fit(tmp_path, callback, *others, model=None, **arguments):
    L.seed_everything(1, verbose=False)
    trainer = make_trainer(tmp_path, [callback, *others], **{"max_epochs": -1, **arguments})
    trainer.fit(model or Curve(), TinyData(n=16))
    return trainer


def early(monitor="val_acc", **arguments):
    return EarlyCooldown(monitor, mode="max", **arguments)


def test_what_the_last_doubling_brought_and_the_most_to_come_are_logged_until_the_rule_fires(tmp_path):
    callback, logger = early(), CSVLogger(tmp_path)
    fit(tmp_path, callback, logger=logger, log_every_n_steps=1)
    with open(logger.experiment.metrics_file_path) as file:
        rows = list(csv.DictReader(file))
    for name, expected in (("last_doubling", lambda now: now.gain), ("at_most_to_come", lambda now: now.limit)):
        key = f"critical_period/{name}"
        logged = {int(row["epoch"]): float(row[key]) for row in rows if row[key]}
        found = {e: outlook({o: callback.history[o] for o in range(e + 1)}, "max") for e in range(callback.end_epoch)}
        assert logged == pytest.approx({e: expected(now) for e, now in found.items() if now is not None}, abs=1e-6)
        assert set(logged) == set(range(10, callback.end_epoch))
    below = [epoch for epoch, most in logged.items() if most < callback.min_gain]
    assert below == [callback.end_epoch - 1]


def test_a_rule_that_asks_another_one_logs_and_draws_what_that_goes_by():
    history = {epoch: math.sqrt(epoch) for epoch in range(20)}
    rule = Worthwhile(0.1, "max")
    assert Patient(rule, 2).progress(history, None) == rule.progress(history, None) != {}
    assert Patient(rule, 2).course(history, None) == rule.course(history, None) != {}
    assert Plateau().progress(history, None) == {}


def messages(text, tmp_path, callback, *others, **arguments):
    """The warnings with this text in a run, and its trainer."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        trainer = fit(tmp_path, callback, *others, **arguments)
    return [str(each.message) for each in found if text in str(each.message)], trainer


RATE = "expects a constant learning rate"
DECAY = {
    "CosineAnnealingLR": lambda o, _: lr_scheduler.CosineAnnealingLR(o, T_max=20),
    "OneCycleLR": lambda o, total: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=total),
    "StepLR": lambda o, _: lr_scheduler.StepLR(o, step_size=1000),
}


@pytest.mark.parametrize("name", DECAY)
def test_a_schedule_that_is_known_to_decay_is_said_before_the_first_step(tmp_path, name):
    model = Curve(scheduler=DECAY[name])
    with pytest.raises(UserWarning, match=rf"{RATE}, but {name} lets it decay.*Leave the decay out"):
        fit(tmp_path, early(), model=model, max_epochs=9)
    assert not model.samples


class Reduces(Curve):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_acc"}}


def test_reduce_on_plateau_is_said_once_and_the_run_goes_on(tmp_path):
    found, trainer = messages(RATE, tmp_path, early(), model=Reduces(), max_epochs=4)
    (message,) = found
    assert "but ReduceLROnPlateau lets it decay" in message
    assert trainer.current_epoch == 4


def warm_up(optimizer, _):
    return lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=6)


def linear(optimizer, total):
    return lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)


def warm_up_and_decay(optimizer, total):
    after = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=10)
    return lr_scheduler.SequentialLR(optimizer, [warm_up(optimizer, total), after], milestones=[4])


def warm_up_and_stay(optimizer, total):
    stays = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return lr_scheduler.SequentialLR(optimizer, [warm_up(optimizer, total), stays], milestones=[6])


@pytest.mark.parametrize("schedule", [linear, warm_up_and_decay])
def test_any_other_decay_is_said_once_as_soon_as_the_rate_is_seen_to_have_fallen(tmp_path, schedule):
    (message,), _ = messages(RATE, tmp_path, early(), model=Curve(scheduler=schedule), max_epochs=9)
    assert "it fell from" in message
    assert "by epoch 1." in message  # what it was in epoch 0 is known only now


@pytest.mark.parametrize("schedule", [None, warm_up, warm_up_and_stay])
def test_of_a_constant_rate_a_warm_up_and_the_cooldown_itself_nothing_is_said(tmp_path, schedule):
    assert messages(RATE, tmp_path, early(), model=Curve(scheduler=schedule), max_epochs=7)[0] == []


NO_END = "Nothing ends this run"


class Asks(Callback):
    """Creates the file that the warning names, in some epoch."""

    def __init__(self, folder, epoch):
        self.folder, self.epoch = folder, epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            (self.folder / "cool_down").touch()


def test_a_metric_that_nobody_logs_made_a_run_without_an_end_after_one_warning_only(tmp_path):
    """With the sanity check off the name can't be checked before the first batch."""
    arguments = {"num_sanity_val_steps": 0}
    found, trainer = messages(NO_END, tmp_path, early("val_akk"), Asks(tmp_path, 18), **arguments)
    said = [text.partition(" of val_akk so far, in ")[2].partition(".")[0] for text in found]
    assert said == ["1 epoch", "2 epochs", "4 epochs", "8 epochs", "16 epochs"]
    assert all(f"create the file {tmp_path / 'cool_down'}." in text for text in found)
    assert trainer.current_epoch == 23
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0


def test_a_metric_that_is_not_finite_any_more_is_said_when_half_of_the_run_had_none(tmp_path):
    model = Curve(lambda epoch: epoch / 100 if epoch < 5 else math.nan)
    found, _ = messages(NO_END, tmp_path, early(), Asks(tmp_path, 33), model=model)
    assert [text.partition(" of val_acc ")[2].partition(" epochs")[0] for text in found] == [
        "since epoch 4, in 11",
        "since epoch 4, in 27",
    ]


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield 0, torch.ones(4), 1


def test_a_stream_without_an_end_had_no_cooldown_and_nobody_said_so(tmp_path):
    """Steps end such a run in its first epoch."""
    data = DataLoader(Endless(), batch_size=4)

    def said(**arguments):
        model = Curve()
        model.train_dataloader, model.val_dataloader = (lambda: data), TinyData().val_dataloader
        trainer = make_trainer(tmp_path, [early()], max_epochs=-1, max_steps=12, **arguments)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            trainer.fit(model)
        texts = [str(each.message) for each in found]
        return [any(part in text for text in texts) for part in (NO_LENGTH, NO_DECAY)], trainer

    assert said(val_check_interval=4)[0] == [True, True]
    found, trainer = said(limit_train_batches=2)
    assert found == [False, False]
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0


NO_LENGTH, NO_DECAY = "Give limit_train_batches=N", "such as max_steps in an epoch of unknown length"


def by_metric(rule, **cooldown):
    return CriticalPeriodCallback(MonitoredMetric("val_akk"), rule, Recipe(cooldown=Cooldown(**cooldown)))


@pytest.mark.parametrize(
    ("callback", "others", "arguments"),
    [
        (early, [], {"check_val_every_n_epoch": 3}),
        (early, [ValidateSparsely(factor=2)], {}),
        (lambda: early("val_akk"), [], {"max_epochs": 5}),
        (lambda: early("val_akk"), [], {"max_steps": 20}),
        (lambda: early("val_akk", budget=Budget(hours=0.5 / 3600)), [], {}),
        (lambda: early("val_akk"), [], {"max_time": {"seconds": 1}}),
        (lambda: by_metric(AtEpoch(3)), [], {}),
        (lambda: by_metric(Plateau(patience=2, mode="max")), [EarlyStopping("val_acc", mode="max", patience=3)], {}),
    ],
    ids=["seldom", "sparsely", "max_epochs", "max_steps", "budget", "max_time", "no signal", "early stopping"],
)
def test_in_a_run_that_something_ends_or_that_validates_seldom_it_is_not_said(tmp_path, callback, others, arguments):
    asks = [Asks(tmp_path, 20)] if "check_val_every_n_epoch" in arguments or others else []
    model = Curve(lambda epoch: float(min(epoch, 2)))
    arguments = {"num_sanity_val_steps": 0, **arguments}
    assert messages(NO_END, tmp_path, callback(), *others, *asks, model=model, **arguments)[0] == []
