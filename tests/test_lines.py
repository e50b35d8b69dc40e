"""What a rule compared the signal with, for the figures: against NumPy, SciPy and the rule's own verdict."""

import json
import math

import numpy as np
import pytest
from conftest import Declares, TinyModel
from scipy.optimize import curve_fit

from lightning_critperiod import CriticalPeriodCallback, MonitoredMetric
from lightning_critperiod.report import RunRecorder
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Patient, Plateau, Rule, Slope

NOISY = dict(enumerate(np.random.default_rng(0).normal(size=30).tolist()))
RULES = [Slope(), LowOutlier(), Plateau(), Forecast(), Patient(Slope(), 2), AtEpoch(3)]


def test_slope_shows_numpys_line_through_the_window():
    history = NOISY | {27: math.nan}
    window = [25, 26, 28, 29]
    slope, intercept = np.polyfit(window, [NOISY[e] for e in window], 1)
    ((label, line),) = Slope(window=4).lines(history, max_epochs=40).items()
    assert label == "fitted line"
    assert np.array(line) == pytest.approx(np.array([[x, intercept + slope * x] for x in (24.5, 29.5)]))


def test_slope_shows_no_line_before_its_window_is_full():
    assert Slope(window=5).lines(dict.fromkeys(range(4), 1.0), max_epochs=40) == {}


def test_low_outlier_shows_numpys_quartiles_and_the_limit_of_its_last_look():
    history = {e: NOISY[e] for e in range(27)}  # the last look was after epoch 19
    q1, q3 = np.percentile([NOISY[e] for e in range(18)], [25, 75])
    lines = LowOutlier(threshold=2).lines(history, max_epochs=100)
    assert {label: line[1] for label, line in lines.items()} == {
        "Q3": (19, pytest.approx(q3)),
        "Q1": (19, pytest.approx(q1)),
        "Q1 - 2 IQR": (19, pytest.approx(q1 - 2 * (q3 - q1))),
    }
    assert {line[0] for line in lines.values()} == {(0, level) for _, (_, level) in lines.values()}


def test_the_limit_that_low_outlier_shows_is_where_its_verdict_turns():
    history = {e: NOISY[e] for e in range(20)}
    rule = LowOutlier()
    limit = rule.lines(history, max_epochs=30)["Q1 - 1.5 IQR"][0][1]
    assert rule(history | {19: limit - 1e-9}, max_epochs=30)
    assert not rule(history | {19: limit}, max_epochs=30)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_shows_the_best_from_where_it_was_reached(mode):
    best = {"min": min, "max": max}[mode](NOISY, key=NOISY.get)
    history = NOISY | {30: math.nan}
    assert Plateau(mode=mode).lines(history, max_epochs=100) == {"best": [(best, NOISY[best]), (30, NOISY[best])]}


def test_forecast_shows_the_curve_that_scipy_fits_to_the_end_of_the_run():
    values = {e: 0.4 + 2 * math.exp(-e / 5) + 0.02 * NOISY[e] for e in range(2, 20)}
    truth, _ = curve_fit(lambda t, a, b, tau: a + b * np.exp(-t / tau), [*values], [*values.values()], (0, 1, 3))
    line = Forecast().lines(values, max_epochs=50)["fitted curve"]
    assert [epoch for epoch, _ in line] == list(range(2, 50))
    a, b, tau = truth
    assert [value for _, value in line] == pytest.approx([a + b * math.exp(-e / tau) for e in range(2, 50)], abs=1e-3)


def test_forecast_shows_no_curve_where_it_abstains():
    assert Forecast().lines({e: 1 - 0.01 * e for e in range(20)}, max_epochs=50) == {}


def test_patient_shows_what_the_other_rule_compared_with():
    rule = LowOutlier(every_n_epochs=1)
    assert Patient(rule, 3).lines(NOISY, 100) == rule.lines(NOISY, 100) != {}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("history", [{}, {0: math.nan}, {0: 1.0}, {0: math.nan, 1: 1.0, 2: 1.0}])
def test_nothing_to_show_is_no_error(rule, history):
    lines = rule.lines(history, max_epochs=30)
    assert all(math.isfinite(value) for line in lines.values() for _, value in line)


def test_a_run_records_what_its_rule_compared_with_when_it_fired(trainer_for, tmp_path):
    class Half(Rule):
        def __call__(self, history, max_epochs):
            return len(history) >= 3

        def lines(self, history, max_epochs):
            return {"half": [(0.0, 0.5), (float(max(history)), 0.5)]}

    callback = CriticalPeriodCallback(signal=MonitoredMetric("val_loss"), rule=Half())
    trainer_for(callback, RunRecorder()).fit(TinyModel(), datamodule=Declares())
    (report,) = tmp_path.rglob("report.json")
    assert json.loads(report.read_text())["decision"]["lines"] == {"half": [[0.0, 0.5], [2.0, 0.5]]}


def test_a_rule_of_ones_own_that_says_nan_or_numpy_numbers_costs_no_report(trainer_for, tmp_path):
    class Odd(Rule):
        def __call__(self, history, max_epochs):
            return False

        def lines(self, history, max_epochs):
            return {
                "level": [(np.float32(0), np.float32(0.5)), (1, math.nan), (2, 1)],
                "none": [],
                "lost": [(0, math.inf)],
            }

    callback = CriticalPeriodCallback(signal=MonitoredMetric("val_loss"), rule=Odd())
    trainer_for(callback, RunRecorder()).fit(TinyModel(), datamodule=Declares())
    (report,) = tmp_path.rglob("report.json")
    assert json.loads(report.read_text())["decision"]["lines"] == {"level": [[0.0, 0.5], [2.0, 1.0]]}
