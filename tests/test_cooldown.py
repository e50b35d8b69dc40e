"""The learning rate of each step of a cooldown, and the end of the run. Truth: the formula, step by step, by hand."""

import math

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, IterableDataset

from lightning_critperiod import (
    AtEpoch,
    Cooldown,
    CriticalPeriodCallback,
    Guard,
    MonitoredMetric,
    Never,
    Phased,
    Recipe,
    Volume,
)

LR = 0.05


class Steps(Callback):
    """The rate with which every optimizer step is taken: epoch -> list, for each optimizer."""

    def __init__(self, index=0):
        self.rates, self.index = {}, index

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        return

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if optimizer is trainer.optimizers[self.index]:
            self.rates.setdefault(trainer.current_epoch, []).append(float(optimizer.param_groups[0]["lr"]))


SHORT = Cooldown(min_epochs=2)


def drive(rule, cooldown=SHORT, **recipe):
    recipe = {"after": Volume(), "annealing_fraction": 0, **recipe}
    return CriticalPeriodCallback(MonitoredMetric("val_loss"), rule, Recipe(cooldown=cooldown, **recipe))


def fit(tmp_path, model, callback, *others, data=None, ckpt_path=None, **arguments):
    L.seed_everything(1, verbose=False)
    steps = Steps()
    trainer = make_trainer(tmp_path, [callback, *others, steps], **{"max_epochs": -1, **arguments})
    trainer.fit(model, TinyData() if data is None else data, ckpt_path=ckpt_path)
    return trainer, steps


def expected(epochs, per_epoch, shape=math.sqrt, rate=LR):
    total = epochs * per_epoch
    flat = [rate * (1 - shape(step / total)) for step in range(total)]
    return [flat[i : i + per_epoch] for i in range(0, total, per_epoch)]


def close(rates, truth):
    assert len(rates) == len(truth)
    for got, wanted in zip(rates, truth, strict=True):
        assert got == pytest.approx(wanted, rel=0, abs=1e-12)


@pytest.mark.parametrize("shape", ["sqrt", "linear"])
@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_each_step_has_the_rate_of_the_formula_and_then_the_run_ends(tmp_path, shape, accumulate):
    callback = drive(AtEpoch(3), Cooldown(min_epochs=2, shape=shape))
    trainer, steps = fit(tmp_path, TinyModel(), callback, accumulate_grad_batches=accumulate)
    n = -(-9 // accumulate)
    formula = math.sqrt if shape == "sqrt" else lambda u: u
    close(list(steps.rates.values()), [[LR] * n] * 3 + expected(2, n, formula))
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert (trainer.current_epoch, callback.cooldown_epoch, callback.last_epoch) == (5, 3, 4)
    assert trainer.max_epochs == -1  # as it was


@pytest.mark.parametrize(("finished", "length"), [(1, 3), (15, 3), (16, 4), (20, 4), (21, 5), (100, 20)])
def test_its_length_is_a_part_of_the_epochs_so_far_and_not_less_than_min_epochs(finished, length):
    assert Cooldown(fraction=0.2, min_epochs=3).epochs(finished) == length


@pytest.mark.parametrize("max_epochs", range(1, 12))
def test_without_a_trigger_it_begins_in_time_for_max_epochs(tmp_path, max_epochs):
    cooldown = Cooldown(fraction=0.3, min_epochs=2)
    callback = drive(Never(), cooldown)
    trainer, steps = fit(tmp_path, TinyModel(), callback, max_epochs=max_epochs)
    fitting = [c for c in range(max_epochs) if c + cooldown.epochs(c) <= max_epochs]
    start = max(fitting, default=0)
    assert callback.cooldown_epoch == start == cooldown.start(max_epochs)
    close(list(steps.rates.values()), [[LR] * 9] * start + expected(max_epochs - start, 9))
    assert trainer.current_epoch == max_epochs


def test_max_steps_ends_the_run_in_mid_epoch_at_a_rate_of_zero(tmp_path):
    callback = drive(Never(), Cooldown(fraction=0.2, min_epochs=1))
    trainer, steps = fit(tmp_path, TinyModel(), callback, max_epochs=None, max_steps=32)
    taken = [rate for epoch in steps.rates.values() for rate in epoch]
    assert trainer.global_step == len(taken) == 32
    first = callback.cooldown_epoch * 9
    close([taken], [[LR] * first + expected(1, 32 - first)[0]])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


SCHEDULERS = {
    "OneCycle": lambda o, _: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=1000),
    "cosine": lambda o, _: lr_scheduler.CosineAnnealingLR(o, T_max=100),
    "warm-up": lambda o, _: lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=12),
}


@pytest.mark.filterwarnings("ignore:.*`OneCycleLR` scheduler is using .interval.*")
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_users_schedulers_stand_still_and_so_does_the_momentum(tmp_path, name, interval):
    class Momentum(TinyModel):
        def on_train_batch_end(self, *_):
            self.momenta.setdefault(self.current_epoch, []).append(self.optimizers().param_groups[0]["momentum"])

    callback = drive(AtEpoch(3))
    model = Momentum(scheduler=SCHEDULERS[name], interval=interval)
    model.momenta = {}
    trainer, steps = fit(tmp_path, model, callback)
    at_start = steps.rates[3][0]
    close([steps.rates[3], steps.rates[4]], expected(2, 9, rate=at_start))
    assert set(model.momenta[3] + model.momenta[4]) == {model.momenta[2][-1]}
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == (27 if interval == "step" else 3)


def test_reduce_on_plateau_stands_still(tmp_path):
    class Plateau(TinyModel):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=LR)
            scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, mode="max")
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}

    callback = drive(AtEpoch(2))
    _, steps = fit(tmp_path, Plateau(), callback)
    close([steps.rates[2], steps.rates[3]], expected(2, 9, rate=steps.rates[2][0]))


class ByHand(TinyModel):
    """Manual optimization of two optimizers, the module steps a scheduler of its own after every batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        self.lr_schedulers().step()

    def on_train_batch_end(self, *_):
        pass

    def configure_optimizers(self):
        first = torch.optim.SGD(self.net[0].parameters(), lr=LR)
        second = torch.optim.SGD(self.net[2].parameters(), lr=2 * LR)
        return [first, second], [lr_scheduler.ExponentialLR(first, gamma=0.99)]


def test_manual_optimization_with_two_optimizers_and_a_scheduler_of_its_own(tmp_path):
    second = Steps(index=1)
    _, first = fit(tmp_path, ByHand(), drive(AtEpoch(2)), second)
    close([first.rates[2], first.rates[3]], expected(2, 9, rate=LR * 0.99**18))
    close([second.rates[2], second.rates[3]], expected(2, 9, rate=2 * LR))


def test_a_rate_that_is_a_tensor_stays_that_tensor(tmp_path):
    class Capturable(TinyModel):
        def configure_optimizers(self):
            self.rate = torch.tensor(LR)
            return torch.optim.Adam(self.parameters(), lr=self.rate, capturable=False, foreach=False)

    model = Capturable()
    trainer, steps = fit(tmp_path, model, drive(AtEpoch(2)))
    assert trainer.optimizers[0].param_groups[0]["lr"] is model.rate
    assert steps.rates[3] == pytest.approx(expected(2, 9)[1], abs=1e-7)


class Stream(IterableDataset):
    def __iter__(self):
        return (Numbered(33)[i] for i in range(33))


class StreamData(L.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Stream(), batch_size=4)

    def val_dataloader(self):
        return DataLoader(Numbered(8), batch_size=4)


def test_a_loader_without_a_length_cools_down_by_the_batches_of_the_epoch_before(tmp_path):
    trainer, steps = fit(tmp_path, TinyModel(), drive(AtEpoch(3)), data=StreamData())
    close([steps.rates[3], steps.rates[4]], expected(2, 9))
    assert trainer.current_epoch == 5


def test_min_epochs_of_the_trainer_is_respected(tmp_path):
    callback = drive(AtEpoch(2))
    trainer, _ = fit(tmp_path, TinyModel(), callback, min_epochs=7)
    assert (callback.end_epoch, callback.cooldown_epoch, trainer.current_epoch) == (2, 5, 7)


def test_it_is_asked_for_by_a_method_or_by_a_file(tmp_path):
    class Asks(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                self.ask()

    for by_file in (False, True):
        callback, asks = drive(Never()), Asks()
        asks.ask = (tmp_path / "cool_down").touch if by_file else callback.cool_down
        trainer, _ = fit(tmp_path, TinyModel(), callback, asks)
        assert (callback.cooldown_epoch, trainer.current_epoch) == (4, 6)
        assert "a cooldown was requested" in callback.reason


def test_volume_phased_and_guard_go_with_it_and_the_guard_does_not_take_the_cooldown_back(tmp_path):
    class Model(TinyModel):
        alpha = 1.0

        def on_validation_epoch_end(self):
            if not self.trainer.sanity_checking:
                self.log("score", torch.tensor([0.5, 0.6, 0.3, 0.3, 0.3][self.current_epoch]))

        def training_step(self, batch, batch_idx):
            self.alphas.setdefault(self.current_epoch, self.alpha)
            return super().training_step(batch, batch_idx)

    model = Model()
    model.alphas = {}
    recipe = Recipe(
        after=Volume(pruning_ratio=0.5), changes=[Phased("alpha", after=0.0)], cooldown=Cooldown(min_epochs=3)
    )
    guard = Guard("score", max_drop=0.1, mode="max")
    callback = CriticalPeriodCallback(MonitoredMetric("val_loss"), AtEpoch(2), recipe, guard=guard)
    _, steps = fit(tmp_path, model, callback)
    assert [len(rates) for rates in steps.rates.values()] == [9, 9, 4, 9, 9]
    assert list(model.alphas.values()) == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert (callback.cooldown_epoch, callback.back_epoch, callback.last_epoch) == (2, 3, 4)
    within = [LR * (1 - math.sqrt((1 + step / 9) / 3)) for step in range(9)]
    close([steps.rates[3]], [within])


def test_a_run_without_an_end_knows_its_total_of_steps_once_the_cooldown_has_begun(tmp_path):
    class Reads(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            self.totals.append(trainer.estimated_stepping_batches)

    reads = Reads()
    reads.totals = []
    fit(tmp_path, TinyModel(), drive(AtEpoch(3)), reads)
    assert reads.totals == [math.inf] * 3 + [45, 45]


class Saves(Callback):
    """A checkpoint at every epoch's end and in the middle of every epoch."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch}.ckpt")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 4:
            trainer.save_checkpoint(self.folder / f"batch-{trainer.current_epoch}.ckpt")


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
def test_resumed_from_every_epoch_and_from_mid_epoch_it_is_bit_identical(tmp_path):
    def run(ckpt_path=None, callbacks=()):
        model = TinyModel(scheduler=SCHEDULERS["OneCycle"])
        callback = drive(AtEpoch(3), after=Volume(pruning_ratio=0.4))
        data = TinyData(shuffle=False)  # Lightning does not resume a shuffle before the switch
        _, steps = fit(tmp_path, model, callback, *callbacks, data=data, ckpt_path=ckpt_path)
        return model, callback, steps.rates

    whole, reference, rates = run(callbacks=[Saves(tmp_path)])
    names = [f"epoch-{epoch}" for epoch in range(4)] + ["batch-3", "batch-4"]
    for name in names:
        model, callback, again = run(tmp_path / f"{name}.ckpt")
        assert callback.reason == reference.reason, name
        assert (callback.cooldown_epoch, callback.last_epoch) == (3, 4), name
        tail = {epoch: values[-len(again[epoch]) :] for epoch, values in rates.items() if epoch in again}
        assert again == tail, name
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True)), name


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_the_checkpoint_of_the_moment_before_goes_on_at_the_full_rate(tmp_path):
    fit(tmp_path, TinyModel(), drive(AtEpoch(3)), enable_checkpointing=True)
    (kept,) = tmp_path.rglob("before_cooldown.ckpt")
    callback = drive(AtEpoch(3))
    trainer, steps = fit(tmp_path, TinyModel(), callback, ckpt_path=kept, max_epochs=9, enable_checkpointing=True)
    close(list(steps.rates.values()), [[LR] * 9] * 4 + expected(2, 9))
    assert (callback.cooldown_epoch, trainer.current_epoch) == (7, 9)


def test_a_rule_that_never_fires_in_a_run_without_a_cooldown_ends_nothing(tmp_path):
    callback = CriticalPeriodCallback(rule=Never(), recipe=Recipe())
    trainer, _ = fit(tmp_path, TinyModel(), callback, max_epochs=4)
    assert (trainer.current_epoch, callback.cooldown_epoch, callback.last_epoch) == (4, None, None)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (dict(fraction=0), ValueError, "fraction must be a number above 0 to 1, got 0"),
        (dict(fraction=1.5), ValueError, "fraction must be a number above 0 to 1, got 1.5"),
        (dict(min_epochs=0), ValueError, "min_epochs must be an int from 1 up, got 0"),
        (dict(shape="cosine"), ValueError, "shape must be one of"),
        (dict(budget=3), TypeError, "budget must be a Budget or None, got 3"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        Cooldown(**arguments)


def test_cool_down_without_a_cooldown_is_refused():
    with pytest.raises(ValueError, match="needs a recipe with a cooldown"):
        CriticalPeriodCallback(rule=Never()).cool_down()
