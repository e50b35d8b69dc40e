"""A cooldown after the switch, whatever else the Trainer was given: the rate of each step, validations, the end."""

import dataclasses
import math

import pytest
import torch
from conftest import make_trainer
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    StochasticWeightAveraging,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.tuner import Tuner
from outside import EPOCHS, RECIPES, Witness, epochs_of, loaders, rates_of, run, validations_of
from test_trainer_arguments import CASES, ROWS
from torch import nn
from torch.optim import lr_scheduler

from lightning_critperiod import AtEpoch, Cooldown, CriticalPeriodCallback, MonitoredMetric

START, LENGTH = 2, 3


def callback(case):
    recipe = dataclasses.replace(RECIPES[case], cooldown=Cooldown())
    return CriticalPeriodCallback(MonitoredMetric("train_loss"), AtEpoch(START), recipe)


class Rates(Witness):
    """Records the rate that every optimizer step is taken with."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.taken = {}

    def on_before_optimizer_step(self, optimizer):
        self.taken.setdefault(self.current_epoch, []).append(optimizer.param_groups[0]["lr"])


def decayed(batches, base, accumulate=1):
    """Epoch -> rates of the cooldown, one step after the other."""
    rates = {}
    for epoch in range(START, START + LENGTH):
        steps = math.ceil(batches[epoch] / accumulate)
        parts = [(epoch - START + step / steps) / LENGTH for step in range(steps)]
        rates[epoch] = [base * (1 - math.sqrt(part)) for part in parts]
    return rates


def assert_cools_down(model, batches, accumulate=1, base=None):
    assert model.batches == batches[: START + LENGTH]
    base = rates_of(batches, accumulate)[START - 1] if base is None else base
    for epoch, rates in decayed(batches, base, accumulate).items():
        assert model.taken[epoch] == pytest.approx(rates, rel=1e-9, abs=1e-12)


@CASES
@pytest.mark.parametrize("arguments", ROWS.values(), ids=ROWS)
@pytest.mark.filterwarnings("ignore:limit_train_batches=5 cuts every epoch.*")
def test_a_trainer_argument(tmp_path, case, arguments):
    model = Rates()
    data = loaders(shuffle="overfit_batches" not in arguments)
    trainer = run(tmp_path, case, model, data, own=callback(case), **arguments)
    limit = arguments.get("limit_train_batches", arguments.get("overfit_batches", 1.0))
    batches = epochs_of(case, limit=limit)[: START + LENGTH]
    keys = ("val_check_interval", "check_val_every_n_epoch")
    validations = validations_of(batches, **{key: arguments[key] for key in keys if key in arguments})
    assert model.validations == (validations if arguments.get("limit_val_batches") != 0 else [])
    assert_cools_down(model, batches, arguments.get("accumulate_grad_batches", 1))
    assert trainer.current_epoch == START + LENGTH
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0


OTHERS = {
    "EarlyStopping": lambda folder: EarlyStopping("val_loss", patience=9),
    "ModelCheckpoint": lambda folder: ModelCheckpoint(folder / "saved", monitor="val_loss", save_top_k=-1),
    "StochasticWeightAveraging": lambda folder: StochasticWeightAveraging(swa_lrs=0.01),
    "TQDMProgressBar": lambda folder: TQDMProgressBar(),
    "RichProgressBar": lambda folder: RichProgressBar(),
}


@CASES
@pytest.mark.filterwarnings("ignore:SWA is currently only supported every epoch")
@pytest.mark.filterwarnings("ignore:StochasticWeightAveraging uses its average only after max_epochs")
@pytest.mark.parametrize("name", OTHERS)
def test_beside(tmp_path, case, name):
    model, other = Rates(), OTHERS[name](tmp_path)
    arguments = {"enable_checkpointing": name == "ModelCheckpoint", "enable_progress_bar": "Bar" in name}
    run(tmp_path, case, model, loaders(), other, own=callback(case), **arguments)
    assert_cools_down(model, epochs_of(case))
    assert model.validations == validations_of(epochs_of(case)[: START + LENGTH])


@CASES
def test_the_learning_rate_monitor_shows_it(tmp_path, case):
    model, logger = Rates(), CSVLogger(tmp_path)
    monitor = LearningRateMonitor(logging_interval="step")
    run(tmp_path, case, model, loaders(), monitor, own=callback(case), logger=logger, log_every_n_steps=1)
    rows = (line.split(",") for line in (tmp_path / "lightning_logs/version_0/metrics.csv").read_text().splitlines())
    names = next(rows)
    shown = [float(row[names.index("lr-SGD")]) for row in rows if row[names.index("lr-SGD")]]
    expected = [rate for rates in decayed(epochs_of(case), model.taken[START][0]).values() for rate in rates]
    assert shown[-len(expected) :] == pytest.approx(expected, abs=1e-12)


@CASES
def test_accumulation_that_changes_in_it(tmp_path, case):
    model = Rates()
    run(tmp_path, case, model, loaders(), GradientAccumulationScheduler({0: 1, START: 2}), own=callback(case))
    assert_cools_down(model, epochs_of(case), accumulate=2, base=model.taken[START][0])


SCHEDULES = {
    "OneCycleLR": lambda optimizer, steps: lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=1000),
    "CosineAnnealingLR": lambda optimizer, steps: lr_scheduler.CosineAnnealingLR(optimizer, T_max=100),
    "LinearLR, a warm-up": lambda optimizer, steps: lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=12),
}


@CASES
@pytest.mark.filterwarnings("ignore:.*`OneCycleLR` scheduler is using .interval.*")
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scheduler_is_paused(tmp_path, case, name, interval):
    model = Rates(scheduler=SCHEDULES[name], interval=interval)
    run(tmp_path, case, model, loaders(), own=callback(case))
    assert_cools_down(model, epochs_of(case), base=model.taken[START][0])


@CASES
def test_reduce_lr_on_plateau_is_paused(tmp_path, case):
    class Plateau(Rates):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
            scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1.0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}

    model = Plateau()
    run(tmp_path, case, model, loaders(), own=callback(case))
    assert_cools_down(model, epochs_of(case), base=model.taken[START][0])


@CASES
def test_two_optimizers_under_manual_optimization(tmp_path, case):
    class ByHand(Rates):
        automatic_optimization = False

        def training_step(self, batch, batch_idx):
            loss = self.loss(batch)
            self.log("train_loss", loss)
            self.manual_backward(loss)
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()

        def on_train_batch_end(self, *_):
            """Two optimizers have no one rate to record."""

        def configure_optimizers(self):
            return [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in (self.net[0], self.net[2])]

    model = ByHand(scheduler=None)
    trainer = run(tmp_path, case, model, loaders(), own=callback(case))
    twice = {
        epoch: [rate for rate in rates for _ in range(2)] for epoch, rates in decayed(epochs_of(case), 0.05).items()
    }
    for epoch, rates in twice.items():
        assert model.taken[epoch] == pytest.approx(rates, rel=1e-9, abs=1e-12)
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0, 0]


@CASES
def test_after_the_learning_rate_finder(tmp_path, case):
    model, own = Rates(scheduler=None), callback(case)
    model.lr = 0.05
    trainer = make_trainer(tmp_path, [own], max_epochs=EPOCHS)
    Tuner(trainer).lr_find(model, **loaders(), num_training=10, update_attr=False)
    model.taken.clear()
    trainer.fit(model, **loaders())
    for epoch, rates in decayed(epochs_of(case), 0.05).items():
        assert model.taken[epoch] == pytest.approx(rates, rel=1e-9, abs=1e-12)


class Backbone(Rates):
    def __init__(self):
        super().__init__(scheduler=None)
        self.backbone, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
        self.net = nn.Sequential(self.backbone, self.head)

    def configure_optimizers(self):
        return torch.optim.SGD(self.head.parameters(), lr=0.05)


@CASES
def test_a_parameter_group_that_is_added_before_it_cools_down_too(tmp_path, case):
    model = Backbone()
    finetuning = BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=0.01, verbose=False)
    trainer = run(tmp_path, case, model, loaders(), finetuning, own=callback(case))
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [0, 0]


@CASES
def test_a_parameter_group_that_is_added_in_it_has_its_own_rate_decayed(tmp_path, case):
    class Late(BackboneFinetuning):
        def finetune_function(self, pl_module, epoch, optimizer):
            if epoch == START + 1:
                self.unfreeze_and_add_param_group(pl_module.backbone, optimizer, 0.01)

    model = Backbone()
    trainer = run(tmp_path, case, model, loaders(), Late(unfreeze_backbone_at_epoch=9), own=callback(case))
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [0, 0]
