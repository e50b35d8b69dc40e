"""The computed shuffles and subsets: exact, and as random as torch.randperm by the same statistics."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from lightning_critperiod.data.permutation import BLOCK, Permutation, Subset

N = 100_003
RADIX = -(-N // 318)  # positions so far apart differ in one of the two digits that the computation mixes


def positions(n):
    return np.arange(n, dtype=np.uint64)


def computed(n, seed):
    return Permutation(n, [seed])(positions(n)).astype(np.int64)


def drawn(n, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()


def by_blocks(n, seed):
    """One block among the others of a permutation by blocks: the orders by which a Subset chooses."""
    block = np.full(n, seed, np.uint64)
    return Permutation(n + 1, [0])(positions(n), block, np.full(n, n, np.uint64)).astype(np.int64)


SHUFFLES = pytest.mark.parametrize("shuffle", [computed, by_blocks, drawn])


def uniform(counts):
    """Whether counts may come from equally likely cells: the p-value of the chi-square test is above 1 in 1,000."""
    return stats.chisquare(np.asarray(counts).ravel()).pvalue > 1e-3


@pytest.mark.parametrize("shuffle", [computed, by_blocks])
def test_up_to_300_items_and_around_powers_and_squares_it_is_exactly_a_permutation(shuffle):
    for n in [*range(301), 65535, 65536, 65537, N]:
        for seed in range(3 if n < 301 else 1):
            assert np.array_equal(np.sort(shuffle(n, seed)), np.arange(n)), n


def test_an_item_does_not_depend_on_what_else_is_asked_for():
    order = Permutation(N, [3])
    whole = order(positions(N))
    some = np.array([0, 7, 50_000, N - 1], np.uint64)
    assert np.array_equal(order(some), whole[some])
    assert order(positions(0)).tolist() == []


def test_a_trillion_items_are_permuted_without_being_stored():
    order = Permutation(10**12, [1])
    last = np.arange(10**12 - 1000, 10**12, dtype=np.uint64)
    items = order(last)
    assert len(set(items.tolist())) == 1000
    assert items.max() < 10**12
    assert 0.4e12 < items.mean() < 0.6e12


def test_the_seed_selects_the_order():
    orders = [computed(N, seed) for seed in (1, 1, 2)]
    assert np.array_equal(orders[0], orders[1])
    assert (orders[0] == orders[2]).sum() < 10  # those of two unrelated orders agree about once


@SHUFFLES
@pytest.mark.parametrize("n", [3, 4, 6])
def test_every_order_of_a_few_items_is_equally_likely(shuffle, n):
    orders = [tuple(order) for order in itertools.permutations(range(n))]
    counts = dict.fromkeys(orders, 0)
    for seed in range(10 * len(orders)):
        counts[tuple(shuffle(n, seed).tolist())] += 1
    assert uniform(list(counts.values()))


@SHUFFLES
@pytest.mark.parametrize("n", [20, 37])
def test_every_item_is_equally_likely_at_every_position(shuffle, n):
    """Rows and columns have fixed sums, so the n^2 cells have (n - 1)^2 degrees of freedom."""
    seeds = 2000
    counts = np.zeros((n, n))
    for seed in range(seeds):
        counts[np.arange(n), shuffle(n, seed)] += 1
    statistic = ((counts - seeds / n) ** 2 / (seeds / n)).sum() * (n - 1) / n
    assert 1e-3 < stats.chi2.sf(statistic, (n - 1) ** 2) < 1 - 1e-3


@SHUFFLES
def test_every_pair_of_items_is_equally_likely_at_two_neighbouring_positions(shuffle):
    n = 12
    counts = np.zeros((n, n))
    for seed in range(3000):
        items = shuffle(n, seed)
        counts[items[4], items[5]] += 1
    assert uniform(counts[~np.eye(n, dtype=bool)])


@SHUFFLES
@pytest.mark.parametrize("seed", range(3))
def test_parts_of_the_positions_are_spread_over_all_parts_of_the_items(shuffle, seed):
    items = shuffle(N, seed)
    parts = np.stack([np.arange(N) * 64 // N, items * 64 // N])
    counts = np.histogram2d(*parts, bins=64)[0]
    assert 1e-3 < stats.chi2.sf(((counts - N / 4096) ** 2 / (N / 4096)).sum(), 63**2) < 1 - 1e-3


@SHUFFLES
@pytest.mark.parametrize("lag", [1, 2, 3, 64, RADIX - 1, RADIX, RADIX + 1, 2 * RADIX, 1024, 50_000])
def test_items_at_a_fixed_distance_are_unrelated(shuffle, lag):
    for seed in range(2):
        items = shuffle(N, seed)
        differences = (items[lag:] - items[:-lag]) % N
        assert uniform(np.bincount(differences * 256 // N, minlength=256))
        assert uniform(np.bincount(differences % 256, minlength=256))


@SHUFFLES
@pytest.mark.parametrize("seed", range(3))
def test_runs_up_inversions_and_cycles_are_as_many_as_in_a_random_order(shuffle, seed):
    """Their means and variances over all n! orders are known; four standard deviations are allowed."""
    items = shuffle(N, seed)
    ups = (np.diff(items) > 0).sum()
    assert abs(ups - (N - 1) / 2) < 4 * math.sqrt((N + 1) / 12)
    tau = stats.kendalltau(np.arange(N), items).statistic
    assert abs(tau) < 4 * math.sqrt(2 * (2 * N + 5) / (9 * N * (N - 1)))
    assert abs(cycles(items) - (math.log(N) + 0.577)) < 4 * math.sqrt(math.log(N))


def cycles(items):
    left = np.ones(len(items), dtype=bool)
    count = 0
    following = items.tolist()
    for start in range(len(items)):
        if left[start]:
            count += 1
            at = start
            while left[at]:
                left[at] = False
                at = following[at]
    return count


@SHUFFLES
def test_one_item_is_left_in_its_place_on_average(shuffle):
    """Fixed points are nearly Poisson with mean 1 and variance 1."""
    fixed = [(shuffle(1000, seed) == np.arange(1000)).sum() for seed in range(1000)]
    assert abs(np.mean(fixed) - 1) < 4 / math.sqrt(1000)
    assert abs(np.var(fixed) - 1) < 4 * math.sqrt(3 / 1000)


@SHUFFLES
def test_two_seeds_give_unrelated_orders(shuffle):
    for one, other in ((0, 1), (1, 2), (2, 2**31)):
        differences = (shuffle(N, one) - shuffle(N, other)) % N
        assert uniform(np.bincount(differences * 256 // N, minlength=256))


def members(n, count, seed, first=0):
    return np.concatenate([positions(0), *Subset(n, count, [seed]).ascending(first)]).astype(np.int64)


SIZES = [(0, 0), (1, 0), (1, 1), (10, 3), (300, 299), (BLOCK, 10_000), (BLOCK + 1, 10_000), (3 * BLOCK + 7, 5)]
SIZES += [(150_000, 0), (150_000, 1), (150_000, 149_999), (150_000, 150_000)]


@pytest.mark.parametrize(("n", "count"), SIZES)
def test_a_subset_has_exactly_its_members_in_ascending_order_and_by_rank(n, count):
    ascending = members(n, count, 0)
    assert len(ascending) == count
    assert (np.diff(ascending) > 0).all()
    assert count == 0 or 0 <= ascending[0] <= ascending[-1] < n
    assert np.array_equal(np.sort(Subset(n, count, [0])(positions(count))), ascending.astype(np.uint64))
    for first in {0, count // 3, count - count // 5, count}:
        assert np.array_equal(members(n, count, 0, first), ascending[first:])


def test_every_choice_of_2_of_6_is_equally_likely():
    counts = dict.fromkeys(itertools.combinations(range(6), 2), 0)
    for seed in range(1500):
        counts[tuple(members(6, 2, seed).tolist())] += 1
    assert uniform(list(counts.values()))


def test_every_number_is_equally_often_a_member_whatever_block_it_is_in():
    """Four members cannot be shared evenly among three blocks, except by chance."""
    n = 2 * BLOCK + 3
    found = np.concatenate([members(n, 4, seed) for seed in range(1500)])
    assert uniform(np.bincount(found * 60 // n, minlength=60))
    half = np.concatenate([members(n, n // 2, seed) for seed in range(30)])
    assert abs(np.bincount(half, minlength=n).var() - 30 / 4) < 0.1  # of 30 fair coins
