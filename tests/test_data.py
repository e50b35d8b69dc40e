import collections
import math
import random

import numpy as np
import pytest
import torch
from conftest import Numbered
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

from lightning_critperiod.data import Draws, VolumeSampler, at_volume
from lightning_critperiod.data.draws import seeded
from lightning_critperiod.data.views import ManyViews
from lightning_critperiod.recipe import Volume


def draws(k=1.0, r=0.0, epoch=0, seed=7):
    return Draws(Volume(k, r), seed, lambda: epoch, own=True)


def sampler(n=33, k=1.0, r=0.0, epoch=0, seed=7, base=SequentialSampler):
    return VolumeSampler(base(range(n)), draws(k, r, epoch, seed))


VOLUMES = [
    (1, 0),
    (3, 0),
    (1, 0.5),
    (3, 0.5),
    (1.5, 0),
    (0.5, 0),
    (2.7, 0.3),
    (0.4, 0.9),
    (5, 0.99),
    (1, 0.3),
]


@pytest.mark.parametrize(("k", "r"), VOLUMES)
@pytest.mark.parametrize("n", [1, 2, 10, 33, 100])
def test_an_epoch_draws_exactly_round_k_times_one_minus_r_times_n(k, r, n):
    stream = sampler(n, k, r)
    assert len(list(stream)) == len(stream) == round(k * (1 - r) * n)


def test_half_of_33_is_16_as_python_rounds():
    assert len(list(sampler(33, k=0.5))) == 16


def fits(k, r, n):
    """Whether some number of kept samples lets each be seen floor(k) to ceil(k) times."""
    total = round(k * (1 - r) * n)
    return any(math.floor(k) * m <= total <= math.ceil(k) * m for m in range(1, n + 1))


def test_every_kept_sample_is_seen_floor_k_to_ceil_k_times():
    rng = random.Random(0)
    checked = 0
    for _ in range(300):
        n, k, r = (
            rng.randint(1, 60),
            rng.choice([1, 2, 3, rng.uniform(0.1, 4)]),
            rng.choice([0, rng.random() * 0.95]),
        )
        counts = collections.Counter(sampler(n, k, r, seed=rng.randint(0, 99)))
        if counts and fits(k, r, n):
            checked += 1
            assert set(counts.values()) <= {math.floor(k), math.ceil(k)} | set(range(math.floor(k), math.ceil(k) + 1))
    assert checked > 200


def test_without_pruning_every_sample_is_drawn():
    for k in (1, 1.2, 3):
        assert set(sampler(33, k)) == set(range(33))


def test_the_kept_subset_has_the_size_that_the_ratio_says():
    assert len(set(sampler(100, k=3, r=0.3))) == 70


def test_the_first_pass_keeps_the_order_of_the_users_sampler_and_further_passes_have_another():
    passes = torch.tensor(list(sampler(50, k=3))).view(3, 50)
    assert passes[0].tolist() == list(range(50))
    assert passes[1].tolist() != passes[0].tolist()
    assert passes[2].tolist() != passes[1].tolist()
    assert all(sorted(p.tolist()) == list(range(50)) for p in passes)


def test_the_kept_subset_is_another_one_every_epoch_and_the_same_for_the_same_epoch():
    first, second = (list(sampler(100, r=0.5, epoch=e)) for e in (0, 1))
    assert set(first) != set(second)
    assert first == list(sampler(100, r=0.5, epoch=0))


def test_each_sample_is_left_out_equally_often():
    """Over 2,000 epochs each of 10 samples is kept in half; five standard deviations are 0.056."""
    counts = collections.Counter(i for e in range(2000) for i in sampler(10, r=0.5, epoch=e))
    assert all(abs(c / 2000 - 0.5) < 0.056 for c in counts.values())
    assert len(counts) == 10


def test_a_shuffled_base_has_another_order_every_epoch():
    orders = {tuple(sampler(33, epoch=e, base=RandomSampler)) for e in range(20)}
    assert len(orders) == 20


def states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(1)])
def test_drawing_leaves_every_generator_as_it_was(generator):
    base = RandomSampler(range(33), generator=generator)
    own = None if generator is None else generator.get_state().tolist()
    before = states()
    list(VolumeSampler(base, draws(3, 0.2)))
    assert states() == before
    assert own is None or generator.get_state().tolist() == own


def test_the_global_seed_does_not_change_a_draw():
    torch.manual_seed(1)
    first = list(sampler(33, k=2, base=RandomSampler))
    torch.manual_seed(2)
    assert list(sampler(33, k=2, base=RandomSampler)) == first


def test_a_weighted_sampler_keeps_its_weights():
    base = WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], num_samples=2000)
    counts = collections.Counter(VolumeSampler(base, draws(2, 0.5)))
    assert set(counts) == {1, 3}
    assert abs(counts[3] / 2000 - 0.75) < 0.06


def test_a_sampler_that_counts_its_own_epochs_still_moves_on():
    """The stream is drawn from the user's own sampler, not from a copy that forgets what it has counted."""

    class Counting(SequentialSampler):
        epoch = 0

        def __iter__(self):
            self.epoch += 1
            return iter([self.epoch] * len(self.data_source))

    stream = VolumeSampler(Counting(range(5)), draws())
    assert [next(iter(stream)) for _ in range(3)] == [1, 2, 3]


def test_the_epoch_reaches_the_users_distributed_sampler():
    """Without it a stock shuffle under DDP repeats the order of epoch 0."""
    base = DistributedSampler(range(40), num_replicas=2, rank=0, seed=0)
    first, second = (list(VolumeSampler(base, draws(epoch=e))) for e in (0, 1))
    assert first != second


def test_shards_stay_disjoint_when_pruned():
    shards = [
        set(VolumeSampler(DistributedSampler(range(40), num_replicas=2, rank=rank, seed=0), draws(1, 0.5)))
        for rank in (0, 1)
    ]
    assert not shards[0] & shards[1]
    assert [len(shard) for shard in shards] == [10, 10]


def test_resuming_in_mid_epoch_skips_what_was_drawn():
    plan = draws(3, 0.2)
    whole = list(VolumeSampler(SequentialSampler(range(33)), plan, batch_size=4))
    stream = VolumeSampler(SequentialSampler(range(33)), plan, batch_size=4)
    stream.skip = 5
    assert list(stream) == whole[20:]
    assert list(stream) == whole


MANY = 70_000  # more samples than are drawn outright: the order is computed


def sharded(n, ranks=2, rank=0, **arguments):
    return DistributedSampler(range(n * ranks), num_replicas=ranks, rank=rank, **arguments)


COMPUTED = {
    "random": lambda n: RandomSampler(range(n)),
    "sequential": lambda n: SequentialSampler(range(n)),
    "sharded": sharded,
    "sharded, not shuffled": lambda n: sharded(n, shuffle=False),
}
PLAIN = pytest.mark.parametrize("plain", COMPUTED.values(), ids=COMPUTED)


@PLAIN
@pytest.mark.parametrize(("k", "r"), VOLUMES)
def test_an_order_that_is_computed_has_the_exact_volume_and_each_sample_floor_k_to_ceil_k_times(plain, k, r):
    items = np.array(list(VolumeSampler(plain(MANY), draws(k, r))))
    counts = np.unique(items, return_counts=True)[1]
    assert len(items) == round(k * (1 - r) * MANY)
    assert len(counts) == (len(items) if k <= 1 else round((1 - r) * MANY))
    assert set(counts.tolist()) <= {math.floor(k), math.ceil(k)}


@PLAIN
def test_a_computed_order_keeps_another_subset_every_epoch_and_the_same_one_for_the_same_epoch(plain):
    """The shard of a shuffled DistributedSampler changes too: of its half of the samples, a half is kept."""
    first, second, again = (list(VolumeSampler(plain(MANY), draws(2, 0.5, epoch))) for epoch in (0, 1, 0))
    assert first == again
    expected = 0.25 if plain is sharded else 0.5
    assert abs(len(set(first) & set(second)) / len(set(first)) - expected) < 0.02


@pytest.mark.parametrize("name", ["sequential", "sharded, not shuffled"])
def test_the_first_pass_of_a_computed_order_ascends_where_the_users_sampler_does_and_further_ones_do_not(name):
    items = np.array(list(VolumeSampler(COMPUTED[name](MANY), draws(2, 0.3)))).reshape(2, -1)
    assert (np.diff(items[0]) > 0).all()
    assert set(items[0]) == set(items[1])
    assert abs(np.corrcoef(items)[0, 1]) < 0.02  # of 49,001 unrelated pairs it is 0.0045 on average
    whole = list(COMPUTED[name](MANY))
    assert list(VolumeSampler(COMPUTED[name](MANY), draws(2)))[:MANY] == whole


def test_a_computed_order_of_a_random_sampler_is_shuffled_in_every_pass():
    passes = np.array(list(VolumeSampler(RandomSampler(range(MANY)), draws(3, 0.3)))).reshape(3, -1)
    assert np.abs(np.corrcoef([np.arange(passes.shape[1]), *passes]) - np.eye(4)).max() < 0.02


@PLAIN
def test_a_computed_order_goes_on_from_any_batch_as_if_all_before_had_been_drawn(plain):
    plan = draws(2.5, 0.3)
    stream = VolumeSampler(plain(MANY), plan, batch_size=100)
    whole = list(stream)
    for skip in (0, 1, 489, 490, 491, 600, 980, 1224, 1225, 2000):
        stream.skip = skip
        assert list(stream) == whole[100 * skip :]
    assert list(stream) == whole


@pytest.mark.parametrize(("plain", "n"), [("random", 10**12), ("sharded", 10**12), ("sequential", 10**9)])
def test_the_first_index_and_a_resume_at_the_end_of_an_epoch_do_not_go_through_a_trillion_samples(plain, n):
    stream = VolumeSampler(COMPUTED[plain](n), draws(2, 0.3), batch_size=10)
    assert 0 <= next(iter(stream)) < 2 * n
    stream.skip = len(stream) // 10 - 3
    assert len(set(stream)) == 30


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_computed_shards_are_disjoint_and_padded_as_torchs_own(shuffle, drop_last):
    n = 3 * MANY - 1
    shards = [DistributedSampler(range(n), 3, rank, shuffle=shuffle, drop_last=drop_last) for rank in range(3)]
    ours = [list(VolumeSampler(base, draws(seed=base.rank))) for base in shards]
    theirs = [list(base) for base in shards]
    assert [len(shard) for shard in ours] == [len(shard) for shard in theirs]
    counts = [collections.Counter(i for shard in parts for i in shard) for parts in (ours, theirs)]
    assert sorted(counts[0].values()) == sorted(counts[1].values())
    assert ours == theirs or shuffle
    pruned = [set(VolumeSampler(base, draws(1, 0.5))) for base in shards]
    padding = 0 if drop_last else 1
    assert sum(map(len, pruned)) - len(set().union(*pruned)) <= padding


def test_a_distributed_samplers_own_seed_decides_its_computed_order():
    orders = [
        list(VolumeSampler(sharded(MANY, seed=seed), draws(seed=other))) for seed, other in ((0, 1), (0, 2), (1, 1))
    ]
    assert orders[0] == orders[1]
    assert set(orders[0]) != set(orders[2])


class Backwards(RandomSampler):
    def __iter__(self):
        return iter(range(len(self) - 1, -1, -1))


class Strided(DistributedSampler):
    def __iter__(self):
        return iter(range(self.rank * self.num_samples, (self.rank + 1) * self.num_samples))


@pytest.mark.parametrize(
    "own",
    [
        Backwards(range(MANY)),
        Strided(range(2 * MANY), 2, 1),
        RandomSampler(range(MANY), replacement=True, generator=torch.Generator().manual_seed(3)),
        RandomSampler(range(2 * MANY), num_samples=MANY),
        [f"sample {i}" for i in range(MANY)],
    ],
    ids=["subclass", "distributed subclass", "with replacement", "part of the data", "names"],
)
def test_any_other_sampler_of_many_samples_decides_its_own_order(own):
    """What it yields with the numbers that the epoch's seed gives it, once each in the first pass."""
    plan = draws(2)
    items = list(VolumeSampler(own, plan))
    with seeded(plan.number(0), getattr(own, "generator", None)):
        expected = list(own)
    assert items[:MANY] == expected
    assert sorted(items[MANY:]) == sorted(expected)


@PLAIN
def test_computing_an_order_leaves_every_generator_as_it_was(plain):
    before = states()
    list(VolumeSampler(plain(MANY), draws(2, 0.2)))
    assert states() == before


class Faces(ManyViews):
    """Says which view of which sample it was asked for."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, key):
        return key


def faces(n, plan, batch_size=1, base=RandomSampler):
    """The sampler of a loader whose dataset is one of many views."""
    dataset = Faces(n)
    return at_volume(DataLoader(dataset, batch_size, sampler=base(dataset)), plan).sampler


@pytest.mark.parametrize("n", [10, MANY])
def test_a_dataset_of_many_views_is_asked_for_another_view_in_every_pass_and_epoch(n):
    epochs = [list(faces(n, draws(3, epoch=epoch))) for epoch in (0, 1)]
    passes = [epoch[i : i + n] for epoch in epochs for i in (0, n, 2 * n)]
    views = [{view for _, view in items} for items in passes]
    assert all(len(of_a_pass) == 1 for of_a_pass in views)
    assert len(set().union(*views)) == 6
    assert all(0 <= view < 2**63 for of_a_pass in views for view in of_a_pass)
    assert all(sorted(index for index, _ in items) == list(range(n)) for items in passes)


@pytest.mark.parametrize("n", [10, MANY])
def test_the_view_of_a_sample_in_a_pass_is_the_same_whatever_the_batch_size_and_after_a_resume(n):
    whole = list(faces(n, draws(2), 4))
    resumed = faces(n, draws(2), 5)
    resumed.skip = 3
    assert list(resumed) == whole[15:]
    assert whole != list(faces(n, draws(2, seed=8), 4))


def test_views_are_random_as_long_as_the_users_own_sampler_draws():
    assert list(faces(4, Draws(Volume(), 0, lambda: 0), base=SequentialSampler)) == [0, 1, 2, 3]


def test_a_dataset_that_wraps_one_of_many_views_is_asked_for_samples():
    inner = Faces(4)
    loader = DataLoader(Subset(inner, range(4)), sampler=SequentialSampler(inner))
    assert list(at_volume(loader, draws()).sampler) == [0, 1, 2, 3]


def test_a_custom_batch_sampler_of_a_dataset_of_many_views_yields_its_own_batches():
    class Pairs(BatchSampler):
        dataset = Faces(20)

    loader = DataLoader(Faces(20), batch_sampler=Pairs(SequentialSampler(range(20)), 2, False))
    assert [batch.tolist() for batch in at_volume(loader, draws(1))] == [[i, i + 1] for i in range(0, 20, 2)]


def test_the_users_loader_is_not_touched():
    loader = DataLoader(Numbered(), batch_size=4, shuffle=True)
    before = dict(vars(loader))
    new = at_volume(loader, draws(3))
    assert vars(loader) == before
    assert (len(loader), len(new)) == (9, 25)
    assert new.dataset is loader.dataset
    assert (new.batch_size, new.num_workers) == (4, 0)


def numbers(loader):
    return [batch[0].tolist() for batch in loader]


@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_those_of_the_index_stream(drop_last):
    new = at_volume(DataLoader(Numbered(), batch_size=4, drop_last=drop_last), draws(0.5))
    assert [len(batch) for batch in numbers(new)] == [4, 4, 4, 4]
    new = at_volume(DataLoader(Numbered(), batch_size=5, drop_last=drop_last), draws(0.5))
    assert [len(batch) for batch in numbers(new)] == [5, 5, 5] + ([] if drop_last else [1])


def test_a_volume_is_applied_once_however_often_a_loader_passes_through():
    loader = at_volume(at_volume(DataLoader(Numbered(), batch_size=4), draws(3)), draws(2))
    assert len([i for batch in numbers(loader) for i in batch]) == 66


def test_a_custom_batch_sampler_is_scaled_by_whole_batches():
    class Pairs(BatchSampler):
        pass

    loader = DataLoader(Numbered(20), batch_sampler=Pairs(SequentialSampler(range(20)), 2, False))
    pairs = numbers(at_volume(loader, draws(1, 0.5)))
    assert len(pairs) == 5
    assert all(b == a + 1 and a % 2 == 0 for a, b in pairs)
    assert len(numbers(at_volume(loader, draws(3)))) == 30


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class SizedStream(Stream):
    def __len__(self):
        return self.n


@pytest.mark.parametrize(("k", "r", "batches"), [(2, 0, 16), (1, 0, 8), (1, 0.25, 6), (1.5, 0, 12), (2.25, 0.5, 9)])
def test_sized_iterable_data_is_scaled_by_whole_batches(k, r, batches):
    loader = at_volume(DataLoader(SizedStream(32), batch_size=4), draws(k, r))
    drawn = [batch.tolist() for batch in loader]
    assert len(loader) == len(drawn) == batches
    assert drawn == [list(range(i % 8 * 4, i % 8 * 4 + 4)) for i in range(batches)]


def test_iterable_data_without_a_length_learns_it_from_its_first_complete_pass():
    plan = draws(0.5)
    loader = at_volume(DataLoader(Stream(32), batch_size=4), plan)
    with pytest.raises(TypeError, match="len"):
        len(loader)
    assert [len(list(loader)) for _ in range(3)] == [8, 4, 4]
    plan.volume = Volume(3)
    assert len(list(loader)) == 24


def test_an_iterable_loader_stays_the_loader_that_it_was():
    class Mine(DataLoader):
        def mark(self):
            return "mine"

    loader = Mine(Stream(8), batch_size=4)
    new = at_volume(loader, draws(2))
    assert isinstance(new, Mine)
    assert new.mark() == "mine"
    assert new.dataset is loader.dataset
    assert type(loader) is Mine
    assert len(list(loader)) == 2


def test_any_other_iterable_passes_its_attributes_on():
    class Batches(list):
        tag = "batches"

    new = at_volume(Batches([1, 2, 3, 4]), draws(1.5))
    assert list(new) == [1, 2, 3, 4, 1, 2]
    assert new.tag == "batches"
    with pytest.raises(AttributeError, match="nothing"):
        _ = new.nothing


def test_a_sampler_without_a_length_is_scaled_by_whole_batches():
    class Endless:
        def __iter__(self):
            return iter(range(32))

    loader = at_volume(DataLoader(Numbered(32), batch_size=4, sampler=Endless()), draws(0.5))
    assert [len(numbers(loader)) for _ in range(2)] == [8, 4]


def test_passing_through_is_bit_identical():
    for loader in (
        DataLoader(Numbered(), batch_size=4, shuffle=True),
        DataLoader(SizedStream(33), batch_size=4),
        DataLoader(Stream(33), batch_size=4),
    ):
        plan = Draws(Volume(), 0, lambda: 0)
        torch.manual_seed(5)
        expected, state = [str(batch) for batch in loader], torch.get_rng_state()
        torch.manual_seed(5)
        assert [str(batch) for batch in at_volume(loader, plan)] == expected
        assert torch.equal(torch.get_rng_state(), state)
