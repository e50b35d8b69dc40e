import csv
import io
import math
import random
from typing import ClassVar

import lightning as L
import numpy as np
import pytest
import torch
from conftest import Declares, Numbered, TinyData, TinyModel, weights
from lightning.pytorch.callbacks import Callback, RichProgressBar, TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader

from lightning_critperiod import (
    AtEpoch,
    CriticalPeriodCallback,
    LayerRotation,
    MonitoredMetric,
    Never,
    Recipe,
    Slope,
    Volume,
)
from lightning_critperiod.rules import Rule
from lightning_critperiod.signals import GradientConfusion, Signal

HALF = Volume(pruning_ratio=0.5)


def counts(model):
    return {epoch: len(numbers) for epoch, numbers in model.drawn().items()}


def fit(trainer_for, model, data, *callbacks, seed=1, **arguments):
    L.seed_everything(seed, verbose=False)
    trainer = trainer_for(*callbacks, **arguments)
    trainer.fit(model, data)
    return trainer


def fresh(**kwargs):
    torch.manual_seed(0)
    return TinyModel(**kwargs)


def test_a_recipe_in_an_existing_project_makes_it_cheaper_after_the_period(trainer_for):
    model, callback = fresh(), CriticalPeriodCallback(recipe=Recipe())
    fit(trainer_for, model, TinyData(), callback, max_epochs=30)
    end, back = callback.end_epoch, callback.end_epoch + math.ceil((30 - callback.end_epoch) * 0.875)
    expected = {e: 23 if end <= e < back else 33 for e in range(30)}
    assert counts(model) == expected
    assert model.validations == list(range(30))
    assert callback.volumes == {e: Volume(pruning_ratio=0.3) if end <= e < back else Volume() for e in range(30)}


def test_layer_rotation_and_the_angle_rule_decide_as_a_slow_computation_does(trainer_for):
    """Truth: float64 numpy distances from weights copied by another callback, and a line fitted by numpy."""

    class Copies(Callback):
        def __init__(self):
            self.kernels = {}

        def on_train_start(self, trainer, pl_module):
            self.kernels[-1] = self.read(pl_module)

        def on_train_epoch_end(self, trainer, pl_module):
            self.kernels[trainer.current_epoch] = self.read(pl_module)

        def read(self, pl_module):
            return [p.detach().double().numpy().ravel().copy() for p in pl_module.parameters() if p.ndim > 1]

    copies, callback = Copies(), CriticalPeriodCallback(recipe=Recipe())
    fit(trainer_for, fresh(), TinyData(), copies, callback, max_epochs=30)
    truth = {}
    for epoch in range(30):
        pairs = zip(copies.kernels[-1], copies.kernels[epoch], strict=True)
        truth[epoch] = np.mean([1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])
    assert callback.history == pytest.approx(truth, rel=1e-5)
    windows = {e: range(e - 4, e + 1) for e in range(4, 30)}
    slopes = {e: np.polyfit(np.array(w) / 29, [truth[i] for i in w], 1)[0] for e, w in windows.items()}
    angles = {e: math.degrees(math.atan(slope)) for e, slope in slopes.items()}
    assert callback.end_epoch == 1 + min(e for e, angle in angles.items() if angle < 45)
    assert callback.reason == (
        f"critical period over after epoch {callback.end_epoch - 1}: layer rotation "
        f"{callback.rule.why({e: truth[e] for e in range(callback.end_epoch)}, 30)}"
    )


class Trace(Callback):
    """What a run does to the generators and the weights, seen at the end of every epoch."""

    def __init__(self):
        self.states, self.weights = [], []

    def on_train_epoch_end(self, trainer, pl_module):
        self.states.append((torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()))
        self.weights.append(weights(pl_module).clone())


def one_cycle(optimizer, total_steps):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=total_steps)


SAME = {
    "never fires": (lambda: CriticalPeriodCallback(rule=Never()), 6),
    "observes": (lambda: CriticalPeriodCallback(rule=AtEpoch(1), observe_only=True), 6),
    "until the switch": (lambda: CriticalPeriodCallback(rule=AtEpoch(3)), 3),
}


@pytest.mark.parametrize(("callback", "epochs"), SAME.values(), ids=SAME)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_is_bit_identical_as_long_as_nothing_is_switched(trainer_for, callback, epochs, workers):
    plain, ours = (fresh(scheduler=one_cycle) for _ in range(2))
    before, after = Trace(), Trace()
    fit(trainer_for, plain, TinyData(num_workers=workers), before)
    fit(trainer_for, ours, TinyData(num_workers=workers), after, callback())
    for e in range(epochs):
        assert ours.samples[e] == plain.samples[e]
        assert ours.rates[e] == plain.rates[e]
        assert after.states[e] == before.states[e]
        assert torch.equal(after.weights[e], before.weights[e])
    assert ours.validations == plain.validations
    if epochs == 3:
        assert len(ours.samples[3]) < len(plain.samples[3])


def test_the_datamodule_reads_each_epochs_volume_before_the_modules_own_epoch_start(trainer_for):
    class Reads(TinyModel):
        def on_train_epoch_start(self):
            super().on_train_epoch_start()
            data = self.trainer.datamodule
            read = {self.current_epoch: (data.augmentation_multiplier, data.pruning_ratio)}
            self.read = getattr(self, "read", {}) | read

    model, data = Reads(), Declares(multiplier=3)
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=HALF, annealing_fraction=0.25))
    fit(trainer_for, model, data, callback)
    assert model.read == {0: (3, 0), 1: (3, 0), 2: (1, 0.5), 3: (1, 0.5), 4: (1, 0.5), 5: (3, 0)}
    assert counts(model) == {0: 99, 1: 99, 2: 16, 3: 16, 4: 16, 5: 99}
    assert (data.augmentation_multiplier, data.pruning_ratio) == (3, 0.0)


def test_the_recipe_may_say_otherwise_than_the_datamodule(trainer_for):
    model = fresh()
    callback = CriticalPeriodCallback(rule=Never(), recipe=Recipe(during=Volume(2)))
    fit(trainer_for, model, Declares(multiplier=3), callback, max_epochs=2)
    assert counts(model) == {0: 66, 1: 66}


def test_a_datamodule_that_repeats_by_its_own_attribute_is_not_multiplied_twice(trainer_for):
    class Repeats(Declares):
        def train_dataloader(self):
            data = torch.utils.data.ConcatDataset([Numbered(self.n)] * self.augmentation_multiplier)
            return DataLoader(data, batch_size=4, shuffle=True)

    model = fresh()
    fit(trainer_for, model, Repeats(), CriticalPeriodCallback(rule=Never()), max_epochs=2)
    assert counts(model) == {0: 99, 1: 99}


def test_class_attributes_do_not_stay_behind_on_the_instance(trainer_for):
    class ByClass(TinyData):
        augmentation_multiplier = 2
        pruning_ratio = 0.0

    model, data = fresh(), ByClass()
    fit(trainer_for, model, data, CriticalPeriodCallback(rule=AtEpoch(1)), max_epochs=2)
    assert counts(model) == {0: 66, 1: 23}
    assert not {"augmentation_multiplier", "pruning_ratio", "train_dataloader"} & set(vars(data))


def test_at_epoch_0_never_has_the_full_recipe_but_plans_its_steps(trainer_for):
    full = fresh(scheduler=one_cycle)
    fit(trainer_for, full, Declares(), CriticalPeriodCallback(rule=Never()), max_epochs=3)
    for workers in (0, 2):
        model = fresh(scheduler=one_cycle)
        callback = CriticalPeriodCallback(rule=AtEpoch(0), recipe=Recipe(after=HALF, annealing_fraction=0))
        fit(trainer_for, model, Declares(num_workers=workers), callback, max_epochs=3)
        assert counts(model) == {0: 16, 1: 16, 2: 16}
        assert model.planned_steps == 3 * 25
        assert callback.end_epoch == 0
        assert [model.rates[e][-1] for e in range(3)] == [full.rates[e][-1] for e in range(3)]


def test_train_dataloader_stays_the_users_and_is_asked_for_once(trainer_for):
    class Looks(TinyModel):
        def on_train_epoch_start(self):
            super().on_train_epoch_start()
            loader = self.trainer.train_dataloader
            assert isinstance(loader, DataLoader)
            assert len(loader) == self.trainer.num_training_batches
            assert isinstance(loader.dataset, Numbered)
            assert (loader.batch_size, loader.num_workers) == (4, 1)

    model, data = Looks(), TinyData(num_workers=1, persistent_workers=True)
    fit(trainer_for, model, data, CriticalPeriodCallback(rule=AtEpoch(2)))
    assert data.calls == 1
    assert model.totals == {0: 9, 1: 9, 2: 6, 3: 6, 4: 6, 5: 9}


@pytest.mark.parametrize("how", ["passed to fit", "of the module", "of the datamodule"])
def test_loaders_are_found_wherever_they_come_from(trainer_for, how):
    loader = DataLoader(Numbered(), batch_size=4)

    class WithLoader(TinyModel):
        def train_dataloader(self):
            return loader

    callback = CriticalPeriodCallback(rule=AtEpoch(1))
    trainer = trainer_for(callback, max_epochs=2)
    model = WithLoader() if how == "of the module" else fresh()
    arguments = {"passed to fit": {"train_dataloaders": loader}, "of the datamodule": {"datamodule": TinyData()}}
    trainer.fit(model, val_dataloaders=None if "datamodule" in how else loader, **arguments.get(how, {}))
    assert counts(model) == {0: 33, 1: 23}
    assert len(loader) == 9


def test_the_same_loader_for_training_and_validation_changes_in_training_only(trainer_for):
    loader, model = DataLoader(Numbered(), batch_size=4), fresh()
    trainer = trainer_for(CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(3))), max_epochs=2)
    trainer.fit(model, loader, loader)
    assert counts(model) == {0: 33, 1: 99}
    assert trainer.num_val_batches == [9]
    assert len(loader) == 9


BREAKS = ["setup", "configure_optimizers", "validation_step", "training_step", "on_train_epoch_end"]


@pytest.mark.parametrize("where", BREAKS)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_no_trace_is_left_after_an_exception_and_the_callback_fits_again(trainer_for, where, kind):
    model, data, callback = fresh(), Declares(), CriticalPeriodCallback(rule=AtEpoch(1))
    trainer = trainer_for(callback, max_epochs=3, num_sanity_val_steps=0)
    own = set(vars(data))

    def breaks(*args, **kwargs):
        raise kind("on purpose")

    original = getattr(type(model), where)
    setattr(type(model), where, breaks)
    try:
        with pytest.raises((RuntimeError, SystemExit)):
            trainer.fit(model, data)
    finally:
        setattr(type(model), where, original)
    assert (data.augmentation_multiplier, data.pruning_ratio) == (3, 0.0)
    assert set(vars(data)) == own
    assert "lr_scheduler_step" not in vars(model)
    assert "process_dataloader" not in vars(trainer.strategy)
    again = fresh()
    fit(trainer_for, again, data, callback, max_epochs=2)
    assert counts(again) == {0: 99, 1: 23}


def test_a_used_callback_starts_from_nothing_in_a_fresh_run(trainer_for):
    callback, histories = CriticalPeriodCallback(recipe=Recipe()), []
    for _ in range(2):
        fit(trainer_for, fresh(), TinyData(), callback, max_epochs=12)
        histories.append((callback.history, callback.end_epoch, callback.volumes))
    assert histories[0] == histories[1]


def test_the_same_trainer_fitted_again_with_more_epochs_goes_on(trainer_for):
    model, data, callback = fresh(), TinyData(), CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=HALF))
    trainer = fit(trainer_for, model, data, callback, max_epochs=3)
    history = dict(callback.history)
    trainer.fit_loop.max_epochs = 5
    trainer.fit(model, data)
    assert counts(model) == {0: 33, 1: 33, 2: 16, 3: 16, 4: 33}
    assert {e: callback.history[e] for e in range(3)} == history
    assert set(callback.history) == set(range(5))


def test_a_callback_that_is_kept_in_a_model_made_its_second_and_shorter_fit_an_error(trainer_for):
    callback = CriticalPeriodCallback(rule=AtEpoch(3), recipe=Recipe(after=HALF))
    fit(trainer_for, fresh(), TinyData(), callback, max_epochs=5)
    model = fresh()
    with pytest.warns(
        UserWarning, match=r"kept from an earlier fit, .* AtEpoch\(epoch=3\) is past the end: max_epochs=3"
    ):
        fit(trainer_for, model, TinyData(), callback, max_epochs=3)
    assert counts(model) == {0: 33, 1: 33, 2: 33}


def test_what_is_logged_is_what_was_applied(trainer_for, tmp_path):
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path)
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=Volume(2, 0.5), annealing_fraction=0))
    fit(trainer_for, fresh(), TinyData(), callback, logger=logger, max_epochs=4, log_every_n_steps=1)
    with open(logger.experiment.metrics_file_path) as file:
        rows = [row for row in csv.DictReader(file) if row["critical_period/over"]]
    names = ("layer_rotation", "augmentation_multiplier", "pruning_ratio", "over")
    logged = [tuple(float(row[f"critical_period/{name}"]) for name in names) for row in rows]
    expected = [(callback.history[e], *((1, 0) if e < 2 else (2, 0.5)), float(e >= 1)) for e in range(4)]
    assert logged == [pytest.approx(row, rel=1e-6) for row in expected]


def test_an_observer_says_what_it_would_have_done_beside_one_that_drives(trainer_for):
    model = fresh()
    drives = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=HALF, annealing_fraction=0))
    observes = CriticalPeriodCallback(rule=AtEpoch(1), observe_only=True)
    fit(trainer_for, model, TinyData(), observes, drives, max_epochs=4)
    assert (observes.end_epoch, drives.end_epoch) == (1, 2)
    assert counts(model) == {0: 33, 1: 33, 2: 16, 3: 16}
    assert observes.volumes == drives.volumes == {0: Volume(), 1: Volume(), 2: HALF, 3: HALF}


def test_users_write_their_own_signal_and_rule(trainer_for):
    class Norm(Signal):
        name = "norm"

        def measure(self, trainer, pl_module):
            return None if trainer.current_epoch % 2 else float(weights(pl_module).norm())

    asked = []

    class Third(Rule):
        def __call__(self, history, max_epochs):
            asked.append(list(history))
            return sum(map(math.isfinite, history.values())) == 2

    model, callback = fresh(), CriticalPeriodCallback(signal=Norm(), rule=Third(), recipe=Recipe(after=HALF))
    fit(trainer_for, model, TinyData(), callback, max_epochs=6)
    assert asked == [[], [0], [0, 1], [0, 1, 2]]
    assert set(callback.history) == {0, 2, 4}
    assert callback.end_epoch == 3
    assert counts(model)[3] == 16


REFUSED = {
    "max_epochs": (lambda: CriticalPeriodCallback(recipe=Recipe()), dict(max_epochs=-1, max_steps=5)),
    "max_steps=20": (lambda: CriticalPeriodCallback(recipe=Recipe()), dict(max_epochs=6, max_steps=20)),
    "9.*6": (lambda: CriticalPeriodCallback(rule=AtEpoch(9)), dict(max_epochs=6)),
    "leaves no batch of the 33 samples": (
        lambda: CriticalPeriodCallback(recipe=Recipe(after=Volume(0.01))),
        dict(max_epochs=6),
    ),
    "val_check_interval=9": (
        lambda: CriticalPeriodCallback(recipe=Recipe()),
        dict(val_check_interval=9, reload_dataloaders_every_n_epochs=1),
    ),
}


@pytest.mark.parametrize(("text", "case"), REFUSED.items(), ids=REFUSED)
def test_a_run_that_cannot_work_is_refused_before_the_first_batch(trainer_for, text, case):
    callback, arguments = case
    model = fresh()
    with pytest.raises(ValueError, match=text):
        fit(trainer_for, model, TinyData(), callback(), **arguments)
    assert not model.samples


@pytest.mark.parametrize("value", [-1, 0, math.nan, math.inf, True, "3", None])
def test_a_declared_value_that_is_no_multiplier_is_refused_by_name(trainer_for, value):
    data, model = Declares(), fresh()
    data.augmentation_multiplier = value
    with pytest.raises((ValueError, TypeError), match=f"augmentation_multiplier.*{value}"):
        fit(trainer_for, model, data, CriticalPeriodCallback(recipe=Recipe()))
    assert not model.samples


def test_two_callbacks_that_drive_are_refused(trainer_for):
    class Other(LayerRotation):
        name = "other"

    callbacks = CriticalPeriodCallback(recipe=Recipe()), CriticalPeriodCallback(signal=Other(), rule=Slope())
    with pytest.raises(
        ValueError, match="one callback may drive a run, got CriticalPeriodCallback and CriticalPeriodCallback"
    ):
        fit(trainer_for, fresh(), TinyData(), *callbacks)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (dict(signal="rotation"), TypeError, "signal must be a Signal, got 'rotation'"),
        (dict(rule=45), TypeError, "rule must be a Rule, got 45"),
        (dict(recipe=Volume()), TypeError, "recipe must be a Recipe"),
        (dict(lr_policy="keep"), ValueError, "lr_policy must be one of .*'keep'"),
        (dict(observe_only=1), TypeError, "observe_only must be a bool, got 1"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        CriticalPeriodCallback(**arguments)


def test_fast_dev_run_is_no_reason_to_refuse(trainer_for):
    model = fresh()
    fit(trainer_for, model, TinyData(), CriticalPeriodCallback(rule=AtEpoch(5)), fast_dev_run=True)
    assert counts(model) == {0: 4}


def test_a_model_without_kernels_is_refused(trainer_for):
    class Flat(TinyModel):
        def __init__(self):
            super().__init__()
            self.net = nn.BatchNorm1d(4)

    with pytest.raises(ValueError, match="LayerRotation needs a trainable parameter of two or more dimensions"):
        fit(trainer_for, Flat(), TinyData(), CriticalPeriodCallback(recipe=Recipe()))


@pytest.mark.parametrize(
    "make",
    [
        CriticalPeriodCallback,
        lambda: CriticalPeriodCallback(GradientConfusion(), observe_only=True),
        lambda: CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(after=HALF)),
    ],
    ids=["observes", "observes gradients", "does not go by the signal"],
)
def test_a_model_without_kernels_was_refused_though_nothing_goes_by_its_signal(trainer_for, make):
    class Flat(TinyModel):
        def __init__(self):
            super().__init__()
            self.net = nn.LayerNorm(4)

    plain, ours, callback = Flat(), Flat(), make()
    fit(trainer_for, plain, TinyData(), max_epochs=2)
    with pytest.warns(UserWarning, match="is not measured in this run: .* needs a trainable parameter") as said:
        fit(trainer_for, ours, TinyData(), callback, max_epochs=4)
    assert len([one for one in said if "measured" in str(one.message)]) == 1
    assert callback.history == {}
    assert counts(ours) == ({0: 33, 1: 33, 2: 33, 3: 33} if callback.observe_only else {0: 33, 1: 33, 2: 16, 3: 33})
    assert [ours.samples[epoch] for epoch in (0, 1)] == list(plain.samples.values())


def test_a_metric_that_training_logs_by_step_and_by_epoch_is_the_epochs_mean_though_validation_comes_between(
    trainer_for,
):
    """The last step's value stood in the history, because validation was not announced to the signal."""

    class Logs(TinyModel):
        means: ClassVar[dict] = {}

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.means.setdefault(self.current_epoch, []).append((float(loss.detach()), len(batch[0])))
            self.log("loss", loss, on_step=True, on_epoch=True, batch_size=len(batch[0]))
            return loss

    torch.manual_seed(0)
    model, callback = Logs(), CriticalPeriodCallback(signal=MonitoredMetric("loss"), rule=Never())
    fit(trainer_for, model, TinyData(), callback, max_epochs=3)
    truth = {e: sum(v * n for v, n in m) / sum(n for _, n in m) for e, m in model.means.items()}
    assert callback.history == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize(("observe", "label"), [(False, "period"), (True, "observed")])
@pytest.mark.parametrize("kind", ["rich", "tqdm"])
def test_a_progress_bar_of_80_columns_says_whether_the_period_is_over(trainer_for, kind, observe, label):
    class Shown(Callback):
        def __init__(self):
            self.seen = {}

        def on_train_batch_end(self, trainer, *_):
            self.seen[trainer.current_epoch] = trainer.progress_bar_callback.get_metrics(trainer, None)[label]

    out, shown = io.StringIO(), Shown()
    wide = {"width": 80, "force_terminal": True, "file": out}
    bar = RichProgressBar(refresh_rate=1, console_kwargs=wide) if kind == "rich" else TQDMProgressBar(refresh_rate=1)
    callback = CriticalPeriodCallback(rule=AtEpoch(2), observe_only=observe)
    trainer = trainer_for(callback, bar, shown, max_epochs=3, enable_progress_bar=True)
    trainer.fit(TinyModel(), datamodule=Declares())
    assert shown.seen == {0: "critical", 1: "critical", 2: "over"}
    if kind == "rich":
        assert f"{label}: critical" in out.getvalue()
        assert f"{label}: over" in out.getvalue()
    assert "get_metrics" not in vars(bar)
    assert "critical_period/over" in trainer.callback_metrics
