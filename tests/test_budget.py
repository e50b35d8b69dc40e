"""A cooldown that begins early enough to end inside a budget: what is spent is counted by hand."""

import time

import lightning as L
import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import (
    AtEpoch,
    Budget,
    Cooldown,
    CostMonitor,
    CriticalPeriodCallback,
    GrowingImages,
    Never,
    Phased,
    Recipe,
    Volume,
)

FULL = Volume()


class Spends(Callback):
    """Says, as CostMonitor does, what is spent: a price per batch, and one per validation."""

    def __init__(self, name="kwh", per_batch=1.0, per_validation=0.0):
        self.name, self.per_batch, self.per_validation, self.total = name, per_batch, per_validation, 0.0

    @property
    def spent(self):
        return {self.name: self.total}

    @property
    def state_key(self):
        return f"Spends {self.name}"

    def on_train_batch_end(self, *_):
        self.total += self.per_batch

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.total += self.per_validation

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


def drive(budget, rule=None, after=FULL, **cooldown):
    recipe = Recipe(after=after, cooldown=Cooldown(budget=budget, **cooldown))
    return CriticalPeriodCallback(rule=rule or Never(), recipe=recipe)


def fit(tmp_path, callback, *others, model=None, ckpt_path=None, **arguments):
    L.seed_everything(1, verbose=False)
    trainer = make_trainer(tmp_path, [*others, callback], **{"max_epochs": -1, **arguments})
    trainer.fit(model or TinyModel(), TinyData(), ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return trainer


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("kwh", "kWh"),
        ("co2_kg", "kg CO2"),
        ("money", "(money)"),
        ("samples", "samples"),
        ("flops", "FLOPs"),
    ],
)
def test_a_run_without_a_last_epoch_ends_inside_each_kind_of_limit(tmp_path, name, unit):
    spends = Spends(name)
    callback = drive(Budget(**{name: 100}))
    trainer = fit(tmp_path, callback, spends)
    # 9 an epoch: 11 epochs fit. The latest cooldown of 3 epochs that fits begins after 8.
    assert (callback.cooldown_epoch, trainer.current_epoch, spends.total) == (8, 11, 99)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert callback.reason.endswith(f"in time for the budget of 100 {unit}")
    assert callback.budget_limits == {name: 100}
    assert callback.budget_course == {name: [(epoch, 9 * (epoch + 1)) for epoch in range(11)]}


def test_a_longer_run_leaves_room_for_a_longer_cooldown(tmp_path):
    spends = Spends()
    callback = drive(Budget(kwh=9 * 30), fraction=0.5)
    trainer = fit(tmp_path, callback, spends)
    assert (callback.cooldown_epoch, trainer.current_epoch) == (20, 30)


def test_the_first_of_several_limits_counts_and_the_rule_may_be_earlier(tmp_path):
    def run(rule):
        callback = drive(Budget(kwh=1000, money=72), rule=rule)
        trainer = fit(tmp_path, callback, Spends(), Spends("money"))
        return callback.cooldown_epoch, trainer.current_epoch

    assert run(Never()) == (5, 8)
    assert run(AtEpoch(2)) == (2, 5)


def test_an_epoch_that_grows_dearer_in_the_cooldown_is_paid_for(tmp_path):
    """Half the volume before it, all of it in it."""
    recipe = Recipe(
        during=Volume(pruning_ratio=0.5), after=FULL, cooldown=Cooldown(budget=Budget(kwh=100)), annealing_fraction=0
    )
    callback, spends = CriticalPeriodCallback(rule=Never(), recipe=recipe), Spends()
    trainer = fit(tmp_path, callback, spends)
    # 4 an epoch, then 9: after 16 epochs 64 are spent, and ceil(0.2 x 16) = 4 cost 36.
    assert (callback.cooldown_epoch, trainer.current_epoch, spends.total) == (16, 20, 100)


def test_more_checkpoints_or_validations_are_in_the_price(tmp_path):
    callback, spends = drive(Budget(kwh=120)), Spends(per_validation=3)
    trainer = fit(tmp_path, callback, spends)
    assert (callback.cooldown_epoch, trainer.current_epoch, spends.total) == (7, 10, 120)


class Slows(Spends):
    def on_train_batch_end(self, trainer, *_):
        self.total += 1 + 0.5 * (trainer.current_epoch % 2)


def test_prices_that_vary_are_allowed_for(tmp_path):
    callback, spends = drive(Budget(kwh=150)), Slows()
    fit(tmp_path, callback, spends)
    assert 150 - 2 * 13.5 <= spends.total <= 150


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
def test_what_earlier_sessions_have_spent_counts(tmp_path):
    saves = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    fit(tmp_path, drive(Budget(kwh=100)), Spends(), saves, enable_checkpointing=True)
    callback, spends = drive(Budget(kwh=100)), Spends()
    trainer = fit(tmp_path, callback, spends, ckpt_path=tmp_path / "epoch=4.ckpt")
    assert (callback.cooldown_epoch, trainer.current_epoch, spends.total) == (8, 11, 99)
    assert callback.budget_course == {"kwh": [(epoch, 9 * (epoch + 1)) for epoch in range(11)]}


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
def test_a_resumed_run_that_has_another_limit_has_only_the_course_of_that_one(tmp_path):
    saves = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    fit(tmp_path, drive(Budget(kwh=1000)), Spends(), saves, max_epochs=6, enable_checkpointing=True)
    callback, spends = drive(Budget(money=1000)), Spends("money")
    fit(tmp_path, callback, spends, ckpt_path=tmp_path / "epoch=1.ckpt", max_epochs=5)
    assert callback.budget_course == {"money": [(2, 9), (3, 18), (4, 27)]}


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
def test_hours_of_earlier_sessions_count(tmp_path):
    class Saves(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            time.sleep(0.01)
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt", weights_only=False)

    fit(tmp_path, drive(Budget(hours=1)), Saves(), max_epochs=6)
    hours = 0.02 / 3600  # less than two epochs have slept
    with pytest.raises(ValueError, match=r"Budget\(hours=5.55556e-06\) is spent already: this run has used"):
        fit(tmp_path, drive(Budget(hours=hours)), ckpt_path=tmp_path / "1.ckpt", max_epochs=9)


@pytest.mark.parametrize("by_max_time", [False, True])
def test_a_run_ends_inside_its_hours_or_the_trainers_max_time(tmp_path, by_max_time):
    class Sleeps(TinyModel):
        def training_step(self, batch, batch_idx):
            time.sleep(0.02)
            return super().training_step(batch, batch_idx)

    arguments = {"max_time": {"seconds": 3}} if by_max_time else {}
    callback = drive(Budget(hours=100 if by_max_time else 3 / 3600))
    start = time.monotonic()
    trainer = fit(tmp_path, callback, model=Sleeps(), **arguments)
    assert time.monotonic() - start < 3 + 1.5
    assert callback.cooldown_epoch >= 1
    assert trainer.current_epoch == callback.last_epoch + 1
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0


def test_samples_are_counted_by_the_cost_monitor(tmp_path):
    monitor, callback = CostMonitor(), drive(Budget(samples=33 * 5 + 10), min_epochs=2)
    trainer = fit(tmp_path, callback, monitor)
    assert (callback.cooldown_epoch, trainer.current_epoch) == (3, 5)
    assert monitor.spent["samples"] == 165
    assert set(monitor.spent) == {"samples", "flops", "kwh", "co2_kg", "money"}


def flops(samples):
    """Of a training step of ``TinyModel``, by torch's own counter."""
    model = TinyModel()
    with FlopCounterMode(display=False) as counter:
        model.net(torch.zeros(samples, 4)).sum().backward()
    return counter.get_total_flops()


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
def test_flops_are_counted_by_the_cost_monitor_and_those_of_an_earlier_session_too(tmp_path):
    epoch = 8 * flops(4) + flops(1)
    budget = Budget(flops=5.5 * epoch)
    saves = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    callback, monitor = drive(budget, min_epochs=2), CostMonitor()
    trainer = fit(tmp_path, callback, monitor, saves, enable_checkpointing=True)
    assert (callback.cooldown_epoch, trainer.current_epoch) == (3, 5)
    assert monitor.spent["flops"] == 5 * epoch
    again = drive(budget, min_epochs=2)
    trainer = fit(tmp_path, again, CostMonitor(), ckpt_path=tmp_path / "epoch=1.ckpt")
    assert (again.cooldown_epoch, trainer.current_epoch) == (3, 5)
    assert again.budget_course == {"flops": [(number, (number + 1) * epoch) for number in range(5)]}


def test_a_cost_monitor_behind_the_callback_counts_the_same(tmp_path):
    L.seed_everything(1, verbose=False)
    callback = drive(Budget(samples=33 * 5 + 10), min_epochs=2)
    trainer = make_trainer(tmp_path, [callback, CostMonitor()], max_epochs=-1)
    trainer.fit(TinyModel(), TinyData())
    assert trainer.current_epoch == 5


@pytest.mark.parametrize("name", ["kwh", "co2_kg", "money", "samples", "flops"])
def test_limits_that_nobody_measures_are_refused_before_the_first_batch(tmp_path, name):
    model = TinyModel()
    with pytest.raises(ValueError, match=rf"Budget\({name}=5\) needs a CostMonitor that measures it"):
        fit(tmp_path, drive(Budget(**{name: 5})), model=model)
    assert not model.samples


def test_a_budget_that_is_spent_already_is_refused_before_the_first_batch(tmp_path):
    spends, model = Spends(), TinyModel()
    spends.total = 6.0
    with pytest.raises(ValueError, match=r"Budget\(kwh=5\) is spent already: this run has used 6"):
        fit(tmp_path, drive(Budget(kwh=5)), spends, model=model)
    assert not model.samples


def test_a_budget_that_is_smaller_than_a_cooldown_still_ends_at_a_rate_of_zero(tmp_path):
    callback, spends = drive(Budget(kwh=20)), Spends()
    trainer = fit(tmp_path, callback, spends)
    # Its size is known after the first epoch: one more fits.
    assert (callback.cooldown_epoch, trainer.current_epoch, spends.total) == (1, 2, 18)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({}, ValueError, "Budget needs at least one limit of hours, kwh, co2_kg, money, samples, flops, got none"),
        ({"hours": -1}, ValueError, "hours must be a number above 0, got -1"),
        ({"kwh": 0}, ValueError, "kwh must be a number above 0, got 0"),
        ({"money": float("nan")}, ValueError, "money must be a number above 0, got nan"),
        ({"samples": True}, TypeError, "samples must be a number above 0, got True"),
    ],
)
def test_wrong_limits_are_refused(limits, error, message):
    with pytest.raises(error, match=message):
        Budget(**limits)


def test_it_survives_a_cost_monitor_that_stops_measuring(tmp_path):
    class Loses(Spends):
        @property
        def spent(self):
            return {} if self.total > 20 else {self.name: self.total}

    callback = drive(Budget(kwh=1000))
    trainer = fit(tmp_path, callback, Loses(), max_epochs=8)
    assert (callback.cooldown_epoch, trainer.current_epoch) == (5, 8)
    assert torch.isfinite(next(trainer.model.parameters())).all()


class Sized(L.LightningModule):
    """Takes images of any size; ``seen`` has the size in every step, which sleeps for ``seconds(size)``."""

    def __init__(self, seconds=None):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.seconds, self.seen = nn.Conv2d(3, 4, 1), seconds, []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch[0].shape[-1])
        if self.seconds is not None:
            time.sleep(self.seconds(batch[0].shape[-1]))
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class PerSize(Spends):
    """A step of full size costs 1, a smaller one its part of the size to a power."""

    def __init__(self, power=2):
        super().__init__()
        self.power = power

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.total += (pl_module.seen[-1] / 16) ** self.power


def grow(tmp_path, budget, model, *others, change=None, images=None, rule=None, ckpt_path=None, **arguments):
    """Two steps an epoch, on images of 8 px until something makes them grow to their 16."""
    change = change or GrowingImages([8], rule=Never())
    recipe = Recipe(after=FULL, annealing_fraction=0, changes=[change], cooldown=Cooldown(budget=budget))
    callback = CriticalPeriodCallback(rule=rule or Never(), recipe=recipe)
    trainer = make_trainer(tmp_path, [callback, *others], **{"max_epochs": -1, **arguments})
    data = DataLoader(TensorDataset(torch.ones(4, 3, 16, 16) if images is None else images), batch_size=2)
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert trainer.current_epoch == callback.last_epoch + 1
    return callback


def test_the_cooldown_of_a_run_whose_images_still_grew_cost_four_times_its_price(tmp_path):
    model, spends = Sized(), PerSize()
    callback = grow(tmp_path, Budget(kwh=50), model, spends)
    # 52 epochs at 0.5; then one of full size, which tells what the cooldown costs, and one of ceil(0.2 x 53), all at 2.
    assert (callback.cooldown_epoch, callback.last_epoch) == (53, 63)
    assert spends.total == 50
    assert model.seen == [8] * 2 * 52 + [16] * 2 * 12


def test_flops_and_samples_of_a_run_whose_images_still_grow_are_kept(tmp_path):
    monitor, model = CostMonitor(), Sized()
    whole = 2 * 2 * (2 * 16 * 16 * 3 * 4) * 2  # two batches of two, forward and the gradient of the weights
    grow(tmp_path, Budget(flops=20 * whole), model, monitor)
    assert 19 * whole < monitor.spent["flops"] <= 20 * whole
    spends = Spends("samples")  # as many at every size
    callback = grow(tmp_path, Budget(samples=22), Sized(), spends)
    assert (callback.cooldown_epoch, spends.total) == (8, 22)


SECONDS = {
    "in proportion to the pixels": lambda size: 0.04 * (size / 16) ** 2,
    "the same at every size": lambda size: 0.02,
    "more than in proportion": lambda size: 0.04 * (size / 16) ** 4,
}


@pytest.mark.parametrize("cost", SECONDS)
def test_hours_of_a_run_whose_images_still_grow_are_kept(tmp_path, cost):
    start = time.monotonic()
    callback = grow(tmp_path, Budget(hours=1.5 / 3600), Sized(SECONDS[cost]))
    assert time.monotonic() - start < 1.5 + 1
    assert callback.cooldown_epoch >= 1


def test_growth_that_is_over_leaves_no_trace_in_the_price(tmp_path):
    """Of the latest five epochs some were small."""
    spends, change = PerSize(), GrowingImages([8], rule=AtEpoch(10))
    callback = grow(tmp_path, Budget(kwh=5 + 2 * 6), Sized(), spends, change=change)
    assert (callback.cooldown_epoch, callback.last_epoch, spends.total) == (13, 15, 17)


def test_a_cooldown_that_costs_more_than_its_pixels_say_is_shortened(tmp_path):
    """The rule fires while images are small, so nothing has shown what a full one costs."""
    spends = PerSize(power=4)
    callback = grow(tmp_path, Budget(kwh=20 / 8 + 4 * 2), Sized(), spends, rule=AtEpoch(20), max_epochs=100)
    assert (callback.cooldown_epoch, callback.last_epoch, spends.total) == (20, 23, 10.5)


def test_a_change_that_makes_the_cooldown_dearer_shortens_it(tmp_path):
    class Priced(Spends):
        def on_train_batch_end(self, trainer, pl_module, *_):
            self.total += pl_module.price

    model, spends = TinyModel(), Priced()
    model.price = 1.0
    cooldown = Cooldown(fraction=0.5, budget=Budget(kwh=300))
    recipe = Recipe(after=FULL, changes=[Phased("price", cooldown=2.0)], cooldown=cooldown)
    callback = CriticalPeriodCallback(rule=Never(), recipe=recipe)
    trainer = fit(tmp_path, callback, spends, model=model)
    assert callback.cooldown_epoch == 22  # 9 an epoch: the cooldown was to last 11, and 198 + 11 x 18 is 396
    assert 300 - 18 < spends.total < 300 + 18
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert callback.reason.count("shortened") == 1
    epochs = trainer.current_epoch - 22
    assert callback.reason.endswith(f"; shortened to {epochs} epochs because of the budget of 300 kWh")


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
@pytest.mark.parametrize("at", [-3, -2, -1, 0, 1])
def test_a_run_is_resumed_around_the_end_of_the_growth_by_a_budget_as_if_it_went_on(tmp_path, at):
    def run(*others, **arguments):
        model = Sized()
        callback = grow(tmp_path, Budget(kwh=30), model, PerSize(), *others, **arguments)
        return callback, torch.cat([p.flatten() for p in model.parameters()]), model.seen

    saves = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1)
    whole, expected, sizes = run(saves, enable_checkpointing=True)
    epoch = whole.cooldown_epoch + at
    resumed, found, later = run(ckpt_path=tmp_path / f"epoch={epoch}.ckpt")
    assert torch.equal(found, expected)
    assert resumed.timeline == whole.timeline
    assert later == sizes[2 * (epoch + 1) :]
