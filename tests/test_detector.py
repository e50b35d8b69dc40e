"""The detector asks a rule as a run does. Truth: the rule asked by hand about every prefix of the history."""

import math
import random

import pytest
from conftest import TinyData, TinyModel, make_trainer

from lightning_critperiod import (
    AtEpoch,
    CriticalPeriodCallback,
    LowOutlier,
    MonitoredMetric,
    Never,
    Plateau,
    Recipe,
    Slope,
    Worthwhile,
)
from lightning_critperiod.detector import Decision, Detector, filled, replay

RULES = [Slope(window=3), Plateau(patience=2), LowOutlier(every_n_epochs=2), AtEpoch(4), Never()]


def histories():
    generator = random.Random(3)
    for _ in range(20):
        values = {epoch: 1 / (1 + epoch) + generator.gauss(0, 0.02) for epoch in range(20)}
        yield {epoch: value for epoch, value in values.items() if generator.random() < 0.8}


def first_end(rule, history):
    for finished in range(max(history) + 2):
        prefix = {epoch: history.get(epoch, math.nan) for epoch in range(finished)}
        if rule(prefix, 25):
            return finished
    return None


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_replay_finds_the_first_epoch_at_which_the_rule_fires_on_a_history_with_gaps(rule):
    found = [replay(rule, history, 25).end_epoch for history in histories()]
    assert found == [first_end(rule, history) for history in histories()]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_detector_that_is_told_value_by_value_decides_as_replay_does(rule):
    for history in histories():
        detector = Detector("val_loss", rule, 25)
        fired = [detector.ask(0)]
        for epoch in range(max(history) + 1):
            detector.record(epoch, history.get(epoch))
            fired.append(detector.ask(epoch + 1))
        expected = replay(rule, history, 25)
        assert detector.end_epoch == expected.end_epoch
        assert sum(fired) == (expected.end_epoch is not None)
        assert detector.reason.endswith(expected.why)


def test_epochs_without_a_value_are_nan_and_those_to_come_are_missing():
    found = filled({0: 1.0, 2: 3.0, 7: 8.0}, 4)
    assert list(found) == [0, 1, 2, 3]
    assert [math.isnan(value) for value in found.values()] == [False, True, False, True]


def test_nothing_decided_says_why_not():
    detector = Detector("layer_rotation", Never(), 3)
    assert replay(Never(), {0: 1.0}, 3) == Decision()
    assert detector.why_not(3) == "critical period not over in 3 epochs: Never() never fired"
    assert detector.why_not(1) == "critical period not over in 1 epoch: Never() never fired"


@pytest.mark.parametrize(
    "rule", [Slope(min_epochs=0), LowOutlier(), LowOutlier(every_n_epochs=1, min_epochs=0), Worthwhile(1.0, "min")]
)
def test_a_rule_never_fires_before_its_least_epochs_and_may_fire_then(rule):
    """Truth: any of many histories on which it fires, cut shorter and shorter."""
    generator, ends = random.Random(1), []
    for _ in range(300):
        history = {e: 3 * min(e, 2) / 30 + generator.gauss(0, 1e-3) - (generator.random() < 0.3) for e in range(30)}
        ends.append(replay(rule, history, 31).end_epoch or 99)
    assert min(ends) == rule.least_epochs


def test_a_forgotten_mode_is_a_warning_where_the_name_of_the_metric_says_the_other_one(tmp_path):
    callback = CriticalPeriodCallback(MonitoredMetric("val_acc"), Plateau(patience=1), observe_only=True)
    with pytest.warns(UserWarning, match=r'val_acc is better when higher, by its name, but Plateau has mode="min"'):
        callback.setup(make_trainer(tmp_path, [callback], max_epochs=4), TinyModel(), "fit")


def test_a_run_too_short_for_its_rule_is_told_so_when_it_starts(tmp_path, caplog):
    model = TinyModel()
    make_trainer(tmp_path, [CriticalPeriodCallback(rule=Slope(), recipe=Recipe())], max_epochs=4).fit(model, TinyData())
    assert (
        "can't end in this run: Slope needs 5 finished epochs, and one more to act on; max_epochs is 4" in caplog.text
    )
