"""EarlyCooldown in place of EarlyStopping: what its signal sees, how it ends, and what the model has then."""

import math

import lightning as L
import pytest
import torch
from conftest import Declares, TinyData, TinyModel, make_trainer, weights
from fresh import Python
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    RichProgressBar,
    TQDMProgressBar,
    WeightAveraging,
)
from torch import nn

from lightning_critperiod import Budget, EarlyCooldown

pytestmark = [
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Saturates(TinyModel):
    """Logs a metric that stops rising, and what it validated: the weights of every validation, and of every step."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        self.steps, self.validated, self.rates_of_steps = [], {}, []

    def on_before_optimizer_step(self, optimizer):
        self.rates_of_steps.append((self.current_epoch, optimizer.param_groups[0]["lr"]))

    def on_train_batch_end(self, *_):
        self.steps.append(state(self))

    def validation_step(self, batch, batch_idx):
        self.see(batch_idx)
        self.log("val_acc", 1 - 2.0 ** -min(self.current_epoch, 8), batch_size=1)

    def see(self, batch_idx):
        if batch_idx == 0 and not self.trainer.sanity_checking:
            self.validated.setdefault(self.current_epoch, []).append(state(self))


def state(module):
    return torch.cat([t.detach().flatten().double() for t in (*module.parameters(), *module.buffers())])


def fit(tmp_path, callback, *others, model=None, data=None, ckpt_path=None, **arguments):
    L.seed_everything(1, verbose=False)
    model = model or Saturates()
    saves = any(isinstance(other, ModelCheckpoint) for other in others)
    trainer = make_trainer(
        tmp_path, [callback, *others], **{"max_epochs": -1, "enable_checkpointing": saves, **arguments}
    )
    trainer.fit(model, data or TinyData(n=16), ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return trainer, model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    callback = EarlyCooldown("val_acc", mode="max")
    trainer, model = fit(folder, callback, ModelCheckpoint(folder, save_last=True))
    return trainer, model, callback, folder


def test_it_ends_a_run_without_a_last_epoch_when_the_metric_has_stopped_rising(run):
    trainer, model, callback, _ = run
    length = max(3, math.ceil(callback.end_epoch * 0.2))
    assert 8 < callback.end_epoch < 30
    assert trainer.current_epoch == callback.end_epoch + length
    cooled = [rate for epoch, rate in model.rates_of_steps if epoch >= callback.end_epoch]
    total = 4 * length
    assert cooled == pytest.approx([0.05 * (1 - math.sqrt(step / total)) for step in range(total)])


def expected_average(steps):
    """Of every step: weights and statistics in double precision, the window a tenth of the steps so far."""
    average, averages = None, []
    for n, now in enumerate(steps):
        average = now if n == 0 else average + (now - average) * min(1.0, 10 / (n + 1))
        averages.append(average)
    return averages


def test_validation_sees_the_average_of_the_weights_and_statistics_so_far_once_an_epoch(run):
    _, model, callback, _ = run
    averages = expected_average(model.steps)
    floating = slice(0, 4 * 8 + 8 + 8 + 8 + 16 + 2 + 8 + 8)  # without the count of batches
    for epoch in range(callback.last_epoch):
        (validated,) = model.validated[epoch]
        torch.testing.assert_close(validated[floating], averages[4 * epoch + 3][floating], rtol=1e-4, atol=1e-5)
    assert [len(seen) for seen in model.validated.values()] == [1] * callback.last_epoch + [2]  # the last: raw, too


def test_training_itself_goes_on_with_the_raw_weights(run, tmp_path):
    _, model, callback, _ = run
    L.seed_everything(1, verbose=False)
    plain = Saturates()
    make_trainer(tmp_path, max_epochs=callback.end_epoch).fit(plain, TinyData(n=16))
    steps = 4 * callback.end_epoch
    torch.testing.assert_close(model.steps[:steps], plain.steps, rtol=0, atol=0)


def test_averaging_is_taken_out_of_the_trainer_again(run):
    trainer, *_ = run
    assert not any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)


class Prefers(Saturates):
    """Its last validations say that the raw weights, or the averaged ones, are better."""

    def __init__(self, raw):
        super().__init__()
        self.raw = raw

    def validation_step(self, batch, batch_idx):
        self.see(batch_idx)
        rises = 1 - 2.0 ** -min(self.current_epoch, 8)
        is_raw = bool(self.steps) and torch.equal(state(self), self.steps[-1])
        self.log("val_acc", rises + (0.001 if is_raw == self.raw else 0.0), batch_size=1)


@pytest.mark.parametrize("raw", [True, False])
def test_the_model_and_the_last_checkpoint_have_what_validates_better(tmp_path, raw):
    model, callback = Prefers(raw), EarlyCooldown("val_acc", mode="max")
    trainer, _ = fit(tmp_path, callback, ModelCheckpoint(tmp_path, save_last=True), model=model)
    averaged, _ = model.validated[callback.last_epoch]
    assert callback.final_weights == ("raw" if raw else "averaged")
    assert torch.equal(state(model), model.steps[-1] if raw else averaged)
    assert trainer.callback_metrics["val_acc"] == pytest.approx(1 - 2.0**-8 + 0.001)
    last = TinyModel()
    last.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    last.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"])
    assert torch.equal(weights(last), weights(model))


def test_where_the_last_epoch_is_not_validated_both_are(tmp_path):
    model, callback = Prefers(raw=True), EarlyCooldown("val_acc", mode="max")
    fit(tmp_path, callback, model=model, max_epochs=9, check_val_every_n_epoch=2)
    assert len(model.validated[8]) == 2
    assert callback.final_weights == "raw"


class Counts(Callback):
    def __init__(self):
        self.validations = 0

    def on_validation_start(self, trainer, pl_module):
        self.validations += not trainer.sanity_checking


def test_no_other_callback_sees_the_extra_validation(tmp_path):
    counts, stopping = Counts(), EarlyStopping("val_acc", mode="max", patience=50)
    trainer, _ = fit(tmp_path, EarlyCooldown("val_acc", mode="max"), counts, stopping)
    assert counts.validations == trainer.current_epoch


def test_without_averaging_validation_sees_the_raw_weights(tmp_path):
    callback = EarlyCooldown("val_acc", mode="max", average=False)
    _, model = fit(tmp_path, callback, max_epochs=5)
    assert all(torch.equal(model.validated[epoch][0], model.steps[4 * epoch + 3]) for epoch in range(5))
    assert callback.final_weights == ""


def test_the_users_own_averaging_takes_the_place_of_ours(tmp_path):
    own, callback = EMAWeightAveraging(decay=0.5), EarlyCooldown("val_acc", mode="max")
    trainer, model = fit(tmp_path, callback, own, max_epochs=5)
    assert [type(each).__name__ for each in trainer.callbacks] == ["EarlyCooldown", "EMAWeightAveraging"]
    averaged = model.steps[0]
    for now in model.steps[1:4]:
        averaged = averaged + (now - averaged) * 0.5
    torch.testing.assert_close(model.validated[0][0][:-1], averaged[:-1], rtol=1e-5, atol=1e-6)
    assert [len(seen) for seen in model.validated.values()] == [1] * 5


def test_weight_averaging_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one callback may average the weights, got EMAW.*, WeightA"):
        fit(tmp_path, EarlyCooldown("val_acc", mode="max"), EMAWeightAveraging(), WeightAveraging())


def test_a_metric_that_validation_does_not_log_is_refused_before_the_first_batch(tmp_path):
    model = Saturates()
    with pytest.raises(ValueError, match=r"monitor='val_akk' must name a metric .* there are \['val_acc'\]"):
        fit(tmp_path, EarlyCooldown("val_akk", mode="max"), model=model)
    assert not model.steps


def test_a_run_without_validation_is_refused(tmp_path):
    model = Saturates()
    with pytest.raises(ValueError, match="this run has no validation"):
        fit(tmp_path, EarlyCooldown("val_acc", mode="max"), model=model, limit_val_batches=0)
    assert not model.steps


def test_a_module_that_cannot_be_copied_is_refused_in_one_sentence(tmp_path):
    model = Saturates()
    model.cache = (model.net[0].weight * 2).sum()  # a tensor that is no leaf
    with pytest.raises(ValueError, match=r"needs a module that can be copied, .* give average=False"):
        fit(tmp_path, EarlyCooldown("val_acc", mode="max"), model=model)
    fit(tmp_path, EarlyCooldown("val_acc", mode="max", average=False), model=model, max_epochs=4)
    assert len(model.steps) == 16


def test_pruning_which_replaces_the_parameters_ended_the_training_with_an_error(tmp_path):
    pruning, model = ModelPruning("l1_unstructured", amount=0.1), Saturates()
    with pytest.raises(ValueError, match=r"keeps its parameters, but ModelPruning .* give average=False"):
        fit(tmp_path, EarlyCooldown("val_acc", mode="max"), pruning, model=model)
    assert not model.steps
    pruning = ModelPruning("l1_unstructured", amount=0.1)
    trainer, _ = fit(tmp_path, EarlyCooldown("val_acc", mode="max", average=False), pruning, max_epochs=4)
    assert trainer.current_epoch == 4


def test_a_module_that_gets_other_parameters_in_mid_run_trains_on_without_the_average(tmp_path):
    class Widens(Saturates):
        def on_train_epoch_start(self):
            if self.current_epoch == 2:
                self.net = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 2))
                self.optimizers().param_groups[0]["params"] = list(self.net.parameters())

    callback = EarlyCooldown("val_acc", mode="max")
    with pytest.warns(UserWarning, match="The weights are averaged no longer .* validation sees the raw weights"):
        trainer, model = fit(tmp_path, callback, model=Widens(), max_epochs=5)
    assert (trainer.current_epoch, callback.final_weights) == (5, "raw")
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert torch.equal(state(model), model.steps[-1])


def test_a_failed_run_leaves_nothing_for_the_next_one(tmp_path):
    class Fails(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 1 and not self.failed:
                self.failed = True
                raise RuntimeError("on purpose")

    fails, callback = Fails(), EarlyCooldown("val_acc", mode="max")
    fails.failed = False
    trainer = make_trainer(tmp_path, [callback, fails], max_epochs=4)
    with pytest.raises(RuntimeError, match="on purpose"):
        trainer.fit(Saturates(), TinyData(n=16))
    trainer.fit(Saturates(), TinyData(n=16))
    assert trainer.callbacks == [callback, fails]
    assert callback.final_weights


@pytest.mark.parametrize("name", ["epoch-3", "epoch-13", "epoch-16", "batch-3", "batch-16"])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, name):
    class Saves(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / f"epoch-{trainer.current_epoch}.ckpt", weights_only=False)

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 1:
                trainer.save_checkpoint(tmp_path / f"batch-{trainer.current_epoch}.ckpt", weights_only=False)

    def run(*others, **arguments):
        model = Saturates()
        callback = EarlyCooldown("val_acc", mode="max")
        fit(tmp_path, callback, *others, model=model, data=Declares(n=8, multiplier=2), **arguments)
        return model, callback

    whole, first = run(Saves())
    assert first.end_epoch <= 16 <= first.last_epoch
    resumed, second = run(ckpt_path=tmp_path / f"{name}.ckpt")
    assert torch.equal(state(resumed), state(whole))
    assert torch.equal(resumed.steps[-1], whole.steps[-1])
    assert (second.reason, second.final_weights) == (first.reason, first.final_weights)


def test_the_volume_is_the_users_own_also_in_the_cooldown(tmp_path):
    callback = EarlyCooldown("val_acc", mode="max")
    _, model = fit(tmp_path, callback, data=Declares(n=8, multiplier=2), max_epochs=5)
    assert {len(batches) for batches in model.samples.values()} == {4}


def test_max_steps_goes_with_a_declared_volume(tmp_path):
    trainer, _ = fit(tmp_path, EarlyCooldown("val_acc", mode="max"), data=Declares(n=8, multiplier=2), max_steps=22)
    assert trainer.global_step == 22
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_the_metrics_of_training_are_logged_in_the_last_epoch_too(tmp_path):
    trainer, _ = fit(tmp_path, EarlyCooldown("val_acc", mode="max"), max_epochs=4)
    assert trainer.callback_metrics["train_loss"].isfinite()
    assert "critical_period/cooldown" in trainer.callback_metrics


def test_the_learning_rate_finder_beside_it(tmp_path):
    class Finds(Saturates):
        def training_step(self, batch, batch_idx):
            return self.loss(batch)

    finder = LearningRateFinder(num_training_steps=8)
    trainer, _ = fit(tmp_path, EarlyCooldown("val_acc", mode="max"), finder, model=Finds(), max_epochs=5)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert (trainer.current_epoch, trainer.global_step) == (5, 20)


@pytest.mark.parametrize("arguments", [dict(average=1), dict(budget=3), dict(monitor=3)])
def test_wrong_kinds_are_refused(arguments):
    with pytest.raises(TypeError):
        EarlyCooldown(**{"monitor": "val_acc", "mode": "max", **arguments})


@pytest.mark.parametrize("arguments", [dict(min_gain=0), dict(mode="up"), dict(monitor="")])
def test_wrong_values_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        EarlyCooldown(**{"monitor": "val_acc", "mode": "max", **arguments})


def test_a_forgotten_mode_of_an_accuracy_is_a_warning_before_training(tmp_path):
    callback = EarlyCooldown("val_acc")
    with pytest.warns(UserWarning, match='val_acc is better when higher, by its name, but Worthwhile has mode="min"'):
        callback.setup(make_trainer(tmp_path, [callback], max_epochs=20), TinyModel(), "fit")


def test_a_budget_of_samples_without_a_cost_monitor_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Budget\(samples=100\) needs a CostMonitor"):
        fit(tmp_path, EarlyCooldown("val_acc", mode="max", budget=Budget(samples=100)))


OTHER = """
import torch, {first}
import pytorch_lightning as pl
from lightning_critperiod import EarlyCooldown

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 2)
    def training_step(self, batch, batch_idx):
        return self.net(batch[0]).square().mean()
    def validation_step(self, batch, batch_idx):
        self.log("val_acc", 1 - 2.0 ** -self.current_epoch)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), batch_size=4)
callback = EarlyCooldown("val_acc", mode="max")
trainer = pl.Trainer(max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[callback],
                     enable_progress_bar=False, enable_model_summary=False, default_root_dir={folder!r})
trainer.fit(Model(), data, data)
print(trainer.current_epoch, callback.final_weights)
"""


@pytest.mark.parametrize("first", ["pytorch_lightning", "lightning.pytorch"])
def test_a_trainer_of_pytorch_lightning_gets_its_own_averaging(tmp_path, first):
    program = tmp_path / "other.py"
    program.write_text(OTHER.format(first=first, folder=str(tmp_path)))
    status, out, err = Python(program).finish()
    assert status == 0, err[-2000:]
    assert out.split()[-2] == "4"
    assert out.split()[-1] in {"raw", "averaged"}


@pytest.mark.parametrize("bar", [RichProgressBar, TQDMProgressBar])
@pytest.mark.parametrize("refreshes", [1, 20])
def test_progress_bars_beside_the_extra_validation(tmp_path, bar, refreshes):
    callback = EarlyCooldown("val_acc", mode="max")
    trainer, _ = fit(tmp_path, callback, bar(refresh_rate=refreshes), enable_progress_bar=True)
    assert callback.final_weights
    assert trainer.current_epoch == callback.last_epoch + 1


def test_a_run_that_is_stopped_before_its_end_keeps_the_better_weights_too(tmp_path):
    class Stops(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 3

    model, callback = Prefers(raw=True), EarlyCooldown("val_acc", mode="max")
    with pytest.warns(UserWarning, match="ended after epoch 3, before its cooldown could begin"):
        fit(tmp_path, callback, Stops(), RichProgressBar(), model=model, enable_progress_bar=True)
    assert callback.final_weights == "raw"
    assert torch.equal(state(model), model.steps[-1])


@pytest.mark.parametrize("precision", ["bf16-true", "64-true", "bf16-mixed"])
def test_every_precision_trains_as_without_us(tmp_path, precision):
    def train(*callbacks, **arguments):
        L.seed_everything(1, verbose=False)
        model = Saturates()
        model.loss = lambda batch: nn.functional.cross_entropy(model.net(batch[1].to(model.dtype)), batch[2])
        trainer = make_trainer(tmp_path, callbacks, precision=precision, **arguments)
        trainer.fit(model, TinyData(n=16))
        return model

    callback = EarlyCooldown("val_acc", mode="max")
    model = train(callback, max_epochs=5)
    assert callback.final_weights
    assert len(model.steps) == 20
    before = train(max_epochs=callback.cooldown_epoch).steps
    torch.testing.assert_close(model.steps[: len(before)], before, rtol=0, atol=0)
