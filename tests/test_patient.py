"""Patient, against the verdicts of the rule that it asks, counted by hand."""

import pytest
from test_rules import NAN, fires, random_history

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, LowOutlier, Never, Patient, Plateau, Slope


@pytest.mark.parametrize("epochs", [1, 2, 4])
@pytest.mark.parametrize("rule", [Slope(window=3), LowOutlier(0, every_n_epochs=1), Plateau(2, 0.05)], ids=repr)
def test_it_fires_where_the_rule_has_said_so_that_many_times_in_a_row(rule, epochs):
    fired = 0
    for seed in range(12):
        history = dict.fromkeys(range(40), NAN) | random_history(seed)
        said = set(fires(rule, history, 40))
        expected = [e for e in range(40) if all(e - k in said for k in range(epochs))]
        assert fires(Patient(rule, epochs), history, 40) == expected
        fired += len(expected)
    assert fired > 10


def test_epochs_that_are_missing_are_epochs_at_which_the_rule_says_what_it_said():
    history = dict.fromkeys(range(6), NAN) | {0: 1.0, 1: 2.0, 5: 2.0}
    assert fires(Plateau(1, min_epochs=0), history, 9) == [1, 2, 3, 4, 5]
    assert fires(Patient(Plateau(1, min_epochs=0), 3), history, 9) == [3, 4, 5]


def test_a_verdict_that_is_taken_back_starts_the_count_again():
    confusion = dict(enumerate([1.0, 1.2, 1.1, 1.0, 1.2, 1.1, 1.0, 1.2, 0.1, 1.1, 0.1, 0.1, 0.1]))
    rule = LowOutlier(every_n_epochs=1, min_epochs=5)
    assert fires(rule, confusion, 13) == [8, 10, 11, 12]
    assert fires(Patient(rule, 2), confusion, 13) == [11, 12]


def test_it_has_the_other_rules_words_and_limits():
    history = {0: 1.0, 1: 2.0, 2: 2.0}
    assert Patient(Plateau(1)).why(history, 9) == "did not improve on 1 in 2 measurements, 2 times in a row"
    with pytest.raises(ValueError, match=r"AtEpoch\(epoch=12\) is past the end"):
        Patient(AtEpoch(12)).check_run(max_epochs=10)
    assert not Patient(Never(), 1)({}, 10)
    assert CriticalPeriodCallback(rule=Patient(Slope(), 3)).rule == Patient(rule=Slope(), epochs=3)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"rule": Slope}, TypeError, "rule must be a Rule such as Slope.., got <class"),
        ({"rule": Slope(), "epochs": 0}, ValueError, "epochs must be an int from 1 up, got 0"),
        ({"rule": Slope(), "epochs": True}, TypeError, "epochs must be an int from 1 up, got True"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        Patient(**arguments)
