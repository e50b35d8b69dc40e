"""A cooldown beside everything else that a run may have: its Trainer, its module, other callbacks, another recipe."""

import math

import lightning as L
import pytest
import torch
from conftest import Declares, TinyData, TinyModel, make_trainer, weights
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    RichProgressBar,
    StochasticWeightAveraging,
    TQDMProgressBar,
    WeightAveraging,
)
from torch import nn

from lightning_critperiod import (
    AtEpoch,
    Cooldown,
    CriticalPeriodCallback,
    MonitoredMetric,
    Never,
    Phased,
    Plateau,
    Recipe,
    Volume,
)

FULL = Volume()

pytestmark = [
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
]


def sqrt(part):
    return 1 - math.sqrt(part)


class Steps(TinyModel):
    """Keeps epoch, learning rate and momentum of every optimizer step, as the optimizer is about to read them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.taken = []

    def on_before_optimizer_step(self, optimizer):
        group = optimizer.param_groups[0]
        self.taken.append((self.current_epoch, float(group["lr"]), group.get("momentum")))

    def rates_in(self, epochs):
        return [rate for epoch, rate, _ in self.taken if epoch in epochs]


def drive(rule=None, after=FULL, **cooldown):
    return CriticalPeriodCallback(rule=rule or AtEpoch(4), recipe=Recipe(after=after, cooldown=Cooldown(**cooldown)))


def fit(tmp_path, callback, *others, model=None, data=None, ckpt_path=None, **arguments):
    L.seed_everything(1, verbose=False)
    model = model or Steps()
    saves = any(isinstance(other, ModelCheckpoint) for other in others)
    defaults = {"max_epochs": 20, "enable_checkpointing": saves}
    trainer = make_trainer(tmp_path, [callback, *others], **{**defaults, **arguments})
    trainer.fit(model, data or TinyData(), ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return trainer, model


def test_min_steps_of_the_trainer_delays_it(tmp_path):
    trainer, _ = fit(tmp_path, drive(), min_steps=75)
    assert trainer.current_epoch == 9


def test_epoch_wise_schedulers_stand_still(tmp_path):
    model = Steps(scheduler=lambda o, _: torch.optim.lr_scheduler.ExponentialLR(o, 0.5), interval="epoch")
    fit(tmp_path, drive(), model=model)
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.05 / 16 * sqrt(u / 27) for u in range(27)])


class TwoOptimizers(Steps):
    """Manual optimization: two optimizers, each with a scheduler that the module steps itself."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self):
        optimizers = [torch.optim.SGD(self.net[0].parameters(), 0.05), torch.optim.Adam(self.net[2].parameters(), 0.01)]
        return optimizers, [torch.optim.lr_scheduler.ExponentialLR(o, 0.99) for o in optimizers]

    def on_before_optimizer_step(self, optimizer):
        which = self.optimizers()[0].optimizer is not optimizer
        self.taken.append((self.current_epoch, which, float(optimizer.param_groups[0]["lr"])))

    def training_step(self, batch, batch_idx):
        for optimizer, scheduler in zip(self.optimizers(), self.lr_schedulers(), strict=True):
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()
            scheduler.step()

    def on_train_batch_end(self, *_):
        pass


def test_several_optimizers_under_manual_optimization(tmp_path):
    trainer, model = fit(tmp_path, drive(), model=TwoOptimizers())
    for which, lr in enumerate((0.05, 0.01)):
        rates = [rate for epoch, optimizer, rate in model.taken if optimizer == which and epoch >= 4]
        assert rates == pytest.approx([lr * 0.99**36 * sqrt(u / 27) for u in range(27)])
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [0, 0]


def test_max_steps_counts_the_steps_of_all_optimizers(tmp_path):
    callback = drive(Never(), min_epochs=2)
    trainer, _ = fit(tmp_path, callback, model=TwoOptimizers(), max_epochs=-1, max_steps=100)
    assert callback.cooldown_epoch == 3  # as with 50 steps of one optimizer
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


class SetsItsRate(Steps):
    def training_step(self, batch, batch_idx):
        self.optimizers().param_groups[0]["lr"] = 0.03
        return super().training_step(batch, batch_idx)


def test_a_module_that_sets_its_rate_before_every_step_is_cooled_down_from_that_rate(tmp_path):
    _, model = fit(tmp_path, drive(), model=SetsItsRate())
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.03 * sqrt(u / 27) for u in range(27)])


def test_accumulation_that_changes_in_the_cooldown_gives_every_epoch_its_part(tmp_path):
    _, model = fit(tmp_path, drive(), GradientAccumulationScheduler({0: 1, 5: 3}))
    parts = [*(u / 27 for u in range(9)), *((3 + u) / 9 for u in range(6))]
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.05 * sqrt(u) for u in parts])


def test_mixed_precision_and_clipping(tmp_path):
    _, model = fit(tmp_path, drive(), precision="bf16-mixed", gradient_clip_val=0.1)
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.05 * sqrt(u / 27) for u in range(27)])


@pytest.mark.parametrize("bar", [TQDMProgressBar, RichProgressBar])
def test_a_run_without_a_last_epoch_has_one_then_and_the_bar_goes_on(tmp_path, bar):
    callback = drive()
    trainer, _ = fit(tmp_path, callback, bar(), max_epochs=-1, enable_progress_bar=True)
    assert trainer.current_epoch == 7
    assert trainer.max_epochs == -1  # given back


class Totals(Callback):
    def __init__(self):
        self.steps, self.epochs = {}, {}

    def on_train_epoch_start(self, trainer, pl_module):
        self.steps[trainer.current_epoch] = trainer.estimated_stepping_batches
        self.epochs[trainer.current_epoch] = trainer.max_epochs


def test_the_trainer_says_the_real_totals_once_they_are_known(tmp_path):
    totals = Totals()
    fit(tmp_path, drive(), totals, max_epochs=-1)
    assert totals.steps == {0: math.inf, 1: math.inf, 2: math.inf, 3: math.inf, 4: 63, 5: 63, 6: 63}
    assert totals.epochs == {**dict.fromkeys(range(4), -1), 4: 7, 5: 7, 6: 7}


def test_a_file_in_the_runs_folder_asks_for_it_once(tmp_path):
    class Touches(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 10:
                (tmp_path / "cool_down").touch()

    callback = drive(Never())
    fit(tmp_path, callback, Touches())
    assert callback.cooldown_epoch == 2
    assert not (tmp_path / "cool_down").exists()


def test_volume_and_phased_have_the_settings_of_the_cooldown(tmp_path):
    model = Steps()
    model.strength = 1.0
    changes = [Phased("strength", after=0.5, cooldown=0.25)]
    recipe = Recipe(after=Volume(pruning_ratio=0.5), changes=changes, cooldown=Cooldown())
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe)
    fit(tmp_path, callback, model=model, min_epochs=7)
    assert [callback.settings[epoch]["phased/strength"] for epoch in range(7)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert [len(model.samples[epoch]) for epoch in range(7)] == [9, 9, 4, 4, 4, 4, 4]
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.05 * sqrt(u / 12) for u in range(12)])


def test_the_factor_at_the_start_of_each_epoch_is_logged(tmp_path):
    trainer, _ = fit(tmp_path, drive())
    assert trainer.callback_metrics["critical_period/cooldown"] == pytest.approx(sqrt(2 / 3))


def test_early_stopping_and_checkpoints_beside_it(tmp_path):
    stopping = EarlyStopping("val_loss", patience=50)
    saves = ModelCheckpoint(tmp_path, monitor="val_loss", save_last=True, save_top_k=-1)
    trainer, model = fit(tmp_path, drive(), stopping, saves)
    assert model.validations == list(range(7))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 6
    assert stopping.stopped_epoch == 0
    assert trainer.current_epoch == 7


class Worsens(Steps):
    """A metric that is best in epoch 2."""

    def validation_step(self, batch, batch_idx):
        self.log("score", float(-abs(self.current_epoch - 2)), batch_size=1)


def stopping(**arguments):
    return EarlyStopping("score", mode="max", patience=2, **arguments)


@pytest.mark.parametrize("on_train_epoch_end", [True, False])
def test_what_ends_the_patience_of_early_stopping_begins_the_cooldown(tmp_path, on_train_epoch_end):
    callback = drive(Never())
    asks = stopping(check_on_train_epoch_end=on_train_epoch_end)
    trainer, model = fit(tmp_path, callback, asks, model=Worsens(), max_epochs=-1)
    assert asks.stopped_epoch == 7  # it asks in every epoch from 4 on
    assert (callback.cooldown_epoch, trainer.current_epoch) == (5, 8)
    assert callback.reason.endswith("cooldown of 3 epochs after epoch 4: the patience of EarlyStopping is over")
    assert model.rates_in({5, 6, 7}) == pytest.approx([0.05 * sqrt(u / 27) for u in range(27)])
    assert not {"on_train_epoch_end", "on_validation_end"} & vars(asks).keys()


@pytest.mark.parametrize("at", [4, 5, 6])
def test_a_run_that_early_stopping_cools_down_is_resumed_as_if_it_went_on(tmp_path, at):
    saves = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, monitor="score", mode="max")
    _, whole = fit(tmp_path, drive(Never()), stopping(), saves, model=Worsens(), max_epochs=-1)
    again = drive(Never())
    ckpt = tmp_path / f"epoch={at}.ckpt"
    _, resumed = fit(tmp_path, again, stopping(), model=Worsens(), max_epochs=-1, ckpt_path=ckpt)
    assert torch.equal(weights(resumed), weights(whole))
    assert again.cooldown_epoch == 5


def test_early_stopping_at_a_value_that_is_not_finite_ends_the_run_at_once(tmp_path):
    class Diverges(Steps):
        def validation_step(self, batch, batch_idx):
            self.log("score", float("nan") if self.current_epoch == 2 else 1.0, batch_size=1)

    with pytest.warns(UserWarning, match="ended after epoch 2, before its cooldown could begin"):
        fit(tmp_path, drive(Never()), stopping(), model=Diverges())


def test_a_callback_whose_run_early_stopping_asked_to_end_begins_the_next_run_as_usual(tmp_path):
    callback = drive(Never())
    fit(tmp_path, callback, stopping(), model=Worsens(), max_epochs=6, min_epochs=6)
    assert callback.cooldown_epoch == 3  # in time for the end
    fit(tmp_path, callback, model=Worsens(), max_epochs=8)
    assert callback.cooldown_epoch == 5


def test_a_callback_that_cuts_the_cooldown_short_is_said(tmp_path):
    class Stops(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 5

    with pytest.warns(UserWarning, match="ended after epoch 5, before the cooldown was over in epoch 6"):
        fit(tmp_path, drive(), Stops())


def test_a_run_that_is_stopped_before_its_cooldown_is_said(tmp_path):
    class Stops(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 2

    with pytest.warns(UserWarning, match="ended after epoch 2, before its cooldown could begin"):
        fit(tmp_path, drive(), Stops())


def test_lightnings_weight_averaging_beside_it(tmp_path):
    trainer, model = fit(tmp_path, drive(), WeightAveraging())
    assert trainer.current_epoch == 7
    assert model.rates_in({4, 5, 6}) == pytest.approx([0.05 * sqrt(u / 27) for u in range(27)])


class Scripted(Steps):
    """A metric that stands still, rises from epoch 13 to 20, and stands still again."""

    def validation_step(self, batch, batch_idx):
        self.log("score", float(min(max(self.current_epoch, 12), 20)), batch_size=1)


def test_once_undone_it_begins_again_when_the_rule_fires_again(tmp_path):
    def callback():
        recipe = Recipe(after=FULL, cooldown=Cooldown(min_epochs=1))
        return CriticalPeriodCallback(MonitoredMetric("score"), Plateau(patience=2, mode="max"), recipe)

    first, again = callback(), callback()
    fit(tmp_path, first, ModelCheckpoint(tmp_path), model=Scripted(), max_epochs=-1)
    assert first.end_epoch < 13
    fit(tmp_path, again, model=Scripted(), ckpt_path=tmp_path / "before_cooldown.ckpt", max_epochs=-1)
    assert again.end_epoch > 20
    assert again.cooldown_epoch == again.end_epoch


def test_without_a_checkpoint_callback_no_checkpoint_is_written(tmp_path):
    fit(tmp_path, drive())
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_run_that_has_ended_with_its_cooldown_trains_no_further(tmp_path, caplog):
    callback = drive()
    trainer, model = fit(tmp_path, callback, ModelCheckpoint(tmp_path, save_last=True), max_epochs=-1)
    before = weights(model)
    trainer.fit(model, TinyData())
    again, resumed = fit(tmp_path, drive(), ckpt_path=tmp_path / "last.ckpt", max_epochs=-1)
    assert "ended with its cooldown after 7 epochs" in caplog.text
    assert torch.equal(weights(model), before)
    assert torch.equal(weights(resumed), before)
    assert (trainer.current_epoch, again.current_epoch) == (7, 7)


def test_a_run_that_is_all_cooldown_starts_at_the_peak_of_a_warm_up(tmp_path):
    """The rate at its start would be zero, and nothing would be learned."""
    model = Steps(scheduler=lambda o, _: torch.optim.lr_scheduler.LambdaLR(o, lambda step: min(1.0, step / 5)))
    fit(tmp_path, drive(Never()), model=model, max_epochs=2)
    assert [rate for _, rate, _ in model.taken] == pytest.approx([0.05 * sqrt(u / 18) for u in range(18)])


def test_batch_norm_in_a_model_of_two_views_is_no_obstacle(tmp_path):
    model = Steps()
    model.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    trainer, _ = fit(tmp_path, drive(), model=model, data=Declares(n=16))
    assert trainer.current_epoch == 7


def test_stochastic_weight_averaging_was_lost_in_silence_where_a_cooldown_ends_the_run(tmp_path):
    averaging = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=9)
    trainer = make_trainer(tmp_path, [drive(), averaging], max_epochs=12)
    with pytest.warns(UserWarning, match="uses its average only after max_epochs"):
        trainer.fit(TinyModel(), TinyData())
    assert trainer.current_epoch < averaging.swa_start
