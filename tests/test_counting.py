"""Samples are counted by the indices that loaders draw. Truth: what the training steps of the module got."""

import dataclasses
import itertools
import shutil

import lightning as L
import pytest
import torch
from conftest import Numbered, make_trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler, SequentialSampler, get_worker_info
from torch.utils.data._utils.pin_memory import pin_memory

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.costs import CostMeter
from lightning_critperiod.costs.counted_batch import CountedBatch, unpack_counted


@dataclasses.dataclass
class Batch:
    numbers: list


def numbers(items):
    return [int(number) for number, *_ in items]


COLLATES = {
    "a dataclass": lambda items: Batch(numbers(items)),
    "images of several sizes": lambda items: ([torch.zeros(3, 2 + n % 3, 4) for n in numbers(items)], numbers(items)),
    "a list of samples": lambda items: list(items),
    "a scalar first": lambda items: (torch.tensor(0.0), numbers(items)),
    "nothing with a length": lambda items: {"n": numbers(items)},
}


def size(batch):
    """Samples of a batch, of all loaders together."""
    if batch is None:
        return 0
    if isinstance(batch, torch.Tensor):
        return len(batch)
    if isinstance(batch, Batch):
        return len(batch.numbers)
    if isinstance(batch, dict):
        return len(batch["n"]) if "n" in batch else sum(size(part) for part in batch.values())
    if isinstance(batch[0], torch.Tensor) and batch[0].ndim:
        return len(batch[0])
    return len(batch[1]) if isinstance(batch, tuple) else len(batch)


class Counts(L.LightningModule):
    """Counts what it gets, and may empty the batch in its step, as some modules do."""

    def __init__(self, empties=False):
        super().__init__()
        self.weight, self.empties, self.seen = nn.Parameter(torch.ones(2, 2)), empties, {}

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch

    def training_step(self, batch, batch_idx):
        self.seen[self.current_epoch] = self.seen.get(self.current_epoch, 0) + size(batch)
        if self.empties and isinstance(batch, dict):
            batch.clear()
        return self.weight.square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(tmp_path, data, monitor=None, model=None, volume=0.5, **arguments):
    model, monitor = model or Counts(), monitor or CostMeter()
    recipe = Recipe(after=Volume(volume), annealing_fraction=0)
    callback = CriticalPeriodCallback(rule=AtEpoch(1), recipe=recipe)
    make_trainer(tmp_path, [callback, monitor], max_epochs=3, **arguments).fit(model, data)
    return model, monitor, counted_by(monitor)


def counted_by(monitor):
    return [costs.samples for costs in monitor.epochs.values()]


@pytest.mark.parametrize("name", COLLATES)
def test_whatever_a_batch_looks_like_its_samples_are_those_that_were_drawn(tmp_path, name):
    loader = DataLoader(Numbered(33), batch_size=4, shuffle=True, collate_fn=COLLATES[name])
    model, _, counted = fit(tmp_path, loader)
    assert counted == list(model.seen.values()) == [33, 16, 16]


def test_a_batch_that_the_step_empties_is_counted_before(tmp_path):
    loader = DataLoader(Numbered(33), batch_size=4, collate_fn=COLLATES["nothing with a length"])
    assert fit(tmp_path, loader, model=Counts(empties=True))[2] == [33, 16, 16]


@pytest.mark.parametrize("arguments", [dict(limit_train_batches=3), dict(limit_train_batches=0.5), dict()])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.filterwarnings("ignore:limit_train_batches=3 cuts every epoch")
def test_limits_and_drop_last(tmp_path, arguments, drop_last):
    model, _, counted = fit(tmp_path, DataLoader(Numbered(33), batch_size=4, drop_last=drop_last), **arguments)
    assert counted == list(model.seen.values())


def test_several_loaders_are_counted_together(tmp_path):
    loaders = {"a": DataLoader(Numbered(16), batch_size=4), "b": DataLoader(Numbered(33), batch_size=4)}
    model, _, counted = fit(tmp_path, loaders)
    assert counted == list(model.seen.values())


class Budgets(Sampler):
    """Batches by a budget, whose length is an estimate."""

    def __init__(self, length=5):
        self.length = length

    def __len__(self):
        return self.length

    def __iter__(self):
        for start, stop in ((0, 3), (3, 10), (10, 12), (12, 20)):
            yield list(range(start, stop))


class Stream(IterableDataset):
    """``n`` samples; each worker has its share."""

    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return (Numbered(self.n)[i] for i in range(first, self.n, step))


class Elsewhere:
    def __iter__(self):
        return iter([[torch.zeros(4), torch.zeros(4)]] * 3)


class Filtered(IterableDataset):
    """Whole batches."""

    def __iter__(self):
        return (torch.zeros(n, 4) for n in (4, 3, 2))


class Endless(DataLoader):
    """Keeps one iterator for ever, as some projects do; it is made before anybody can look on."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        object.__setattr__(self, "iterator", super().__iter__())

    def __iter__(self):
        for _ in range(len(self)):
            yield next(self.iterator)


class Skips(DataLoader):
    """Leaves short batches out."""

    def __iter__(self):
        return (batch for batch in super().__iter__() if len(batch[0]) == 4)


KNOWN = {
    "batches by a budget, more than they say": lambda: DataLoader(Numbered(20), batch_sampler=Budgets(3)),
    "batches by a budget, fewer than they say": lambda: DataLoader(Numbered(20), batch_sampler=Budgets(5)),
    "batches by a budget from workers": lambda: DataLoader(Numbered(20), batch_sampler=Budgets(), num_workers=2),
    "a list of batches": lambda: DataLoader(Numbered(9), batch_sampler=[[0, 1, 2], [3], [4, 5, 6, 7, 8]]),
    "lists of indices for the dataset itself": lambda: DataLoader(
        Fetched(), sampler=BatchSampler(SequentialSampler(Fetched()), 4, drop_last=False), batch_size=None
    ),
    "a stream": lambda: DataLoader(Stream(), batch_size=4),
    "a stream, without its last batch": lambda: DataLoader(Stream(), batch_size=4, drop_last=True),
    "a stream of lists": lambda: DataLoader(Stream(), batch_size=4, collate_fn=COLLATES["a list of samples"]),
    "a stream from persistent workers": lambda: DataLoader(
        Stream(), batch_size=4, num_workers=2, persistent_workers=True
    ),
}


class Fetched(Numbered):
    """Answers a list of indices with a whole batch."""

    def __init__(self):
        super().__init__(10)

    def __getitem__(self, index):
        return self.features[index]


@pytest.mark.parametrize("name", KNOWN)
def test_samples_of_batch_samplers_and_streams_are_those_that_were_trained_on(tmp_path, name):
    model, monitor = Counts(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=2).fit(model, KNOWN[name]())
    assert counted_by(monitor) == list(model.seen.values())
    assert all(counted_by(monitor))


@pytest.mark.parametrize("name", ["batches by a budget, fewer than they say", "a stream"])
@pytest.mark.parametrize("first", [True, False])
def test_beside_a_change_of_the_volume_they_are_too(tmp_path, name, first):
    model, monitor, loader = Counts(), CostMeter(), KNOWN[name]()
    driver = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(1.5), annealing_fraction=0))
    trainer = make_trainer(tmp_path, [monitor, driver] if first else [driver, monitor], max_epochs=3)
    trainer.fit(model, loader)
    assert counted_by(monitor) == list(model.seen.values())
    assert model.seen[2] > model.seen[0]
    assert "process_dataloader" not in vars(trainer.strategy)
    assert "_get_iterator" not in vars(loader)


@pytest.mark.parametrize("mode", ["min_size", "max_size", "max_size_cycle"])
@pytest.mark.parametrize("last", ["a loader with a length", "a stream"])
@pytest.mark.parametrize("limit", [1.0, 3])
def test_several_loaders_are_counted_together_in_every_mode(tmp_path, mode, last, limit):
    second = DataLoader(Stream(33), batch_size=4) if last == "a stream" else DataLoader(Numbered(33), batch_size=4)
    loaders = {"a": DataLoader(Numbered(10), batch_size=4), "b": second}
    model, monitor = Counts(), CostMeter()
    trainer = make_trainer(tmp_path, [monitor], max_epochs=2, limit_train_batches=limit)
    trainer.fit(model, CombinedLoader(loaders, mode))
    assert counted_by(monitor) == list(model.seen.values())


def test_a_loader_that_is_listed_twice_counts_twice(tmp_path):
    loader, model, monitor = DataLoader(Numbered(10), batch_size=4), Counts(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=2).fit(model, {"a": loader, "b": loader})
    assert counted_by(monitor) == list(model.seen.values()) == [20, 20]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_fetched_ahead_and_not_trained_on_does_not_count(tmp_path, workers):
    """A stream has no length, so Lightning fetches one batch ahead; workers fetch more."""
    model, monitor = Counts(), CostMeter()
    trainer = make_trainer(tmp_path, [monitor], max_epochs=2, limit_train_batches=2)
    trainer.fit(model, DataLoader(Stream(100), batch_size=4, num_workers=workers))
    assert counted_by(monitor) == list(model.seen.values()) == [8, 8]


def test_a_batch_that_a_hook_skips_does_not_count(tmp_path):
    class Skips(Counts):
        def on_train_batch_start(self, batch, batch_idx):
            return -1 if batch_idx == 2 else None

    model, monitor = Skips(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=2).fit(model, DataLoader(Numbered(33), batch_size=4))
    assert counted_by(monitor) == list(model.seen.values()) == [8, 8]


@pytest.mark.filterwarnings("ignore:You are using the `dataloader_iter` step flavor")
@pytest.mark.filterwarnings("ignore:Found `dataloader_iter` argument")
def test_a_step_that_fetches_its_own_batches_counts_them_all(tmp_path):
    class Fetches(Counts):
        def training_step(self, dataloader_iter):
            for batch, *_ in itertools.islice(dataloader_iter, 2):
                super().training_step(batch, 0)
            return self.weight.square().sum()

    model, monitor = Fetches(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=2).fit(model, DataLoader(Numbered(32), batch_size=4))
    assert counted_by(monitor) == list(model.seen.values()) == [32, 32]


@pytest.mark.parametrize(
    "arguments",
    [{"overfit_batches": 2}, {"accumulate_grad_batches": 2}, {"reload_dataloaders_every_n_epochs": 1}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_samples_are_counted_whatever_lightning_does_with_its_batches(tmp_path, arguments):
    model, monitor = Counts(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=3, **arguments).fit(model, DataLoader(Numbered(33), batch_size=4))
    assert counted_by(monitor) == list(model.seen.values())
    assert len(counted_by(monitor)) == 3


def test_a_validation_over_the_train_loader_does_not_count(tmp_path):
    class Validates(Counts):
        def validation_step(self, batch, batch_idx):
            pass

    loader, model, monitor = DataLoader(Numbered(33), batch_size=4), Validates(), CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=2, val_check_interval=2).fit(model, loader, loader)
    assert counted_by(monitor) == list(model.seen.values()) == [33, 33]


@pytest.mark.parametrize("name", ["a stream", "batches by a budget, fewer than they say"])
@pytest.mark.parametrize("drives", [True, False])
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_an_epoch_that_is_resumed_in_its_middle_counts_nothing_twice(tmp_path, name, drives):
    def callbacks():
        saving = ModelCheckpoint(tmp_path / "checkpoints", filename="{step}", every_n_train_steps=1, save_top_k=-1)
        drive = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(1.5), annealing_fraction=0))
        return [*([drive] if drives else []), CostMeter(), saving]

    first, second = (Counts(), callbacks()), (Counts(), callbacks())
    options = {"max_epochs": 2, "enable_checkpointing": True}
    make_trainer(tmp_path, first[1], **options).fit(first[0], KNOWN[name]())
    steps = sum(costs.batches for costs in first[1][-2].epochs.values())
    middle = (tmp_path / "checkpoints" / f"step={steps - 1}.ckpt").rename(tmp_path / "middle.ckpt")
    shutil.rmtree(tmp_path / "checkpoints")
    make_trainer(tmp_path, second[1], **options).fit(second[0], KNOWN[name](), ckpt_path=middle, weights_only=True)
    state = torch.load(middle, weights_only=True)["callbacks"]["CostMonitor"]["epochs"]
    assert counted_by(second[1][-2])[1] == state[1]["samples"] + second[0].seen[1]
    if drives:  # Lightning alone begins a loader again
        assert counted_by(second[1][-2]) == counted_by(first[1][-2])


UNKNOWN = {
    "batches from elsewhere": Elsewhere,
    "one loader of two": lambda: {"a": Elsewhere(), "b": DataLoader(Numbered(12), batch_size=4)},
    "a stream of whole batches": lambda: DataLoader(Filtered(), batch_size=None),
    "single items, which may be whole batches": lambda: DataLoader(Numbered(3), batch_size=None),
    "a loader that iterates by itself": lambda: Endless(Numbered(10), batch_size=4),
    "a loader that iterates by itself and leaves some out": lambda: Skips(Numbered(13), batch_size=4),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_the_samples_are_not_known_their_number_is_not_measured(tmp_path, name):
    class Trains(Counts):
        def training_step(self, batch, batch_idx):
            return self.weight.square().sum()

    monitor = CostMeter()
    make_trainer(tmp_path, [monitor], max_epochs=1).fit(Trains(), UNKNOWN[name]())
    assert counted_by(monitor) == [None]
    assert monitor.epochs[0].batches == 3


class Random(Counts):
    """Its weights depend on the batches, in their order, and on the random numbers of the run."""

    def training_step(self, batch, batch_idx):
        features = batch[1].flatten(1) if isinstance(batch, list) else batch
        return (self.weight.sum() * features.sum() + torch.rand(())).square() * 1e-4


@pytest.mark.parametrize("name", [name for name in KNOWN if "lists" not in name] + ["a shuffled loader"])
def test_counting_changes_no_number_of_the_training_and_leaves_no_trace(tmp_path, name):
    def train(*callbacks):
        torch.manual_seed(5)
        model = Random()
        make_trainer(tmp_path, callbacks, max_epochs=2).fit(model, combined)
        return model.weight.detach(), torch.get_rng_state()

    loader = DataLoader(Numbered(9), 2, shuffle=True) if name == "a shuffled loader" else KNOWN[name]()
    combined = CombinedLoader(loader, "max_size_cycle")
    before, kinds = dict(vars(loader)), (type(loader), type(combined))
    plain, counted = train(), train(CostMeter())
    assert torch.equal(plain[0], counted[0])
    assert torch.equal(plain[1], counted[1])
    assert vars(loader) == before
    assert (type(loader), type(combined)) == kinds
    assert combined.flattened == [loader]


def test_a_training_that_fails_leaves_its_loader_as_it_was(tmp_path):
    class Fails(Counts):
        def training_step(self, batch, batch_idx):
            raise ZeroDivisionError

    loader = DataLoader(Numbered(9), batch_size=4)
    before = dict(vars(loader))
    trainer = make_trainer(tmp_path, [CostMeter()])
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Fails(), loader)
    assert vars(loader) == before
    assert "process_dataloader" not in vars(trainer.strategy)


def test_a_counted_batch_is_pinned_as_any_batch_is():
    pinned = pin_memory(CountedBatch((3, {"a": [1, 2, 3]})))
    assert unpack_counted(pinned) == (3, {"a": [1, 2, 3]})  # torch 2.9.1 makes a list of it


def test_the_user_may_say_how_many_samples_a_batch_holds(tmp_path):
    class Monitor(CostMeter):
        def samples_of(self, batch):
            return size(batch)

    model, _, counted = fit(tmp_path, Elsewhere(), Monitor(), volume=1.0)
    assert counted == list(model.seen.values()) == [12, 12, 12]


def test_what_the_user_says_of_a_batch_fails_in_mid_run_ended_the_training(tmp_path):
    class Monitor(CostMeter):
        def samples_of(self, batch):
            return {0: 4, 1: 4}[self.costs_of_epoch] if self.costs_of_epoch < 2 else 1 // 0

        @property
        def costs_of_epoch(self):
            return len(self.epochs) - 1

    with pytest.warns(UserWarning, match="CostMonitor failed while measuring a batch .ZeroDivisionError"):
        model, _, counted = fit(tmp_path, DataLoader(Numbered(32), batch_size=4), Monitor(), volume=1.0)
    assert counted == list(model.seen.values()) == [32, 32, 32]


def test_a_codecarbon_config_with_a_missing_folder_costs_no_energy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".codecarbon.config").write_text("[codecarbon]\noutput_dir = /nonexistent/emissions\n")
    monitor = fit(tmp_path, DataLoader(Numbered(8), batch_size=4))[1]
    assert monitor.costs.energy_kwh is not None
    assert not list(tmp_path.glob("*.csv"))
