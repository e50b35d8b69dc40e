"""What a rule compared the signal with, for the figures: against NumPy, SciPy and the rule's own verdict."""

import json
import math

import numpy as np
import pytest
from conftest import Declares, TinyModel

from lightning_critperiod import CriticalPeriodCallback, MonitoredMetric
from lightning_critperiod.report import RunRecorder
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Patient, Plateau, Rule, Slope, Worthwhile
from lightning_critperiod.rules.outlook import outlook

NOISY = dict(enumerate(np.random.default_rng(0).normal(size=30).tolist()))
RULES = [Slope(), LowOutlier(), Plateau(), Forecast(), Patient(Slope(), 2), AtEpoch(3), Worthwhile(0.1, "min")]


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


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_what_looks_ahead_shows_numpys_line_over_the_logarithm_of_the_epochs(mode, sign):
    values = {e: sign * (0.4 + 2 * math.exp(-e / 5) + 0.02 * NOISY[e]) for e in range(2, 20)}
    doubling = [e for e in values if e + 1 > 10]
    slope, now = np.polyfit(np.log2(np.array(doubling) / 20 + 1 / 20), [values[e] for e in doubling], 1)
    for rule in (Forecast(mode=mode), Worthwhile(0.1, mode)):
        line = dict(rule.lines(values, max_epochs=50)["last doubling"])
        assert list(line) == pytest.approx([9 + i for i in range(11)])
        assert list(line.values()) == pytest.approx([now + slope * math.log2((e + 1) / 20) for e in line])


def test_what_looks_ahead_shows_from_there_the_most_that_its_words_say_is_to_come():
    accuracy = {e: 0.9 - 0.5 / (e + 1) + 0.001 * NOISY[e] for e in range(30)}
    rule = Worthwhile(0.05, "max")
    lines = rule.lines(accuracy, max_epochs=100)
    (start, level), (end, most) = lines["at most to come"]
    assert (start, end) == (29, 59)
    assert f"going on to epoch 59 would bring at most {most - level:.3g}" in rule.why(accuracy, max_epochs=100)
    assert lines["worth going on"] == [(29, pytest.approx(level)), (59, pytest.approx(level + 0.05))]
    (_, level), (last, most) = Forecast(0.5, "max").lines(accuracy, max_epochs=100)["at most to come"]
    gained = level - np.mean([accuracy[e] for e in range(3)])
    assert last == 99
    assert f"at most {(most - level) / gained:.1%}" in Forecast(0.5, "max").why(accuracy, max_epochs=100)


@pytest.mark.parametrize("rule", [Forecast(), Worthwhile(0.1, "min")], ids=repr)
def test_nothing_is_shown_of_what_is_to_come_while_too_few_epochs_were_measured(rule):
    assert rule.lines({e: 1 / (e + 1) for e in range(10)}, max_epochs=50) == {}
    assert rule.lines({e: 1 / (e + 1) for e in range(11)}, max_epochs=50) != {}


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


def test_a_users_own_rule_that_says_nan_or_numpy_numbers_costs_no_report(trainer_for, tmp_path):
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


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_course_of_worthwhile_is_what_it_would_say_after_every_epoch(mode):
    rng = np.random.default_rng(3)
    history = {epoch: math.sqrt(epoch) + rng.normal() / 10 for epoch in range(40) if epoch % 7}
    rule = Worthwhile(0.1, mode)
    gain, most, least = rule.course(history, None).values()
    found = {now: outlook({e: history[e] for e in history if e <= now}, mode) for now in history}
    expected = {now: each for now, each in found.items() if each is not None}
    assert [epoch for epoch, _ in gain] == [epoch for epoch, _ in most] == list(expected)
    assert [value for _, value in gain] == pytest.approx([each.gain for each in expected.values()])
    assert [value for _, value in most] == pytest.approx([each.limit for each in expected.values()])  # one doubling
    assert least == [(min(expected), 0.1), (max(expected), 0.1)]
    assert Worthwhile(0.1, mode).course({0: 1.0}, None) == {}
