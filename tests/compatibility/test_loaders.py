import itertools
from collections import Counter

import lightning as L
import pytest
import torch
from conftest import Numbered
from lightning.pytorch.utilities import CombinedLoader
from outside import (
    MULTIPLIERS,
    Witness,
    assert_each_seen,
    assert_run,
    batches_of,
    epochs_of,
    loaders,
    run,
)
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    WeightedRandomSampler,
)

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume

CASES = pytest.mark.parametrize("case", ["shrinks", "grows"])

ROWS = {
    "drop_last": dict(drop_last=True),
    "batch_size=1": dict(batch_size=1),
    "one batch an epoch": dict(batch_size=33),
    "workers": dict(num_workers=2),
    "persistent workers": dict(num_workers=1, persistent_workers=True),
    "no shuffling": dict(shuffle=False),
    "a generator of its own": dict(generator=torch.Generator().manual_seed(3)),
    "prefetch_factor": dict(num_workers=1, prefetch_factor=4),
}


@CASES
@pytest.mark.parametrize("arguments", ROWS.values(), ids=ROWS)
def test_a_loader_argument(tmp_path, case, arguments):
    model = Witness()
    run(tmp_path, case, model, loaders(**arguments))
    shape = {key: arguments[key] for key in ("batch_size", "drop_last") if key in arguments}
    assert_run(model, epochs_of(case, **shape))
    if "drop_last" not in arguments:
        assert_each_seen(model, case)


@CASES
def test_persistent_workers_with_reload(tmp_path, case):
    model = Witness()
    data = loaders(num_workers=1, persistent_workers=True)
    run(tmp_path, case, model, data, reload_dataloaders_every_n_epochs=2)
    assert_run(model, epochs_of(case))


def weighted():
    return WeightedRandomSampler([0.0] * 11 + [1.0] * 22, 33)


def distributed():
    return DistributedSampler(Numbered(), num_replicas=2, rank=0, seed=0)


class Own:
    """A sampler that inherits from nothing."""

    def __len__(self):
        return 33

    def __iter__(self):
        return iter(range(32, -1, -1))


@CASES
def test_a_weighted_sampler_keeps_its_weights(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(sampler=weighted()))
    assert_run(model, epochs_of(case), samples=[round(k * 33) for k in MULTIPLIERS[case]])
    assert {i for numbers in model.drawn().values() for i in numbers} <= set(range(11, 33))


@CASES
def test_a_distributed_sampler_of_the_user(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(sampler=distributed()), use_distributed_sampler=False)
    assert_run(model, epochs_of(case, n=17), samples=[round(k * 17) for k in MULTIPLIERS[case]])


@CASES
def test_a_sampler_that_inherits_from_nothing(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(sampler=Own()))
    assert_run(model, epochs_of(case))
    assert_each_seen(model, case)


@CASES
def test_a_sampler_with_replacement_and_fewer_samples(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(sampler=RandomSampler(Numbered(), replacement=True, num_samples=20)))
    assert_run(model, epochs_of(case, n=20), samples=[round(k * 20) for k in MULTIPLIERS[case]])


class Pairs(BatchSampler):
    """A batch sampler of a class of its own."""


@CASES
@pytest.mark.parametrize(
    "sampler",
    [Pairs(SequentialSampler(range(32)), 4, False), [[i, i + 1, i + 2, i + 3] for i in range(0, 32, 4)]],
    ids=["a subclass", "a list"],
)
def test_a_custom_batch_sampler(tmp_path, case, sampler):
    """It is scaled by whole batches: 8 of them."""
    model = Witness()
    run(
        tmp_path,
        case,
        model,
        {
            "train_dataloaders": DataLoader(Numbered(32), batch_sampler=sampler),
            "val_dataloaders": DataLoader(Numbered(8), batch_size=4),
        },
    )
    assert_run(model, [round(k * 8) for k in MULTIPLIERS[case]])
    for batch in itertools.chain.from_iterable(model.samples.values()):
        assert batch == list(range(batch[0], batch[0] + 4))


@CASES
def test_a_plain_batch_sampler(tmp_path, case):
    model = Witness()
    sampler = BatchSampler(RandomSampler(Numbered()), 4, False)
    data = loaders()
    data["train_dataloaders"] = DataLoader(Numbered(), batch_sampler=sampler)
    run(tmp_path, case, model, data)
    assert_run(model, epochs_of(case))
    assert_each_seen(model, case)


class Samplewise(Witness):
    """Without automatic batching a sample is a batch."""

    def training_step(self, batch, batch_idx):
        number, x, y = batch
        return super().training_step((torch.tensor([number]), x[None], y[None]), batch_idx)


@CASES
def test_batch_size_none(tmp_path, case):
    model = Samplewise()
    data = loaders()
    data["train_dataloaders"] = DataLoader(Numbered(), batch_size=None, shuffle=True)
    run(tmp_path, case, model, data)
    assert_run(model, epochs_of(case, batch_size=1))
    assert_each_seen(model, case)


class Dicts(Numbered):
    def __getitem__(self, i):
        return dict(zip(("number", "x", "y"), super().__getitem__(i), strict=True))


class FromDicts(Witness):
    def loss(self, batch):
        return super().loss((batch["number"], batch["x"], batch["y"]) if isinstance(batch, dict) else batch)

    def training_step(self, batch, batch_idx):
        return super().training_step((batch["number"], batch["x"], batch["y"]), batch_idx)


@CASES
def test_samples_that_are_dicts(tmp_path, case):
    model = FromDicts()
    data = loaders()
    data["train_dataloaders"] = DataLoader(Dicts(), batch_size=4, shuffle=True)
    run(tmp_path, case, model, data)
    assert_run(model, epochs_of(case))
    assert_each_seen(model, case)


@CASES
def test_a_subset(tmp_path, case):
    model = Witness()
    data = loaders()
    data["train_dataloaders"] = DataLoader(Subset(Numbered(), range(20)), batch_size=4, shuffle=True)
    run(tmp_path, case, model, data)
    assert_run(model, epochs_of(case, n=20))
    assert_each_seen(model, case, n=20)


# ---- several loaders


def leaves(batch, path=()):
    """(path, (numbers, features, targets) or None) of every loader in a batch."""
    if batch is None or isinstance(batch[0] if isinstance(batch, list | tuple) else None, torch.Tensor):
        yield path, batch
        return
    for key, value in batch.items() if isinstance(batch, dict) else enumerate(batch):
        yield from leaves(value, (*path, key))


class Several(Witness):
    """Trains on the batches of all loaders; ``parts[epoch][path]`` are their samples."""

    def __init__(self):
        super().__init__()
        self.parts = {}

    def training_step(self, batch, batch_idx):
        parts = {path: part for path, part in leaves(batch) if part is not None}
        epoch = self.parts.setdefault(self.current_epoch, {})
        for path, part in parts.items():
            epoch.setdefault(path, []).append(part[0].tolist())
        whole = [torch.cat(column) for column in zip(*parts.values(), strict=True)]
        return super().training_step(whole, batch_idx)


SIZES = {"a": 33, "b": 10}


def batch_sizes(samples, batch_size=4):
    return [min(batch_size, samples - start) for start in range(0, samples, batch_size)]


def drawn_of(k, mode, limit=1.0):
    """Batches of an epoch, and samples of each loader in it, by going through the loaders one batch at a time."""
    sizes = {key: batch_sizes(round(k * n)) for key, n in SIZES.items()}
    count = [batches_of(round(k * n), limit=limit) for n in SIZES.values()]
    batches = min(count) if mode == "min_size" else max(count)
    drawn = dict.fromkeys(sizes, 0)
    for b in range(batches):
        for key, each in sizes.items():
            if mode == "max_size_cycle":
                drawn[key] += each[b % len(each)]
            elif b < len(each):
                drawn[key] += each[b]
    return batches, drawn


@CASES
@pytest.mark.parametrize("mode", ["max_size_cycle", "min_size", "max_size"])
@pytest.mark.parametrize(
    ("shape", "limit"), [("dict", 1.0), ("dict", 0.5), ("dict", 4), ("list", 1.0), ("nested", 1.0)]
)
@pytest.mark.filterwarnings("ignore:limit_train_batches=4 cuts every epoch.*")
def test_several_loaders(tmp_path, case, mode, limit, shape):
    a, b = (DataLoader(Numbered(n), batch_size=4, shuffle=True) for n in SIZES.values())
    tree = {"dict": {"a": a, "b": b}, "list": [a, b], "nested": {"x": {"a": a}, "y": [b]}}[shape]
    paths = {"dict": [("a",), ("b",)], "list": [(0,), (1,)], "nested": [("x", "a"), ("y", 0)]}[shape]
    plain = mode == "max_size_cycle" and shape == "dict"  # what Lightning makes of a bare dict
    model = Several()
    data = loaders()
    data["train_dataloaders"] = tree if plain else CombinedLoader(tree, mode)
    run(tmp_path, case, model, data, limit_train_batches=limit)
    truth = [drawn_of(k, mode, limit) for k in MULTIPLIERS[case]]
    assert_run(model, [batches for batches, _ in truth])
    for epoch, (_, drawn) in enumerate(truth):
        for path, n in zip(paths, drawn.values(), strict=True):
            assert sum(map(len, model.parts[epoch][path])) == n


def test_a_sequential_combined_loader_is_refused_by_lightning(tmp_path):
    model = Several()
    data = loaders()
    data["train_dataloaders"] = CombinedLoader([DataLoader(Numbered(), batch_size=4)] * 2, "sequential")
    with pytest.raises(ValueError, match="sequential"):
        run(tmp_path, "shrinks", model, data)
    assert not model.samples


@CASES
def test_a_combined_loader_is_given_back_as_it_was(tmp_path, case):
    a, b = (DataLoader(Numbered(n), batch_size=4, shuffle=True) for n in SIZES.values())
    combined = CombinedLoader([a, b], "min_size")
    data = loaders()
    data["train_dataloaders"] = combined
    run(tmp_path, case, Several(), data, reload_dataloaders_every_n_epochs=2)
    assert combined.flattened == [a, b]
    assert combined.iterables == [a, b]


# ---- iterable data: whole batches

CUT = pytest.mark.filterwarnings("ignore:.*without an index sampler is pruned.*")


class Stream(IterableDataset):
    def __init__(self, n=32):
        self.n, self.data = n, Numbered(n)

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        step, start = (info.num_workers, info.id) if info else (1, 0)
        return (self.data[i] for i in range(start, self.n, step))


class SizedStream(Stream):
    def __len__(self):
        return self.n


@CASES
@CUT
@pytest.mark.parametrize(("workers", "reload"), [(0, 0), (0, 1), (2, 0)])
@pytest.mark.filterwarnings("ignore:.*`IterableDataset` has `__len__` defined.*")
def test_iterable_data_with_a_length(tmp_path, case, workers, reload):
    model = Witness()
    data = loaders()
    data["train_dataloaders"] = DataLoader(SizedStream(), batch_size=4, num_workers=workers)
    run(tmp_path, case, model, data, reload_dataloaders_every_n_epochs=reload)
    assert_run(model, [round(k * 8) for k in MULTIPLIERS[case]])


@CASES
@CUT
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*has no length.*")
def test_iterable_data_without_a_length(tmp_path, case, workers):
    """Its schedulers are left to Lightning: one step a batch."""
    model = Witness(scheduler=lambda optimizer, _: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 / (1 + s)))
    data = loaders()
    data["train_dataloaders"] = DataLoader(Stream(), batch_size=4, num_workers=workers)
    run(tmp_path, case, model, data)
    batches = [round(k * 8) for k in MULTIPLIERS[case]]
    assert model.batches == batches
    assert model.validations == list(enumerate(batches))
    assert model.last_rates == pytest.approx([0.05 / (1 + sum(batches[: e + 1])) for e in range(6)], abs=1e-12)
    assert set(model.totals.values()) == {float("inf")}


class Batches:
    """Any iterable of batches, no DataLoader."""

    def __init__(self, n=8):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        return iter(list(DataLoader(Numbered(4 * self.n), batch_size=4)))


@CASES
@CUT
def test_an_iterable_that_is_no_dataloader(tmp_path, case):
    model = Witness()
    data = loaders()
    data["train_dataloaders"] = Batches()
    run(tmp_path, case, model, data)
    assert_run(model, [round(k * 8) for k in MULTIPLIERS[case]])


class Repeating(DataLoader):
    """Keeps one endless iterator over its batches, as some libraries do to keep their workers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.endless = itertools.cycle(range(super().__len__()))

    def __len__(self):
        return 9

    def __iter__(self):
        for _ in range(9):
            start = next(self.endless) * 4
            yield self.collate_fn([self.dataset[i] for i in range(start, min(start + 4, 33))])


@CASES
@CUT
def test_a_dataloader_that_iterates_by_itself(tmp_path, case):
    model = Witness()
    data = loaders()
    data["train_dataloaders"] = Repeating(Numbered(), batch_size=4)
    run(tmp_path, case, model, data)
    assert_run(model, [round(k * 9) for k in MULTIPLIERS[case]])


class DeclaresStream(L.LightningDataModule):
    augmentation_multiplier = 3
    pruning_ratio = 0.0

    def train_dataloader(self):
        return DataLoader(SizedStream(), batch_size=4)

    def val_dataloader(self):
        return DataLoader(Numbered(8), batch_size=4)


@CUT
@pytest.mark.filterwarnings("ignore:.*`IterableDataset` has `__len__` defined.*")
def test_a_datamodule_that_declares_a_volume_of_iterable_data(tmp_path):
    model = Witness()
    run(tmp_path, "shrinks", model, {"datamodule": DeclaresStream()})
    assert_run(model, [round(k * 8) for k in MULTIPLIERS["shrinks"]])
    assert Counter(i for numbers in [model.drawn()[0]] for i in numbers) == dict.fromkeys(range(32), 3)


def unsized():
    return {**loaders(), "train_dataloaders": DataLoader(Stream(), batch_size=4)}


@CUT
def test_a_first_epoch_of_unknown_length_is_drawn_whole_and_said_to_be(tmp_path):
    ours = CriticalPeriodCallback(rule=AtEpoch(0), recipe=Recipe(after=Volume(0.25), annealing_fraction=0))
    model = Witness(scheduler=None)
    with pytest.warns(UserWarning, match="epoch 0 draws all of it"):
        run(tmp_path, "shrinks", model, unsized(), own=ours)
    assert model.batches == [8, 2, 2, 2, 2, 2]
    assert list(ours.volumes.values()) == [Volume(), *[Volume(0.25)] * 5]


def test_pruning_a_stream_says_what_it_leaves_out(tmp_path):
    with pytest.warns(UserWarning, match="shuffle it again every epoch"):
        run(tmp_path, "shrinks", Witness(), {**loaders(), "train_dataloaders": Batches()})


@CUT
def test_a_length_that_cannot_become_known_is_refused(tmp_path):
    model = Witness(scheduler=None)
    with pytest.raises(ValueError, match=r"reload_dataloaders_every_n_epochs=1.*give the dataset a __len__"):
        run(tmp_path, "shrinks", model, unsized(), reload_dataloaders_every_n_epochs=1)
    assert not model.samples


@CUT
def test_an_int_limit_train_batches_is_the_length_of_a_stream_and_the_volume_scales_it(tmp_path):
    ours = CriticalPeriodCallback(rule=AtEpoch(2), recipe=Recipe(Volume(2), Volume(0.5), annealing_fraction=0))
    model = Witness(scheduler=None)
    run(tmp_path, "shrinks", model, unsized(), own=ours, limit_train_batches=4)
    assert model.batches == [8, 8, 2, 2, 2, 2]
