"""After fit, an exception or an interrupt all objects are as a run without us would have left them."""

import contextlib

import pytest
import torch
from conftest import Declares, Numbered, TinyData, TinyModel, make_trainer
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, Change, CriticalPeriodCallback, LayerRotation, Plateau, Recipe, Volume
from lightning_critperiod.recipe import require_number

PLAIN = (int, float, str, bool, type(None))


class Repeats(Declares):
    """Draws its declared volume by itself, so that it is as long without us as with us."""

    def train_dataloader(self):
        data = torch.utils.data.ConcatDataset([Numbered(self.n)] * self.augmentation_multiplier)
        return DataLoader(data, batch_size=4, shuffle=True)


class Model(TinyModel):
    def __init__(self):
        super().__init__(scheduler=lambda o, n: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=n))
        self.break_in, self.error = None, None

    def at(self, where):
        if where == self.break_in and (where != "late" or self.current_epoch == 2):
            raise self.error("on purpose")

    def training_step(self, batch, batch_idx):
        self.at("training_step")
        self.at("late")
        return super().training_step(batch, batch_idx)

    def configure_optimizers(self):
        self.at("configure_optimizers")
        return super().configure_optimizers()

    def lr_scheduler_step(self, scheduler, metric):
        self.at("lr_scheduler_step")
        super().lr_scheduler_step(scheduler, metric)


for hook in (
    "setup",
    "on_fit_start",
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_end",
):
    setattr(Model, hook, lambda self, *args, hook=hook, **_: self.at(hook))


def lengths(trainer):
    loaders = trainer.fit_loop._combined_loader.flattened
    return [(type(part), len(part), type(part.sampler), len(part.sampler)) for part in loaders]


def seen(trainer, model, data, *loaders):
    """Every plain value, and the kind of every other attribute, of all that a run touches."""
    things = {
        "trainer": trainer,
        "strategy": trainer.strategy,
        "loop": trainer.fit_loop,
        "model": model,
        "data": data,
    }
    things |= {"epoch loop": trainer.fit_loop.epoch_loop, "connector": trainer._data_connector}
    things |= {f"loader {i}": loader for i, loader in enumerate(loaders)}
    # How far an epoch went, and what the model wrote down itself, differ by what was trained on.
    left_out = {
        "samples",
        "rates",
        "validations",
        "totals",
        "_batches_that_stepped",
        "_last_val_time",
        "_train_start_time",
        "callbacks",
    }
    state = {
        (name, key): value if isinstance(value, PLAIN) else type(value)
        for name, thing in things.items()
        if thing is not None
        for key, value in vars(thing).items()
        if key not in left_out
    }
    combined = trainer.fit_loop._combined_loader
    if combined is not None:
        state["limits"], state["mode"] = list(combined.limits or []), combined._mode
        # A datamodule that repeats its samples itself was asked for the loader while it declared nothing.
        state["lengths"] = None if isinstance(data, Repeats) else lengths(trainer)
    return state | {"batches": trainer.num_training_batches}


def different(one, other):
    return {key: (one.get(key), other.get(key)) for key in {*one, *other} if one.get(key) != other.get(key)}


def ours(signal=None, rule=None):
    recipe = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0)
    return CriticalPeriodCallback(signal, rule or AtEpoch(1), recipe)


def after(tmp_path, callbacks, data, where=None, error=RuntimeError, loaders=()):
    torch.manual_seed(0)
    model = Model()
    model.break_in, model.error = where, error
    arguments = {"datamodule": data} if data is not None else {"train_dataloaders": loaders[0]}
    trainer = make_trainer(tmp_path, callbacks, max_epochs=3, num_sanity_val_steps=0, val_check_interval=0.5)
    if where is None:
        trainer.fit(model, **arguments)
    else:
        with pytest.raises((error, SystemExit)):
            trainer.fit(model, **arguments)
    return seen(trainer, model, data, *loaders)


def assert_no_trace(tmp_path, data, callbacks=(), **kwargs):
    stock = after(tmp_path, [c() for c in callbacks], data(), **kwargs)
    with_us = after(tmp_path, [*(c() for c in callbacks), ours()], data(), **kwargs)
    assert different(with_us, stock) == {}


DATA = {
    "plain": TinyData,
    "workers": lambda: TinyData(num_workers=1, persistent_workers=True),
    "repeats": Repeats,
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_after_fit(tmp_path, data):
    assert_no_trace(tmp_path, data)


def test_the_comparison_sees_a_trace(tmp_path):
    """What it must not find: an attribute left behind, a length, an override."""

    class Leaves(Callback):
        def on_train_end(self, trainer, pl_module):
            pl_module.left = True
            trainer.fit_loop.max_batches = 5
            trainer.strategy.process_dataloader = trainer.strategy.process_dataloader

    stock, changed = after(tmp_path, [], TinyData()), after(tmp_path, [Leaves()], TinyData())
    assert different(stock, changed).keys() == {
        ("model", "left"),
        ("loop", "max_batches"),
        ("strategy", "process_dataloader"),
        "batches",
    }


@pytest.mark.parametrize("mode", ["min_size", "max_size_cycle", "max_size"])
def test_a_combined_loader_of_the_users(tmp_path, mode):
    def loaders():
        parts = [DataLoader(Numbered(n), batch_size=4, shuffle=True) for n in (33, 9)]
        return CombinedLoader(parts, mode), *parts

    class Both(Model):
        def loss(self, batch):
            return sum(super(Both, self).loss(part) for part in batch if part is not None)

        def training_step(self, batch, batch_idx):
            return self.loss(batch)

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", super().loss(batch))

    results = []
    for callbacks in ([], [ours()]):
        combined, *parts = loaders()
        model = Both()
        trainer = make_trainer(tmp_path, callbacks, max_epochs=3)
        trainer.fit(model, combined, DataLoader(Numbered(8), batch_size=4))
        results.append(seen(trainer, model, None, combined, *parts))
        assert combined.flattened == parts
        assert [len(part) for part in parts] == [9, 3]
    assert different(*results) == {}


WHERE = [
    *("setup", "configure_optimizers", "on_fit_start", "on_train_start", "on_train_epoch_start"),
    *("on_train_batch_start", "training_step", "lr_scheduler_step", "late", "on_train_end"),
]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", WHERE)
def test_after_an_exception_in_a_hook_of_the_module(tmp_path, where, error):
    assert_no_trace(tmp_path, TinyData, where=where, error=error)
    assert_no_trace(tmp_path, Repeats, where=where, error=error)


def breaking(hook):
    def breaks(self, *args, **kwargs):
        raise RuntimeError("on purpose")

    return type("Breaks", (Callback,), {hook: breaks})


HOOKS = [
    *("setup", "on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_batch_start"),
    *("on_before_optimizer_step", "on_train_batch_end", "on_validation_start", "on_validation_end"),
    *("on_train_epoch_end", "on_train_end", "on_fit_end", "teardown"),
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", HOOKS)
def test_after_an_exception_in_another_callback(tmp_path, hook, first):
    states = []
    for us in ([], [ours()]):
        data, model = Repeats(), Model()
        callbacks = [breaking(hook)(), *us] if first else [*us, breaking(hook)()]
        trainer = make_trainer(tmp_path, callbacks, max_epochs=3, num_sanity_val_steps=0)
        with pytest.raises(RuntimeError, match="on purpose"):
            trainer.fit(model, data)
        states.append(seen(trainer, model, data))
    assert different(*states) == {}


class Broken(LayerRotation):
    """Fails where the callback asks it."""

    def __init__(self, hook):
        super().__init__()
        self.hook = hook

    def __getattribute__(self, name):
        if name == object.__getattribute__(self, "__dict__").get("hook"):
            raise RuntimeError("on purpose")
        return super().__getattribute__(name)


def assert_gone(trainer, data):
    assert (data.augmentation_multiplier, data.pruning_ratio) == (3, 0.0)
    assert "process_dataloader" not in vars(trainer.strategy)
    assert "train_dataloader" not in vars(data)
    assert "setup_data" not in vars(trainer.fit_loop)
    assert "update_lr_schedulers" not in vars(trainer.fit_loop.epoch_loop)
    assert type(trainer) is Trainer


def test_after_a_signal_that_the_rule_reads_fails_before_the_first_batch(tmp_path):
    data, model = Repeats(), Model()
    callback = ours(Broken("on_train_start"), Plateau(patience=1))
    trainer = make_trainer(tmp_path, [callback], max_epochs=3, num_sanity_val_steps=0)
    with pytest.raises(RuntimeError, match="on purpose"):
        trainer.fit(model, data)
    assert_gone(trainer, data)


@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_train_batch_end", "measure"])
def test_a_signal_that_fails_after_the_first_batch_is_a_warning_and_not_measured(tmp_path, hook):
    data, model = Repeats(), Model()
    callback = ours(Broken(hook))
    trainer = make_trainer(tmp_path, [callback], max_epochs=3, num_sanity_val_steps=0)
    with pytest.warns(UserWarning, match=r"failed while measuring layer_rotation \(RuntimeError: on purpose\)") as said:
        trainer.fit(model, data)
    assert len([warning for warning in said if "on purpose" in str(warning.message)]) == 1
    assert trainer.current_epoch == 3
    assert not callback.history or hook != "measure"
    assert_gone(trainer, data)


def test_after_a_refusal_in_our_own_setup(tmp_path):
    """A datamodule whose second attribute is out of range is refused before anything is put in place."""
    data = Declares()
    data.pruning_ratio = 2
    before = dict(vars(data))
    trainer = make_trainer(tmp_path, [ours()], max_epochs=3)
    with pytest.raises(ValueError, match=r"pruning_ratio must be a number from 0 and below 1, got 2"):
        trainer.fit(Model(), data)
    assert {key: value for key, value in vars(data).items() if key in before and key != "trainer"} == {
        key: value for key, value in before.items() if key != "trainer"
    }
    assert "process_dataloader" not in vars(trainer.strategy)


def test_after_an_exception_in_the_dataset(tmp_path):
    class Bad(Numbered):
        def __getitem__(self, number):
            require_number("number", number, low=0, high=20)
            return super().__getitem__(number)

    class BadData(TinyData):
        def train_dataloader(self):
            return DataLoader(Bad(self.n), batch_size=4)

    states = []
    for us in ([], [ours()]):
        data, model = BadData(), Model()
        trainer = make_trainer(tmp_path, us, max_epochs=3, num_sanity_val_steps=0)
        with pytest.raises(ValueError, match="number must be a number"):
            trainer.fit(model, data)
        states.append(seen(trainer, model, data))
    assert different(*states) == {}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_same_trainer_fits_again_without_us(tmp_path, error):
    model, data, us = Model(), TinyData(), ours()
    trainer = make_trainer(tmp_path, [us], max_epochs=3)
    model.break_in, model.error = "late", error
    with pytest.raises((error, SystemExit)):
        trainer.fit(model, data)
    model.break_in = None
    trainer.callbacks.remove(us)
    model.samples.clear()
    trainer.fit(model, data)
    assert {epoch: sum(map(len, batches)) for epoch, batches in model.samples.items()} == {2: 33}


class Fails(Change):
    """A change of a user's own that fails in one of its hooks from the second epoch on."""

    name = "fails"

    def __init__(self, hook):
        self.hook = hook

    def setup(self, trainer, pl_module):
        self.trainer = trainer

    def _at(self, hook):
        if hook == self.hook and self.trainer.current_epoch:
            raise RuntimeError("on purpose")

    def apply(self, phase):
        self._at("apply")

    def on_train_batch_start(self, *_):
        self._at("on_train_batch_start")

    def on_before_optimizer_step(self, *_):
        self._at("on_before_optimizer_step")

    def on_train_batch_end(self, *_):
        self._at("on_train_batch_end")

    def on_train_end(self, *_):
        self._at("on_train_end")

    def undo(self):
        self._at("undo")


@pytest.mark.parametrize(
    "hook",
    ["apply", "on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end", "on_train_end", "undo"],
)
def test_a_change_that_fails_after_the_first_batch_is_one_warning_and_ends_no_training(tmp_path, hook):
    data, model = Repeats(), Model()
    recipe = Recipe(after=Volume(), changes=[Fails(hook)])
    trainer = make_trainer(tmp_path, [CriticalPeriodCallback(rule=AtEpoch(1), recipe=recipe)], max_epochs=3)
    with pytest.warns(UserWarning, match=r"failed while \w+ fails \(RuntimeError: on purpose\)") as said:
        trainer.fit(model, data)
    assert len([warning for warning in said if "on purpose" in str(warning.message)]) == 1
    assert trainer.current_epoch == 3
    assert_gone(trainer, data)


class Hears(Change):
    """Notes the epochs at which a training ended."""

    name = "hears"

    def __init__(self):
        self.ends = []

    def apply(self, phase):
        pass

    def on_train_end(self, trainer, pl_module):
        self.ends.append(trainer.current_epoch)


class Stops(Callback):
    """Does something after the second step of the second epoch."""

    def __init__(self, how):
        self.how = how

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (1, 1):
            self.how(trainer)


def stop(trainer):
    trainer.should_stop = True


def expire(trainer):
    (timer,) = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    timer._duration = 0.0


def interrupt(trainer):
    raise KeyboardInterrupt


def fail(trainer):
    raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("how", "heard"),
    [(lambda _: None, 1), (stop, 1), (expire, 1), (interrupt, 0), (fail, 0)],
    ids=["to the end", "should_stop", "max_time", "interrupted", "failed"],
)
def test_a_change_hears_of_the_end_of_a_training_once_unless_an_exception_ended_it(tmp_path, how, heard):
    change = Hears()
    callback = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(), changes=[change]))
    trainer = make_trainer(tmp_path, [Stops(how), callback], max_epochs=3, max_time={"hours": 1})
    with contextlib.suppress(RuntimeError, SystemExit):
        trainer.fit(Model(), TinyData())
    assert len(change.ends) == heard


def test_a_change_hears_of_no_end_where_nothing_is_trained(tmp_path):
    change = Hears()
    callback = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(), changes=[change]))
    trainer = make_trainer(tmp_path, [callback], max_epochs=1)
    trainer.validate(Model(), TinyData(), verbose=False)
    assert change.ends == []
