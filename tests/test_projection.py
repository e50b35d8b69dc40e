import math

import numpy as np
import pytest

from lightning_critperiod.costs import EpochCosts, project


def epoch(number, samples, training, data_wait=0.0, detector=0.0):
    return EpochCosts(number, samples, seconds={"training": training, "data_wait": data_wait, "detector": detector})


RUN = [
    epoch(0, 300, 30.0, 3.0),  # warm-up
    epoch(1, 300, 12.0, 3.0, detector=1.0),
    epoch(2, 300, 15.0, 3.6),
    epoch(3, 300, 13.5, 3.3),
    epoch(4, 100, 4.0, 1.0, detector=2.0),
    epoch(5, 100, 5.0, 1.0),
]
MEASURED = {"start_up": 7.0, "validation": 5.0, "detector": 3.0, "training": 79.5, "data_wait": 14.9}
FULL = dict.fromkeys(range(6), 300)


def test_epochs_that_drew_less_are_projected_by_the_median_seconds_per_sample():
    projection = project(MEASURED, RUN, FULL, reference=range(4))
    assert projection.samples == 1800
    assert projection.epochs == 2
    assert projection.seconds["training"] == pytest.approx(30 + 12 + 15 + 13.5 + 2 * 13.5)
    assert projection.seconds["data_wait"] == pytest.approx(3 + 3 + 3.6 + 3.3 + 2 * 3.3)
    assert projection.seconds["start_up"] == 7
    assert projection.seconds["validation"] == 5
    assert projection.total == pytest.approx(97.5 + 19.5 + 12)


def test_the_detector_is_not_charged():
    assert "detector" not in project(MEASURED, RUN, FULL, reference=range(4)).seconds


def test_the_interval_comes_from_the_spread_of_seconds_per_sample():
    projection = project(MEASURED, RUN, FULL, reference=range(4))
    rates = np.array([15.0, 18.6, 16.8]) / 300
    quantile = 4.302652729911275  # Student's t, 2 degrees of freedom, 0.975
    half = 600 * quantile * rates.std(ddof=1) * math.sqrt(1 / 2 + math.pi / 6)
    assert projection.high - projection.total == pytest.approx(half)
    assert projection.total - projection.low == pytest.approx(half)


def test_no_interval_reaches_below_what_is_certain():
    run = [epoch(0, 100, 1.0), epoch(1, 100, 50.0), epoch(2, 10, 1.0)]
    projection = project({"training": 52.0, "start_up": 2.0}, run, dict.fromkeys(range(3), 100), reference=[0, 1])
    assert projection.low == 51 + 2


def test_a_run_that_never_switched_is_projected_to_what_it_was_measured_to_be():
    projection = project(MEASURED, RUN, {e.epoch: e.samples for e in RUN}, reference=range(6))
    assert projection.epochs == 0
    assert projection.low == projection.total == projection.high == sum(MEASURED.values()) - MEASURED["detector"]


def test_one_reference_epoch_gives_a_projection_without_an_interval():
    projection = project(MEASURED, RUN, FULL, reference=[1])
    assert projection.seconds["training"] == pytest.approx(70.5 + 2 * 12)
    assert projection.low is projection.high is None


def test_nothing_to_project_from_is_refused():
    with pytest.raises(ValueError, match="no epoch drew a sample"):
        project(MEASURED, RUN, FULL, reference=[])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered, trials = 0, 2000
    for _ in range(trials):
        rates = generator.normal(1.0, 0.05, size=20)
        run = [epoch(e, 100 if e < 10 else 30, rate * (100 if e < 10 else 30)) for e, rate in enumerate(rates)]
        projection = project(
            {"training": sum(e.seconds["training"] for e in run)}, run, dict.fromkeys(range(20), 100), range(10)
        )
        covered += projection.low <= 100 * rates.sum() <= projection.high
    assert 0.93 < covered / trials < 0.98
