"""Replaying a rule over a finished run gives what the rule says when it is asked after every epoch, only sooner."""

import math
import random
from dataclasses import dataclass

import pytest

from lightning_critperiod.detector import filled, replay
from lightning_critperiod.rules import AtEpoch, Forecast, LowOutlier, Never, Patient, Plateau, Rule, Slope, Worthwhile
from lightning_critperiod.rules.replay import verdicts

RULES = [
    Never(),
    AtEpoch(0),
    AtEpoch(7),
    Slope(),
    Slope(window=2, max_angle=-5.0, min_epochs=0),
    Slope.published(),
    Plateau(),
    Plateau(patience=0, mode="max", min_epochs=9),
    Plateau(patience=6, min_delta=0.05, relative=True, min_epochs=0),
    LowOutlier(threshold=0.5, min_epochs=0),
    LowOutlier(threshold=0.2, every_n_epochs=1),
    Patient(LowOutlier(threshold=0.1, every_n_epochs=1), epochs=2),
    Patient(Plateau(patience=1), epochs=3),
    Patient(AtEpoch(0), epochs=3),
    Forecast(),
    Forecast(min_gain=0.3, mode="max", min_epochs=0),
    Worthwhile(min_gain=0.02, mode="min"),
    Worthwhile(min_gain=0.1, mode="max", horizon=40),
]
SHAPES = {
    "falls": lambda e, noise: 2 * math.exp(-e / 9) + 0.02 * noise,
    "rises": lambda e, noise: 0.9 - 0.5 / (e + 1) + 0.005 * noise,
    "noise": lambda e, noise: noise,
    "flat": lambda e, noise: 3.0,
    "far from zero": lambda e, noise: 1e6 + math.exp(-e / 15) + 1e-4 * noise,
}


def histories(shape):
    numbers = random.Random(shape)
    for missing in (0.0, 0.0, 0.4):
        every = {e: SHAPES[shape](e, numbers.gauss(0, 1)) for e in range(70)}
        kept = {e: value for e, value in every.items() if numbers.random() >= missing}
        yield kept | {e: math.nan for e in (3, 20) if missing}


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_replay_says_after_every_epoch_what_the_rule_says(rule, shape):
    for history in histories(shape):
        for max_epochs in (70, 100):
            asked = [rule(filled(history, finished), max_epochs) for finished in range(max(history) + 2)]
            assert list(verdicts(rule, history, max_epochs)) == asked


def test_the_rules_above_fire_on_some_of_the_histories_above():
    histories_of_all = [history for shape in SHAPES for history in histories(shape)]
    fired = {
        rule for rule in RULES if any(replay(rule, history, 70).end_epoch is not None for history in histories_of_all)
    }
    assert set(RULES) - fired == {Never()}


def test_the_decision_of_a_replay_has_the_words_of_the_rule():
    history = {0: 1.0, 1: 0.5, 4: 0.6, 5: 0.7, 6: 0.8}
    decision = replay(Plateau(patience=2), history, 20)
    assert (decision.end_epoch, decision.why) == (6, Plateau(patience=2).why(filled(history, 6), 20))


@dataclass(frozen=True)
class Impatient(Plateau):
    def __call__(self, history, max_epochs):
        return len(history) > 2


@dataclass(frozen=True)
class LastIsLow(Rule):
    def __call__(self, history, max_epochs):
        return bool(history) and history[max(history)] < 0.2


@pytest.mark.parametrize("rule", [Impatient(), LastIsLow()], ids=repr)
def test_a_rule_of_the_users_own_is_asked_after_every_epoch(rule):
    history = {e: 1 / (e + 1) for e in range(10)}
    asked = [rule(filled(history, finished), 10) for finished in range(11)]
    assert list(verdicts(rule, history, 10)) == asked
    assert True in asked


class Counted(float):
    """A number that counts how often a rule turns it into a plain one: how often values are read."""

    reads = 0

    def __float__(self):
        Counted.reads += 1
        return super().__float__()


NEVER_FIRE_ON_EVER_FASTER_GAINS = [
    Never(),
    Slope(),
    Plateau(mode="max"),
    Plateau(mode="max", min_delta=0.001, relative=True),
    LowOutlier(),
    LowOutlier(every_n_epochs=1),
    Patient(Slope(), epochs=3),
    Forecast(mode="max"),
    Forecast(mode="min"),
    Worthwhile(min_gain=0.01, mode="max"),
]


@pytest.mark.parametrize("rule", NEVER_FIRE_ON_EVER_FASTER_GAINS, ids=repr)
def test_a_long_run_is_not_read_again_for_every_epoch(rule):
    """Ten thousand epochs took Forecast and Plateau more than a minute, as each of them read all that came before."""

    def reads(epochs):
        Counted.reads = 0
        history = {e: Counted(1.01**e) for e in range(epochs)}
        assert replay(rule, history, 10 * epochs).end_epoch is None
        return Counted.reads

    assert reads(1000) <= 2.5 * reads(500) + 100
