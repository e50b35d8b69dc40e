"""Paired differences, verdicts and quantities of equal cost, against slow computations."""

import math

import numpy as np
import pytest
import torch
from test_compare import plan_of

from lightning_critperiod.recipe import Volume
from lightning_critperiod.studies.compare.quantities import quantity, ramp, shuffled
from lightning_critperiod.studies.compare.spent import Spent
from lightning_critperiod.studies.statistics import paired, seeds_needed, verdict


def test_the_intervals_are_those_of_a_slow_computation():
    values, reference = {1: 90.1, 2: 91.0, 3: 89.7, 4: 90.6, 9: 50.0}, {1: 90.0, 2: 90.2, 3: 89.9, 4: 89.8}
    found = paired(values, reference)
    d = np.array([0.1, 0.8, -0.2, 0.8])
    half = 3.182446305284263 * d.std(ddof=1) / 2  # t(0.975, 3), from a table
    assert found.seeds == 4
    assert found.t == pytest.approx((d.mean() - half, d.mean() + half))
    resampled = [d[list(np.unravel_index(i, (4, 4, 4, 4)))].mean() for i in range(256)]  # all of them
    assert found.bootstrap == pytest.approx(np.percentile(resampled, [2.5, 97.5]), abs=0.03)


def test_one_seed_has_no_interval_and_no_common_seed_no_difference():
    found = paired({1: 2.0}, {1: 1.5, 2: 7.0})
    assert (found.mean, found.t, found.bootstrap) == (0.5, None, None)
    assert verdict(found, 1.0) == "undecided"
    assert paired({1: 2.0}, {2: 1.0}) is None


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ((0.0, 0.1, -0.1, 0.05), "non-inferior"),
        ((-0.6, -0.55, -0.62, -0.58), "inferior"),
        ((-1.5, 1.5, 0.3, -0.4), "undecided"),
        ((-0.3, -0.31, -0.29, -0.3), "non-inferior"),  # worse, but by less than the margin
        ((-0.75, -0.75, -0.75, -0.75), "undecided"),  # no spread to judge by: chance on a coarse scale
    ],
)
def test_the_verdict_is_the_place_of_the_interval_against_the_margin(differences, expected):
    found = paired(dict(enumerate(differences)), dict.fromkeys(range(4), 0.0))
    assert verdict(found, 0.5) == expected


@pytest.mark.parametrize("sd", [0.2, 0.5, 1.5])
def test_with_the_seeds_needed_four_of_five_studies_of_equal_arms_show_it(sd):
    n, margin = seeds_needed(sd, 0.5), 0.5
    draws = np.random.default_rng(0).normal(0, sd, (20_000, n))
    from scipy.stats import t

    low = draws.mean(1) - t.ppf(0.975, n - 1) * draws.std(1, ddof=1) / math.sqrt(n)
    assert (low > -margin).mean() == pytest.approx(0.8, abs=0.12 if n < 6 else 0.04)


PLAN = plan_of(20, Volume(3.0), Volume(1.0, 0.3))


def spent_by(samples, **changes):
    return Spent(**{
        "budget": samples, "pass_samples": 1000, "batch_size": 64,
        "rates": [([0.1], 100), ([0.05], 300)], "signal": [1.0, 2.0, 3.0], **changes,
    })  # fmt: skip


@pytest.mark.parametrize("passes", [16.3, 20.0, 33.3, 59.9, 60.0])
def test_every_equal_cost_quantity_adds_up_to_the_budget(passes):
    known = {name: quantity(name, PLAN, 0, spent_by(round(1000 * passes))) for name in (
        "constant_multiplier", "short_epochs", "short_multiplier", "rs2_pruning_ratio",
        "reverse_epoch", "reverse_multiplier", "ramp",
    )}  # fmt: skip
    assert 20 * known["constant_multiplier"] == pytest.approx(passes)
    assert known["short_epochs"] * known["short_multiplier"] == pytest.approx(passes)
    assert 20 * 3 * (1 - known["rs2_pruning_ratio"]) == pytest.approx(passes)
    first = known["reverse_epoch"]
    assert 0.7 * first + (20 - first) * known["reverse_multiplier"] == pytest.approx(passes)
    assert sum(known["ramp"]) == pytest.approx(passes, abs=1e-3)
    assert known["ramp"] == sorted(known["ramp"], reverse=True)


def test_the_ramp_that_may_spend_all_is_flat_and_the_one_that_may_not_is_a_cliff():
    assert ramp(3.0, 1.0, 4, 12.0) == pytest.approx([3.0] * 4, abs=1e-3)
    assert ramp(3.0, 1.0, 4, 6.0) == pytest.approx([3.0, 1.0, 1.0, 1.0], abs=1e-3)


def test_reverse_needs_two_volumes():
    plan = plan_of(20, Volume(), Volume())
    with pytest.raises(ValueError, match="full volume above the cheap one"):
        quantity("reverse_epoch", plan, 0, spent_by(20_000))


def test_the_random_epoch_is_uniform_between_the_first_and_the_last():
    plan = plan_of(6, Volume(3.0), Volume())
    counts = np.bincount([quantity("random_epoch", plan, seed, None) for seed in range(2000)], minlength=6)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([400] * 5, abs=80)  # 4.5 standard deviations


def test_shuffling_depends_on_the_seed_alone():
    values = [float(i) for i in range(10)]
    state = torch.get_rng_state()
    assert shuffled(values, 3) == shuffled(values, 3) != shuffled(values, 4)
    assert sorted(shuffled(values, 3)) == values
    assert torch.equal(torch.get_rng_state(), state)
