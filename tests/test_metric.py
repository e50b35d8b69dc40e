"""The metric that decides a study: which direction is better, and in which unit it is written."""

import pytest

from lightning_critperiod.studies.metric import Metric, Monitor, find_metric
from lightning_critperiod.studies.statistics import paired, verdict


def monitor(metric, mode, callback="ModelCheckpoint"):
    return Monitor(callback, metric, mode)


@pytest.mark.parametrize(
    ("name", "monitors", "mode"),
    [
        ("test/score", [monitor("val/score", "max")], "max"),
        ("test_score", [monitor("valid_score", "min")], "min"),
        ("test/energy_epoch", [monitor("validation/energy", "max", "EarlyStopping")], "max"),
        ("test_mse", [], "min"),
        ("test/accuracy", [], "max"),
        ("test_mse", [monitor("val_acc", "max")], "min"),  # what is watched is another quantity
    ],
)
def test_the_direction_comes_from_the_configs_monitor_of_the_same_quantity_or_from_the_name(name, monitors, mode):
    found = find_metric(name, None, monitors)
    assert found.mode == mode
    assert found.source in str(found)
    assert found.source == "by its name" or monitors[0].metric in found.source


def test_what_the_user_says_of_the_direction_goes_before_everything_else():
    found = find_metric("test_mse", "max", [monitor("val_mse", "min")])
    assert (found.mode, found.source) == ("max", "--mode max")


def test_an_unknown_direction_is_asked_for():
    with pytest.raises(ValueError, match=r"lower or a higher 'test/score' is better is not known: give --mode min"):
        find_metric("test/score", None, [monitor("val/other", "min")])


def test_directions_that_contradict_each_other_are_asked_for():
    """ModelCheckpoint(monitor="val_acc") without a mode means "min": a slip that must not turn a study round."""
    with pytest.raises(
        ValueError, match=r"contradictory \(mode 'min' of ModelCheckpoint on val_acc, 'max' by its name"
    ):
        find_metric("test_acc", None, [monitor("val_acc", "min")])


@pytest.mark.parametrize(
    ("name", "values", "scale", "label"),
    [
        ("test_acc", [0.5, 1.0], 100, "test_acc %"),
        ("test/MulticlassAccuracy", [0.99], 100, "test/MulticlassAccuracy %"),
        ("test_acc", [71.5, 0.8], 1, "test_acc %"),  # logged in percent already
        ("test/top5", [0.9], 100, "test/top5 %"),
        ("test/mse", [0.5], 1, "test/mse"),
        ("test_vacc", [0.5], 1, "test_vacc"),
        ("test/auroc", [0.9], 1, "test/auroc"),
    ],
)
def test_an_accuracy_is_written_in_percent_and_everything_else_in_its_own_unit(name, values, scale, label):
    metric = Metric(name, "max")
    assert metric.scale(values) == scale
    assert metric.label == label


@pytest.mark.parametrize(
    ("value", "text"), [(0.1751, "0.17510"), (43.2111, "43.211"), (1.2e-7, "1.2000e-07"), (52304.7, "52305")]
)
def test_a_value_in_its_own_unit_keeps_five_digits_at_any_scale(value, text):
    assert Metric("test/mse", "min").text(value) == text


@pytest.mark.parametrize(("more", "expected"), [(0.3, "inferior"), (-0.3, "non-inferior"), (0.05, "non-inferior")])
def test_where_lower_is_better_the_verdict_turns_with_it(more, expected):
    errors = {seed: 1.0 + more + 0.001 * seed for seed in range(4)}
    difference = paired(errors, dict.fromkeys(range(4), 1.0))
    assert verdict(Metric("test/mse", "min").gain(difference), margin=0.1) == expected
    assert Metric("test/mse", "min").difference(difference).startswith(f"{difference.mean:+#.3g} [")
