"""Samples are counted by the indices that loaders draw. Truth: what the training steps of the module got."""

import dataclasses

import lightning as L
import pytest
import torch
from conftest import Numbered, make_trainer
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Sampler

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.costs import CostMeter


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
    if isinstance(batch, Batch):
        return len(batch.numbers)
    if isinstance(batch, dict):
        return len(batch["n"]) if "n" in batch else sum(len(part[0]) for part in batch.values())
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
    return model, monitor, [costs.samples for costs in monitor.epochs.values()]


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

    def __len__(self):
        return 5

    def __iter__(self):
        for start, stop in ((0, 3), (3, 10), (10, 12), (12, 20)):
            yield list(range(start, stop))


class Stream(IterableDataset):
    def __iter__(self):
        return (Numbered(10)[i] for i in range(10))


UNKNOWN = {
    "a batch sampler of the user's": lambda: DataLoader(Numbered(20), batch_sampler=Budgets()),
    "a stream": lambda: DataLoader(Stream(), batch_size=4),
    "batches from elsewhere": lambda: [[torch.zeros(4), torch.zeros(4)]] * 3,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_the_indices_are_not_known_the_number_is_not_measured(tmp_path, name):
    monitor = fit(tmp_path, UNKNOWN[name](), volume=1.0)[1]
    assert [costs.samples for costs in monitor.epochs.values()] == [None] * 3
    assert all(costs.batches for costs in monitor.epochs.values())


def test_the_user_may_say_how_many_samples_a_batch_holds(tmp_path):
    class Monitor(CostMeter):
        def samples_of(self, batch):
            return size(batch)

    model, _, counted = fit(tmp_path, UNKNOWN["a batch sampler of the user's"](), Monitor(), volume=1.0)
    assert counted == list(model.seen.values()) == [20, 20, 20]


def test_a_codecarbon_config_with_a_missing_folder_costs_no_energy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".codecarbon.config").write_text("[codecarbon]\noutput_dir = /nonexistent/emissions\n")
    monitor = fit(tmp_path, DataLoader(Numbered(8), batch_size=4))[1]
    assert monitor.costs.energy_kwh is not None
    assert not list(tmp_path.glob("*.csv"))
