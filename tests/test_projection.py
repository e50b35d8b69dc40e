import math

import numpy as np
import pytest

from lightning_critperiod.costs import PacedEpoch, project


def epoch(drawn, wanted, training, data_wait=0.0, **more):
    """An epoch that counts as a reference if it drew what it would have drawn."""
    more.setdefault("is_reference", drawn == wanted)
    seconds = {"training": training, "data_wait": data_wait, **more.pop("seconds", {})}
    return PacedEpoch(drawn, wanted, seconds, **more)


RUN = [
    epoch(300, 300, 30.0, 3.0),  # warm-up
    epoch(300, 300, 12.0, 3.0),
    epoch(300, 300, 15.0, 3.6),
    epoch(300, 300, 13.5, 3.3),
    epoch(100, 300, 4.0, 1.0),
    epoch(100, 300, 5.0, 1.0),
]
MEASURED = {"start_up": 7.0, "validation": 5.0, "detector": 3.0, "training": 79.5, "data_wait": 14.9}


def test_epochs_that_drew_less_are_projected_by_the_median_seconds_per_sample():
    projection = project(MEASURED, RUN)
    assert projection.drawn == 1800
    assert projection.epochs == 2
    assert projection.seconds["training"] == pytest.approx(30 + 12 + 15 + 13.5 + 2 * 13.5)
    assert projection.seconds["data_wait"] == pytest.approx(3 + 3 + 3.6 + 3.3 + 2 * 3.3)
    assert projection.seconds["start_up"] == 7
    assert projection.seconds["validation"] == 5
    assert projection.total == pytest.approx(97.5 + 19.5 + 12)


def test_the_detector_is_not_charged():
    assert "detector" not in project(MEASURED, RUN).seconds


def test_the_interval_comes_from_the_spread_of_seconds_per_sample():
    projection = project(MEASURED, RUN)
    rates = np.array([15.0, 18.6, 16.8]) / 300
    quantile = 4.302652729911275  # Student's t, 2 degrees of freedom, 0.975
    half = 600 * quantile * rates.std(ddof=1) * math.sqrt(1 / 2 + math.pi / 6)
    assert projection.high - projection.total == pytest.approx(half)
    assert projection.total - projection.low == pytest.approx(half)


def test_no_interval_reaches_below_what_is_certain():
    run = [epoch(100, 100, 1.0), epoch(100, 100, 50.0), epoch(10, 100, 1.0)]
    projection = project({"training": 52.0, "start_up": 2.0}, run)
    assert projection.low == 51 + 2


def test_a_run_that_never_switched_is_projected_to_what_it_was_measured_to_be():
    projection = project(MEASURED, [epoch(e.drawn, e.drawn, *e.seconds.values()) for e in RUN])
    assert projection.epochs == 0
    assert projection.low == projection.total == projection.high == sum(MEASURED.values()) - MEASURED["detector"]


def test_one_reference_epoch_gives_a_projection_without_an_interval():
    run = [epoch(e.drawn, e.wanted, *e.seconds.values(), is_reference=e is RUN[1]) for e in RUN]
    projection = project(MEASURED, run)
    assert projection.seconds["training"] == pytest.approx(70.5 + 2 * 12)
    assert projection.low is projection.high is None


def test_nothing_to_project_from_is_refused():
    with pytest.raises(ValueError, match="no epoch drew a sample"):
        project(MEASURED, [epoch(100, 300, 4.0)])


def test_a_cheaper_step_is_seen_as_cheaper_though_as_many_samples_are_drawn():
    cheap = [epoch(100, 100, 5.0, same_steps=False, is_reference=False) for _ in range(3)]
    run = [*(epoch(100, 100, seconds) for seconds in (30.0, 10.0, 11.0, 12.0)), *cheap]
    projection = project({"training": 63.0 + 15.0}, run)
    assert projection.epochs == 3
    assert projection.drawn == 700
    assert projection.seconds["training"] == pytest.approx(63 + 3 * 11)
    assert projection.low < projection.total < projection.high


def test_planned_epochs_that_were_left_out_count_as_whole_ones():
    took = ((30.0, 3.0), (10.0, 1.0), (11.0, 1.0), (12.0, 1.0))
    run = [epoch(100, 100, training, seconds={"validation": validation}) for training, validation in took]
    projection = project({"training": 63.0, "validation": 6.0, "start_up": 2.0}, run, left_out=5)
    assert projection.drawn == 900
    assert projection.epochs == 0  # of this run: it counts as measured
    assert projection.seconds["training"] == pytest.approx(63 + 5 * 11)
    assert projection.seconds["validation"] == pytest.approx(6 + 5 * 1.5)
    assert projection.seconds["start_up"] == 2
    half = 500 * 4.302652729911275 * np.std([0.10, 0.11, 0.12], ddof=1) * math.sqrt(1 / 5 + math.pi / 6)
    assert projection.high - projection.total == pytest.approx(half)


def test_flops_are_projected_by_those_of_a_sample_in_the_full_recipe():
    full, cheap = 100 * 7e9, 100 * 2e9
    run = [epoch(100, 100, 1.0, flops=full) for _ in range(3)]
    run.append(epoch(100, 100, 1.0, flops=cheap, same_steps=False, is_reference=False))
    assert project({"training": 4.0}, run, left_out=2).flops == pytest.approx(6 * full)
    assert project({"training": 4.0}, [*run[:2], epoch(100, 100, 1.0), run[3]]).flops is None


def test_an_epoch_of_the_same_recipe_counts_its_own_flops_a_sample_whatever_those_of_others_are():
    """A backbone that thaws in epoch 2: its steps are dearer for another reason than the recipe."""
    run = [epoch(100, 100, 1.0, flops=100 * 2e9), epoch(100, 100, 1.0, flops=100 * 2e9)]
    run += [epoch(30, 100, 0.3, flops=30 * 7e9), epoch(30, 100, 0.3, flops=30 * 7e9)]
    assert project({"training": 2.6}, run).flops == pytest.approx(2 * 100 * 2e9 + 2 * 100 * 7e9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered, trials = 0, 2000
    for _ in range(trials):
        rates = generator.normal(1.0, 0.05, size=20)
        run = [epoch(drawn, 100, rate * drawn) for drawn, rate in zip([100] * 10 + [30] * 10, rates, strict=True)]
        projection = project({"training": sum(e.seconds["training"] for e in run)}, run)
        covered += projection.low <= 100 * rates.sum() <= projection.high
    assert 0.93 < covered / trials < 0.98
