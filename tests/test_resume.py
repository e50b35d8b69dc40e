"""A resumed run is the uninterrupted one: every test trains twice, the second time from a checkpoint of the first."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import lightning as L
import pytest
import torch
from conftest import Declares, Numbered, TinyData, TinyModel, make_trainer, weights
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader, IterableDataset, WeightedRandomSampler

from lightning_critperiod import (
    AtEpoch,
    CriticalPeriodCallback,
    GradientConfusion,
    GradientPredictiveness,
    LayerRotation,
    MonitoredMetric,
    Never,
    Plateau,
    Recipe,
    Slope,
    TrainingGradientConfusion,
    Volume,
)

pytestmark = [
    # Lightning says it of every checkpoint inside an epoch, because it can't know that the draws are seeded.
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined"),
    pytest.mark.filterwarnings("ignore:Train data without an index sampler is pruned"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
]

HALF = Volume(pruning_ratio=0.5)
RECIPE = Recipe(after=HALF, annealing_fraction=0.25)  # AtEpoch(2) of 6: batches 9, 9, 2, 2, 2, 9


class SavesEverywhere(Checkpoint):
    """A checkpoint at every batch end, validation end and epoch end; named by hook, epoch and batch."""

    def __init__(self, folder):
        self.folder, self.paths = Path(folder), []

    def save(self, trainer, *name):
        self.paths.append(self.folder / ("-".join(map(str, name)) + ".ckpt"))
        trainer.save_checkpoint(self.paths[-1])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.save(trainer, "batch", trainer.current_epoch, batch_idx)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.save(trainer, "val", trainer.current_epoch, trainer.fit_loop.batch_idx)

    def on_train_epoch_end(self, trainer, pl_module):
        self.save(trainer, "epoch", trainer.current_epoch)


class Recording(TinyModel):
    """Keeps (epoch, batch, sample numbers, LR) of every step in order; takes dicts of batches, too."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = []

    def training_step(self, batch, batch_idx):
        parts = batch if isinstance(batch, dict) else {"": batch}
        numbers = {name: part[0].tolist() for name, part in parts.items() if part is not None}
        self.steps.append([self.current_epoch, batch_idx, numbers])
        loss = sum(self.loss(part) for part in parts.values() if part is not None)
        self.log("train_loss", loss, batch_size=1)
        return loss

    def on_train_batch_end(self, *_):
        self.steps[-1].append(self.optimizers().param_groups[0]["lr"])


def one_cycle(optimizer, total_steps):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=total_steps)


def drive(signal=None, rule=None, recipe=RECIPE, **kwargs):
    return CriticalPeriodCallback(signal, rule or AtEpoch(2), recipe, **kwargs)


def data(**kwargs):
    """Declares two views, so that the draws are ours from the first epoch on."""
    return Declares(**{"n": 17, "multiplier": 2, **kwargs})


class Loads(Declares):
    def __init__(self, loader):
        super().__init__(n=17, multiplier=2)
        self.make = loader

    def train_dataloader(self):
        return self.make()


def train(folder, callback, datamodule, *others, ckpt=None, seed=1, scheduler=one_cycle, **arguments):
    """What is seen of a run. Weights start the same; the global seed of a resumed run is another one."""
    torch.manual_seed(0)
    model = Recording(scheduler=scheduler)
    L.seed_everything(seed if ckpt is None else seed + 98, verbose=False)
    callbacks = [callback, *others]
    saves = any(isinstance(c, Checkpoint) for c in others)
    trainer = make_trainer(folder, callbacks, enable_checkpointing=saves, **arguments)
    trainer.fit(model, datamodule, ckpt_path=ckpt, weights_only=True if ckpt else None)
    momentum = [state["momentum_buffer"] for state in trainer.optimizers[0].state_dict()["state"].values()]
    return {
        "steps": model.steps,
        "weights": torch.cat([weights(model), *(m.flatten() for m in momentum)]),
        "planned": model.planned_steps,
        "global_step": trainer.global_step,
        "epochs": trainer.current_epoch,
        "history": callback.history,
        "decision": (callback.end_epoch, callback.reason),
        "volumes": callback.volumes,
    }


def expected_steps(whole, path):
    """The steps of a run that come after one of its checkpoints."""
    _, epoch, *batch = path.stem.split("-")
    last = (int(epoch), int(batch[0]) if batch else 10**9)
    return [step for step in whole["steps"] if (step[0], step[1]) > last]


def assert_same(resumed, whole, path):
    assert resumed["steps"] == expected_steps(whole, path), path.stem
    assert torch.equal(resumed["weights"], whole["weights"]), path.stem
    for what in ("planned", "global_step", "epochs", "history", "decision", "volumes"):
        assert resumed[what] == whole[what], (path.stem, what)


def assert_resumes(folder, callback, datamodule, where=lambda path: True, **arguments):
    """Resume from every checkpoint that ``where`` picks, and compare.

    Returns:
        The checkpoints that were tried.
    """
    saves = SavesEverywhere(folder)
    whole = train(folder, callback(), datamodule(), saves, **arguments)
    paths = [path for path in saves.paths if where(path.stem)]
    for path in paths:
        assert_same(train(folder, callback(), datamodule(), ckpt=path, **arguments), whole, path)
    return paths


# Before the switch (0, 1), at it (2), after it (3), before annealing (4) and inside it (5); -8 and -1 are last batches.
SOME = {
    *("epoch-0", "epoch-1", "epoch-2", "epoch-4", "val-0-8", "val-1-8", "val-2-1", "val-4-1"),
    *("batch-0-3", "batch-1-0", "batch-1-8", "batch-2-0", "batch-2-1", "batch-4-1", "batch-5-4"),
}


def some(name):
    return name in SOME


def no_last_batch(name):
    """Without the last batch of an epoch: Lightning does not validate any more when it goes on from there."""
    return some(name) and name not in {"batch-1-8", "batch-2-1", "batch-4-1"}


def test_from_every_batch_every_validation_and_every_epoch_end(tmp_path):
    assert len(assert_resumes(tmp_path, drive, data)) == 45


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_with_workers(tmp_path, workers, persistent):
    def loads():
        return data(num_workers=workers, persistent_workers=persistent)

    few = {"epoch-1", "val-1-8", "batch-1-3", "batch-1-8", "batch-2-0"}
    assert len(assert_resumes(tmp_path, drive, loads, few.__contains__, max_epochs=4)) == 5


def test_when_the_switch_changes_nothing_but_whose_draws_they_are(tmp_path):
    """With workers the first epoch used to begin with what they had fetched before the draws were ours."""

    def callback():
        return drive(rule=AtEpoch(0), recipe=Recipe(after=Volume()))

    def loads():
        return TinyData(n=17, num_workers=1)

    names = {"batch-0-1", "batch-0-4", "epoch-0", "batch-1-2"}
    assert len(assert_resumes(tmp_path, callback, loads, names.__contains__, max_epochs=2)) == 4


TRAINER = {
    "validation twice an epoch": dict(val_check_interval=0.5),
    "validation every other epoch": dict(check_val_every_n_epoch=2),
    "validation every 2 batches": dict(val_check_interval=2),
    "validation every 4 batches across epochs": dict(check_val_every_n_epoch=None, val_check_interval=4),
    "no validation": dict(limit_val_batches=0),
    "half of the batches": dict(limit_train_batches=0.5),
    "loaders reloaded every epoch": dict(reload_dataloaders_every_n_epochs=1),
    "no scheduler": dict(scheduler=None),
}


@pytest.mark.parametrize("arguments", TRAINER.values(), ids=TRAINER)
def test_with_other_settings_of_the_trainer(tmp_path, arguments):
    assert len(assert_resumes(tmp_path, drive, data, some, **arguments)) >= 7


def test_with_accumulated_gradients_where_none_are_pending(tmp_path):
    """Lightning does not save gradients: of three batches for a step only the third can be resumed from."""
    steps = {"batch-0-2", "batch-1-5", "batch-1-8", "batch-2-1", "epoch-1", "epoch-4", "val-3-1", "batch-5-2"}
    tried = assert_resumes(tmp_path, drive, data, steps.__contains__, accumulate_grad_batches=3)
    assert len(tried) == len(steps)


def test_a_volume_that_grows_after_the_period(tmp_path):
    """From its last batch the shorter epoch is over, although the next one has more batches than that."""
    recipe = Recipe(during=Volume(1.5), after=Volume(3), annealing_fraction=0.25)
    names = {"batch-1-6", "epoch-1", "batch-2-5", "batch-4-12", "val-4-12", "batch-5-1"}
    assert len(assert_resumes(tmp_path, lambda: drive(recipe=recipe), data, names.__contains__)) == 6


class Stream(IterableDataset):
    def __init__(self, n):
        self.data = Numbered(n)

    def __iter__(self):
        return (self.data[i] for i in range(len(self.data)))


class Sized(Stream):
    def __len__(self):
        return len(self.data)


def of(n, **kwargs):
    return DataLoader(Numbered(n), batch_size=4, **{"shuffle": True, **kwargs})


LOADERS = {
    "weighted": lambda: of(17, shuffle=False, sampler=WeightedRandomSampler([1.0] * 16 + [9.0], 17)),
    "sized stream": lambda: DataLoader(Sized(17), batch_size=4),
    "cycle": lambda: CombinedLoader({"a": of(17), "b": of(9)}, "max_size_cycle"),
    "longest": lambda: CombinedLoader({"a": of(17), "b": of(9)}, "max_size"),
    "shortest": lambda: CombinedLoader({"a": of(17), "b": of(9)}, "min_size"),
}


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_with_other_loaders(tmp_path, loader):
    """In mid-epoch each loader leaves out its own part: the shorter of two has begun again meanwhile."""
    assert len(assert_resumes(tmp_path, drive, lambda: Loads(loader), some)) >= 8


def test_a_length_that_was_learned_is_not_forgotten(tmp_path):
    """The half of a stream without a length: which half is known from the first pass, in the first session."""
    names = {"epoch-0", "epoch-1", "val-2-1", "batch-2-0", "epoch-2", "batch-5-3"}
    loader = Loads(lambda: DataLoader(Stream(17), batch_size=4))
    tried = assert_resumes(tmp_path, drive, lambda: loader, names.__contains__, scheduler=None)
    assert len(tried) == len(names)


def not_in_an_epochs_end(name):
    """Lightning keeps no training metrics in a checkpoint: one from between the last batch and epoch end lost them."""
    return no_last_batch(name) and not name.startswith("val")


def test_a_training_metric_has_no_value_after_a_resume_from_a_checkpoint_of_validation_end(tmp_path):
    """No value, and not the last step's or the epoch before's."""
    saves = SavesEverywhere(tmp_path)
    whole = train(tmp_path, drive(MonitoredMetric("train_loss"), Never()), data(), saves)
    resumed = train(tmp_path, drive(MonitoredMetric("train_loss"), Never()), data(), ckpt=tmp_path / "val-1-8.ckpt")
    assert resumed["history"] == {e: v for e, v in whole["history"].items() if e != 1}


SIGNALS = {
    "rotation": (lambda: drive(rule=Slope(window=2, max_angle=89, after_rise=False)), some),
    "confusion": (lambda: drive(GradientConfusion(probe_batches=3)), some),
    "confusion in training": (lambda: drive(TrainingGradientConfusion(3)), some),
    "predictiveness": (lambda: drive(GradientPredictiveness(probe_batches=3)), some),
    "every other epoch": (lambda: drive(GradientPredictiveness(probe_batches=3, every_n_epochs=2)), some),
    "validation": (lambda: drive(MonitoredMetric("val_loss"), Plateau(patience=1)), no_last_batch),
    "training": (lambda: drive(MonitoredMetric("train_loss")), not_in_an_epochs_end),
}


@pytest.mark.parametrize(("callback", "where"), SIGNALS.values(), ids=SIGNALS)
def test_every_signal_resumes(tmp_path, callback, where):
    """An epoch without a value (the first of predictiveness) is not measured again, with another outcome."""
    assert len(assert_resumes(tmp_path, callback, data, where)) >= 8


@pytest.mark.parametrize("first", ["batch-0-4", "batch-1-8", "val-1-8", "epoch-1", "batch-4-1"])
def test_resumed_twice(tmp_path, first):
    """After a resume from the last batch Lightning would not count the epoch as begun, and repeat it the next time."""
    saves, again = SavesEverywhere(tmp_path), SavesEverywhere(tmp_path / "again")
    whole = train(tmp_path, drive(), data(), saves)
    train(tmp_path, drive(), data(), again, ckpt=tmp_path / f"{first}.ckpt")
    for path in again.paths[::3]:
        assert_same(train(tmp_path, drive(), data(), ckpt=path), whole, path)
    assert len(again.paths) > 8


def test_before_the_switch_a_plain_loader_is_resumed_as_lightning_does_it(tmp_path):
    """Before the switch its order depends on the global seed; from the switch on the callback chooses the samples."""
    saves = SavesEverywhere(tmp_path)
    whole = train(tmp_path, drive(), TinyData(n=17), saves)
    model = Recording(scheduler=one_cycle)
    L.seed_everything(99, verbose=False)
    stock = make_trainer(tmp_path, max_epochs=2)
    stock.fit(model, TinyData(n=17), ckpt_path=tmp_path / "epoch-0.ckpt", weights_only=True)
    ours = train(tmp_path, drive(), TinyData(n=17), ckpt=tmp_path / "epoch-0.ckpt")
    assert [s[:3] for s in ours["steps"] if s[0] == 1] == [s[:3] for s in model.steps]
    assert [s[2] for s in ours["steps"] if s[0] > 1] == [s[2] for s in whole["steps"] if s[0] > 1]
    for name in ("epoch-1", "batch-2-0", "val-2-1", "batch-4-1", "batch-5-1"):
        path = tmp_path / f"{name}.ckpt"
        assert_same(train(tmp_path, drive(), TinyData(n=17), ckpt=path), whole, path)


def test_different_checkpoints_give_different_runs(tmp_path):
    """The comparison above can fail: a resume from another moment, or with other draws, is another run."""
    saves = SavesEverywhere(tmp_path)
    whole = train(tmp_path, drive(), data(), saves)
    path = tmp_path / "epoch-1.ckpt"
    state = torch.load(path, weights_only=True)
    key = next(key for key in state["callbacks"] if key.startswith("CriticalPeriodCallback"))
    for name, value in (("seed", 12345), ("end_epoch", None), ("history", {0: 1.0})):
        changed = {**state, "callbacks": {key: {**state["callbacks"][key], name: value}}}
        torch.save(changed, tmp_path / "changed.ckpt")
        with pytest.raises(AssertionError, match="epoch-1"):
            assert_same(train(tmp_path, drive(rule=Never()), data(), ckpt=tmp_path / "changed.ckpt"), whole, path)
    other = train(tmp_path, drive(), data(), ckpt=tmp_path / "batch-1-3.ckpt")
    with pytest.raises(AssertionError, match="epoch-1"):
        assert_same(other, whole, path)


@pytest.fixture
def begun(tmp_path):
    """Checkpoints of a run that switched after epoch 1, and the run."""
    return tmp_path, train(tmp_path, drive(), data(), SavesEverywhere(tmp_path))


def counts(run):
    drawn = {}
    for epoch, _, numbers, _ in run["steps"]:
        drawn[epoch] = drawn.get(epoch, 0) + len(numbers[""])
    return drawn


def test_another_recipe_holds_on_resume_and_the_decision_stays(tmp_path):
    folder = tmp_path
    whole = train(folder, drive(), data(), SavesEverywhere(folder), scheduler=None)
    recipe = Recipe(during=Volume(3), after=Volume(pruning_ratio=0.25), annealing_fraction=0.5)
    resumed = train(folder, drive(recipe=recipe), data(), ckpt=folder / "epoch-2.ckpt", scheduler=None)
    assert resumed["decision"] == whole["decision"]
    assert counts(resumed) == {3: 13, 4: 51, 5: 51}
    assert [resumed["volumes"][epoch] for epoch in range(4)] == [Volume(2), Volume(2), HALF, Volume(1, 0.25)]


def test_another_rule_judges_what_was_measured(begun):
    folder, whole = begun
    resumed = train(folder, drive(rule=AtEpoch(4)), data(), ckpt=folder / "epoch-0.ckpt")
    assert resumed["decision"][0] == 4
    assert counts(resumed) == {1: 34, 2: 34, 3: 34, 4: 8, 5: 34}
    already = train(folder, drive(rule=AtEpoch(1)), data(), ckpt=folder / "epoch-0.ckpt")
    assert already["decision"][0] == 1
    assert counts(already) == {1: 8, 2: 8, 3: 8, 4: 8, 5: 34}
    stays = train(folder, drive(rule=Never()), data(), ckpt=folder / "epoch-2.ckpt")
    assert stays["decision"] == whole["decision"]


def test_a_recipe_that_leaves_less_than_is_done_ends_the_epoch(begun):
    folder, _ = begun
    resumed = train(folder, drive(rule=AtEpoch(1)), data(), ckpt=folder / "batch-1-5.ckpt")
    assert counts(resumed) == {2: 8, 3: 8, 4: 8, 5: 34}


def test_another_lr_policy_holds_on_resume(begun):
    folder, whole = begun
    same, other = (
        train(folder, drive(lr_policy=policy), data(), ckpt=folder / "epoch-1.ckpt")
        for policy in ("epoch_equivalent", "unchanged")
    )
    assert [step[3] for step in same["steps"]] == [step[3] for step in whole["steps"] if step[0] > 1]
    assert [step[2] for step in other["steps"]] == [step[2] for step in same["steps"]]
    stock = one_cycle(torch.optim.SGD([torch.zeros(1)], lr=1), whole["planned"])
    rates = [stock.optimizer.param_groups[0]["lr"]]
    for _ in range(whole["global_step"]):
        stock.optimizer.step()
        stock.step()
        rates.append(stock.get_last_lr()[0])
    assert [step[3] for step in other["steps"]] == rates[19:]


def test_more_epochs_on_resume(begun):
    folder, _ = begun
    resumed = train(folder, drive(), data(), ckpt=folder / "epoch-2.ckpt", max_epochs=10, scheduler=None)
    assert counts(resumed) == {**dict.fromkeys(range(3, 8), 8), 8: 34, 9: 34}


def test_who_only_observed_may_drive_on_resume_and_the_other_way_round(tmp_path):
    saves = SavesEverywhere(tmp_path / "observed")
    observer = drive(observe_only=True)
    train(tmp_path, observer, TinyData(n=17), saves)
    resumed = train(tmp_path, drive(), TinyData(n=17), ckpt=tmp_path / "observed" / "epoch-2.ckpt")
    assert resumed["decision"] == (2, observer.reason)
    assert resumed["history"].keys() == set(range(6))
    assert counts(resumed) == {3: 8, 4: 8, 5: 17}
    train(tmp_path, drive(), TinyData(n=17), SavesEverywhere(tmp_path / "driven"))
    watched = train(tmp_path, drive(observe_only=True), TinyData(n=17), ckpt=tmp_path / "driven" / "epoch-2.ckpt")
    assert watched["decision"][0] == 2
    assert counts(watched) == {3: 17, 4: 17, 5: 17}


def test_one_that_drives_and_one_that_observes_resume_together(tmp_path):
    def observer():
        return CriticalPeriodCallback(MonitoredMetric("val_loss"), AtEpoch(3), observe_only=True)

    saves, watching = SavesEverywhere(tmp_path), observer()
    whole = train(tmp_path, drive(), data(), watching, saves)
    for name in ("epoch-1", "val-2-1", "batch-5-3"):
        path, again = tmp_path / f"{name}.ckpt", observer()
        assert_same(train(tmp_path, drive(), data(), again, ckpt=path), whole, path)
        for what in ("history", "end_epoch", "reason", "volumes"):
            assert getattr(again, what) == getattr(watching, what)


def test_two_with_the_same_signal_keep_apart(tmp_path):
    def observer():
        return CriticalPeriodCallback(LayerRotation(), AtEpoch(4), observe_only=True)

    saves, watching = SavesEverywhere(tmp_path), observer()
    whole = train(tmp_path, drive(), data(), watching, saves)
    path, again = tmp_path / "epoch-2.ckpt", observer()
    assert_same(train(tmp_path, drive(), data(), again, ckpt=path), whole, path)
    assert (again.end_epoch, again.history) == (watching.end_epoch, watching.history) == (4, whole["history"])


def test_a_checkpoint_without_our_state_warns_and_goes_on(tmp_path):
    saves = SavesEverywhere(tmp_path)
    torch.manual_seed(0)
    make_trainer(tmp_path, [saves], max_epochs=3, enable_checkpointing=True).fit(
        Recording(scheduler=lambda optimizer, _: one_cycle(optimizer, 100)), TinyData(n=17)
    )
    with pytest.warns(UserWarning, match="critical period of this run began without CriticalPeriodCallback"):
        resumed = train(tmp_path, drive(rule=AtEpoch(4)), TinyData(n=17), ckpt=tmp_path / "epoch-1.ckpt")
    assert counts(resumed) == {2: 17, 3: 17, 4: 8, 5: 17}
    assert resumed["history"].keys() == {2, 3, 4, 5}
    assert resumed["volumes"].keys() == {2, 3, 4, 5}


@pytest.mark.parametrize("name", ["epoch-2", "batch-1-3", "val-4-1"])
def test_our_checkpoint_loads_in_a_trainer_without_us(begun, name):
    folder, _ = begun
    model = Recording(scheduler=lambda optimizer, _: one_cycle(optimizer, 102))
    trainer = make_trainer(folder)
    with pytest.warns(UserWarning, match="callbacks used to create the checkpoint"):
        trainer.fit(model, TinyData(n=17), ckpt_path=folder / f"{name}.ckpt", weights_only=True)
    assert trainer.current_epoch == 6


class Breaks(Callback):
    def __init__(self, epoch, batch):
        self.when = epoch, batch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.when:
            raise RuntimeError("on purpose")


@pytest.mark.parametrize("when", [(0, 5), (1, 0), (2, 1), (3, 0), (5, 4)])
@pytest.mark.parametrize("first", [True, False])
def test_what_is_saved_on_an_exception_is_whole(tmp_path, when, first):
    """ModelCheckpoint(save_on_exception=True) saves after our on_exception has taken everything off the Trainer."""
    whole = train(tmp_path, drive(), data())
    keeps = ModelCheckpoint(tmp_path / "kept", save_on_exception=True, save_top_k=0, every_n_epochs=100)
    callback, others = drive(), (keeps, Breaks(*when)) if first else (Breaks(*when), keeps)
    with pytest.raises(RuntimeError, match="on purpose"):
        train(tmp_path, callback, data(), *others)
    (path,) = (tmp_path / "kept").iterdir()
    resumed = train(tmp_path, drive(), data(), ckpt=path)
    assert resumed["steps"] == [step for step in whole["steps"] if (step[0], step[1]) >= when]
    assert torch.equal(resumed["weights"], whole["weights"])
    assert (resumed["history"], resumed["volumes"]) == (whole["history"], whole["volumes"])


def test_the_same_trainer_goes_on_after_an_interrupt_without_a_checkpoint(tmp_path):
    """Lightning then begins the epoch again from its first batch; so do the draws."""
    torch.manual_seed(0)
    model, breaks, callback = Recording(), Breaks(1, 5), drive()
    trainer = make_trainer(tmp_path, [callback, breaks], max_epochs=4)
    with pytest.raises(RuntimeError, match="on purpose"):
        trainer.fit(model, data())
    begun = [step[2] for step in model.steps if step[0] == 1]
    breaks.when, model.steps = None, []
    trainer.fit(model, data())
    again = [step[2] for step in model.steps if step[0] == 1]
    assert len(again) == 9
    assert again[:5] == begun


def killed_run(folder, seen, callback=drive):
    """Train in a process of its own; it dies of SIGKILL after ``seen`` checkpoints and a moment more."""

    def child():
        keeps = ModelCheckpoint(folder, "{epoch}-{step}", save_top_k=-1, every_n_train_steps=1)
        train(folder, callback(), data(), keeps)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    deadline = time.monotonic() + 60
    while len(list(folder.glob("epoch=*.ckpt"))) < seen and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(random.Random(seen).random() * 0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def newest_that_loads(folder):
    """Lightning's last complete checkpoint: the one being written when the process died may be cut short."""
    for path in sorted(folder.glob("epoch=*.ckpt"), key=lambda p: int(p.stem.split("=")[-1]), reverse=True):
        try:
            return path, torch.load(path, weights_only=True)
        except (RuntimeError, EOFError):
            continue
    raise AssertionError("no checkpoint was kept")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("seen", [1, 8, 10, 18, 20, 23, 25])
def test_a_run_killed_at_any_moment_goes_on_from_what_lightning_kept(tmp_path, seen):
    whole = train(tmp_path, drive(), data())
    folder = tmp_path / "killed"
    folder.mkdir()
    killed_run(folder, seen)
    path, state = newest_that_loads(folder)
    resumed = train(tmp_path, drive(), data(), ckpt=path)
    assert resumed["steps"] == whole["steps"][state["global_step"] :]
    assert torch.equal(resumed["weights"], whole["weights"])
    assert (resumed["history"], resumed["decision"]) == (whole["history"], whole["decision"])
