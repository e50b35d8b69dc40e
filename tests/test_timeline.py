"""Phases as a pure function of what is decided. Truth: the definitions, counted epoch by epoch."""

import math
from fractions import Fraction

import pytest

from lightning_critperiod.timeline import Timeline


def phases(epochs, **decided):
    timeline = Timeline(**decided)
    return [timeline.phase(epoch) for epoch in range(epochs)]


def test_without_a_decision_every_epoch_is_during():
    assert phases(5, max_epochs=5, annealing_fraction=0.5) == ["during"] * 5


@pytest.mark.parametrize("tenths", range(11))
@pytest.mark.parametrize("end", range(12))
def test_annealing_begins_where_the_exact_fraction_says_and_lasts_at_least_an_epoch(tenths, end):
    after = math.ceil((12 - end) * (1 - Fraction(tenths, 10)))
    if tenths and after == 12 - end > 1:
        after -= 1
    expected = ["during"] * end + ["after"] * after + ["annealing"] * (12 - end - after)
    assert phases(12, max_epochs=12, end_epoch=end, annealing_fraction=tenths / 10) == expected


def test_a_run_of_ten_epochs_that_switches_at_three_has_its_last_eighth():
    assert phases(10, max_epochs=10, end_epoch=3, annealing_fraction=0.125)[-2:] == ["after", "annealing"]


def test_a_run_without_a_last_epoch_has_no_annealing():
    assert phases(50, max_epochs=None, end_epoch=3, annealing_fraction=0.5)[3:] == ["after"] * 47


def test_a_guard_makes_it_during_again_even_in_the_last_part():
    decided = dict(max_epochs=10, end_epoch=2, back_epoch=4, annealing_fraction=0.25)
    assert phases(10, **decided) == ["during"] * 2 + ["after"] * 2 + ["during"] * 6


DECIDED = {
    "nothing": {},
    "period over": dict(end_epoch=3),
    "over before it begins": dict(end_epoch=0, annealing_fraction=0.5),
    "annealing": dict(end_epoch=3, annealing_fraction=0.25),
    "taken back": dict(end_epoch=3, back_epoch=5, annealing_fraction=0.25),
    "cooldown": dict(end_epoch=4, cooldown_epoch=6, last_epoch=8, annealing_fraction=0.5),
}


@pytest.mark.parametrize("decided", DECIDED.values(), ids=DECIDED)
@pytest.mark.parametrize("first", [0, 4, 9, 10])
def test_a_span_has_one_phase_and_all_spans_have_all_epochs(decided, first):
    spans = Timeline(max_epochs=10, **decided).spans(first, 10)
    assert [epoch for span in spans for epoch in span] == list(range(first, 10))
    every = phases(10, max_epochs=10, **decided)
    assert all(len({every[epoch] for epoch in span}) == 1 for span in spans)
    assert len(spans) <= 4


def test_a_cooldown_takes_the_place_of_annealing():
    decided = dict(max_epochs=10, end_epoch=4, cooldown_epoch=4, last_epoch=6, annealing_fraction=0.5)
    assert phases(7, **decided) == ["during"] * 4 + ["cooldown"] * 3
