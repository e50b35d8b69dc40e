"""What a guard asks, against a slow count of its own definition."""

import math
import random

import pytest
from test_rules import random_history

from lightning_critperiod.rules.dropped import Dropped


def truth(history, since, max_drop, mode, patience):
    """Each of the last measured values, one after the other, against everything that was measured before it."""
    sign = {"min": -1, "max": 1}[mode]
    values = [(e, sign * history[e]) for e in sorted(history) if math.isfinite(history[e])]
    last = values[-patience:]
    if len(last) < patience or last[0][0] < since:
        return False
    for epoch, value in last:
        before = [v for e, v in values if e < epoch]
        if not before or not value < max(before) - max_drop:
            return False
    return True


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [1, 2, 4])
def test_it_is_what_its_definition_says_on_random_histories(mode, patience):
    found = set()
    for seed in range(40):
        history, rng = random_history(seed), random.Random(seed)
        for last in range(-1, 40, 3):
            known = {e: v for e, v in history.items() if e <= last}
            since, max_drop = rng.randint(0, 40), rng.choice([0, 0.05, 0.3])
            fired = Dropped(max_drop, mode, patience).fired(known, since)
            assert fired == truth(known, since, max_drop, mode, patience)
            found.add(fired)
    assert found == {True, False}


def test_a_drop_of_exactly_max_drop_is_none():
    dropped = Dropped(0.25, "max")
    assert not dropped.fired({0: 1.0, 1: 0.75}, since=1)
    assert dropped.fired({0: 1.0, 1: 0.7499}, since=1)


def test_a_value_that_recovers_starts_the_count_again():
    loss = dict(enumerate([1.0, 2.0, 1.0, 2.0, 2.0]))
    dropped = Dropped(0.5, "min", patience=2)
    assert [dropped.fired({e: loss[e] for e in range(n)}, since=1) for n in range(6)] == [False] * 5 + [True]


def test_a_drop_before_the_switch_is_not_the_switchs():
    assert not Dropped(0.1, "max").fired({0: 1.0, 1: 0.2}, since=2)
    assert not Dropped(0.1, "max", patience=2).fired({0: 1.0, 1: 0.2, 2: 0.2}, since=2)


def test_its_words_name_the_direction():
    assert Dropped(0.1, "min").why({0: 0.5, 1: 0.75}) == "rose to 0.75, more than 0.1 above its best 0.5"
    assert Dropped(0.1, "max").why({0: 0.5, 1: 0.25, 2: math.nan}) == "fell to 0.25, more than 0.1 below its best 0.5"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"max_drop": -0.1}, ValueError, "max_drop must be a number from 0, got -0.1"),
        ({"max_drop": True}, TypeError, "max_drop .* got True"),
        ({"mode": "up"}, ValueError, "mode .* got 'up'"),
        ({"patience": 0}, ValueError, "patience must be an int from 1 up, got 0"),
        ({"patience": 1.0}, TypeError, "patience .* got 1.0"),
    ],
)
def test_a_bad_argument_is_refused_by_its_name_and_value(arguments, error, words):
    with pytest.raises(error, match=words):
        Dropped(**{"max_drop": 0.1, "mode": "max"} | arguments)
