"""From a finished log: until when going on was worth it, what the rest cost, whether the rate had decayed."""

import math

import pytest
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_critperiod.detector import replay
from lightning_critperiod.inspection import inspect
from lightning_critperiod.inspection.logs import TIME
from lightning_critperiod.inspection.run import read
from lightning_critperiod.inspection.worth import decay_note, seconds_of_epochs, worth
from lightning_critperiod.recipe import Cooldown
from lightning_critperiod.record import Epoch, Record, Run
from lightning_critperiod.report import save
from lightning_critperiod.rules import Worthwhile

SATURATES = {epoch: 0.9 - 0.5 * math.exp(-epoch / 6) for epoch in range(100)}


def slow_levels(values):
    """Number of epochs -> best so far of the mean over the last five, a twentieth of a hundred."""
    means = {n: sum(values[max(0, n - 5) : n]) / len(values[max(0, n - 5) : n]) for n in range(3, len(values) + 1)}
    return {n: max(means[m] for m in means if m <= n) for n in means}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_looking_back_the_first_epoch_after_which_no_more_than_min_gain_came_is_found(mode):
    sign = 1 if mode == "max" else -1
    found = worth("val_x", {e: sign * value for e, value in SATURATES.items()}, mode, 100, min_gain=0.01)
    levels = slow_levels(list(SATURATES.values()))
    assert found.gained == pytest.approx(levels[100] - levels[3])
    assert found.rest == pytest.approx(levels[100] - levels[found.enough])
    assert levels[100] - levels[found.enough] <= 0.01 < levels[100] - levels[found.enough - 1]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_rule_is_asked_with_the_end_of_the_run_as_its_horizon(mode):
    sign = 1 if mode == "max" else -1
    history = {epoch: sign * value for epoch, value in SATURATES.items()}
    found = worth("val_x", history, mode, 100, min_gain=0.01)
    end = replay(Worthwhile(0.01, mode, horizon=100), history, 100).end_epoch
    levels = slow_levels(list(SATURATES.values()))
    assert found.verdict.end_epoch == end
    assert found.late == pytest.approx(levels[100] - levels[end])


def test_a_rule_that_would_have_fired_too_early_is_said_to_be(tmp_path, capsys):
    stairs = [0.5] * 30 + [0.9] * 30
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value + 0.01 * epoch / 60}" for epoch, value in enumerate(stairs)])
    inspect([str(tmp_path), "--min_gain=0.05"])
    said = capsys.readouterr().out
    end = replay(Worthwhile(0.05, "max", horizon=60), dict(enumerate(stairs)), 60).end_epoch
    assert end < 30
    assert f"would have ended it after epoch {end - 1} (too early: 0.4" in said


def test_a_perplexity_that_overflowed_when_squared_was_a_traceback():
    history = {epoch: -value for epoch, value in SATURATES.items()}
    found = worth("val_perplexity", {**history, 2: 1e200, 50: 1e160}, "min", 100, None)
    left_out = worth("val_perplexity", {**history, 2: math.nan, 50: math.nan}, "min", 100, None)
    assert found.verdict.end_epoch == left_out.verdict.end_epoch
    assert found.gained == left_out.gained > 0


def test_two_percent_of_what_the_run_gained_is_worth_it_where_nobody_says_more():
    found = worth("val_x", SATURATES, "max", 100, None)
    assert found.verdict.rule.min_gain == pytest.approx(0.02 * found.gained, rel=0.05)


def test_where_nothing_was_gained_nothing_says_when_to_stop():
    assert worth("val_x", SATURATES, "min", 100, None).verdict is None
    assert worth("val_x", {0: 1.0}, "min", 100, None).verdict is None
    assert worth("val_x", dict.fromkeys(range(50), math.nan), "min", 100, None).verdict is None


def csv(folder, columns, rows):
    (folder / "metrics.csv").write_text("\n".join([columns, *rows, ""]))


def test_the_rest_costs_time_and_money_where_the_log_has_times(tmp_path, capsys):
    rows = [f"{epoch},{value},{1.7e9 + 144 * epoch}" for epoch, value in SATURATES.items()]
    csv(tmp_path, "epoch,val_acc,_timestamp", rows)
    inspect([str(tmp_path), "--price_per_hour=2.5", "--min_gain=0.01"])
    said = capsys.readouterr().out
    levels = slow_levels(list(SATURATES.values()))
    enough = next(n for n in levels if levels[100] - levels[n] <= 0.01)
    hours = (100 - enough) * 144 / 3600
    assert f"By val_acc, going on was no longer worth it after epoch {enough - 1}" in said
    assert f"the other {100 - enough} of 100 epochs brought" in said
    assert f"took {hours:.3g} of 4 hours, {2.5 * hours:.3g} at 2.5 an hour" in said
    end = replay(Worthwhile(0.01, "max", horizon=100), SATURATES, 100).end_epoch
    assert f"During the run, Worthwhile would have ended it after epoch {end - 1}: it improved" in said


def test_a_price_far_below_a_cent_is_not_shown_as_nothing(tmp_path, capsys):
    rows = [f"{epoch},{value},{1.7e9 + 0.5 * epoch}" for epoch, value in SATURATES.items()]
    csv(tmp_path, "epoch,val_acc,_timestamp", rows)
    inspect([str(tmp_path), "--price_per_hour=0.1"])
    assert "0.00 at 0.1 an hour" not in capsys.readouterr().out


def test_without_times_no_cost_is_said(tmp_path, capsys):
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value}" for epoch, value in SATURATES.items()])
    inspect([str(tmp_path), "--price_per_hour=2.5"])
    said = capsys.readouterr().out
    assert "going on was no longer worth it" in said
    assert "at 2.5 an hour" not in said


def test_a_run_that_should_have_gone_on_is_told_so(tmp_path, capsys):
    csv(tmp_path, "epoch,val_loss", [f"{epoch},{-(epoch**2)}" for epoch in range(50)])
    inspect([str(tmp_path)])
    said = capsys.readouterr().out
    assert "By val_loss, going on was worth it to the end: the last epochs brought more than min_gain=46." in said
    assert "During the run, Worthwhile would not have ended it" in said


@pytest.mark.parametrize("word", ["--min_gain=0", "--min_gain=-1", "--price_per_hour=-1"])
def test_a_wrong_amount_is_refused(tmp_path, word):
    csv(tmp_path, "epoch,val_loss", ["0,1", "1,2"])
    with pytest.raises(ValueError, match="must be a number"):
        inspect([str(tmp_path), word])


def test_event_files_know_when_each_epoch_ended(tmp_path):
    options = {"max_epochs": 4, "logger": TensorBoardLogger(tmp_path, "tb", version=0), "log_every_n_steps": 1}
    make_trainer(tmp_path, [LearningRateMonitor("step")], **options).fit(TinyModel(), TinyData(n=8))
    logs = read(tmp_path / "tb/version_0").logs
    times = logs.values[TIME]
    assert list(times) == [0, 1, 2, 3]
    assert list(times.values()) == sorted(times.values())
    assert [pytest.approx(0.05)] * 8 == logs.rates["lr-SGD"]


def test_epochs_without_a_time_and_breaks_count_as_usual_ones():
    times = {1: 20.0, 2: 30.0, 3: 40.0, 5: 60.0, 6: 90_000.0, 7: 90_010.0}
    assert seconds_of_epochs(times, 9) == dict.fromkeys(range(9), 10.0)
    assert seconds_of_epochs({3: 5.0}, 9) == {}


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"lr-SGD": [0.1, 0.1, 0.001]}, "had decayed: lr-SGD was 1% of its highest value when last logged."),
        ({"lr-SGD": [0.1, 0.1, 1e-9]}, "had decayed: lr-SGD was less than 0.1% of its highest value"),
        ({"lr-SGD": [0.1, 0.1]}, "had not decayed: lr-SGD was 100% of its highest value when last logged."),
        ({"lr-SGD": [0.1, 0.1, 0.05]}, "had not decayed: lr-SGD was 50% of its highest value when last logged."),
        (
            {"lr/pg1": [0.1, 0.0], "lr/pg2": [0.1, 0.05]},
            "had not decayed: lr/pg1 was 0% of its highest value when last logged, lr/pg2 was 50%",
        ),
        ({}, "No learning rate was logged"),
        ({"lr-SGD": [0.0]}, "No learning rate was logged"),
    ],
)
def test_whether_the_learning_rate_had_decayed_is_said(rates, said):
    assert said in decay_note(rates)


@pytest.mark.parametrize(("shape", "epochs"), [("linear", 3), ("sqrt", 5), ("linear", 10)])
def test_a_cooldown_whose_last_logged_rate_is_of_the_start_of_its_last_epoch_counts_as_decayed(shape, epochs):
    cooldown = Cooldown(shape=shape)
    rates = [0.1] * 4 + [0.1 * cooldown.factor(done / epochs) for done in range(epochs)]
    assert decay_note({"lr-SGD": rates}).startswith("The learning rate had decayed")
    assert decay_note({"lr-SGD": rates[: 5 + epochs // 3]}).startswith("The learning rate had not decayed")


def test_the_report_of_our_own_run_knows_the_learning_rate(tmp_path, capsys):
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value}" for epoch, value in SATURATES.items()])
    save(Record(Run("Net", 100, 100), epochs=tuple(Epoch(n, learning_rate=0.1) for n in range(100))), tmp_path)
    inspect([str(tmp_path)])
    assert "had not decayed: it was 100% of its highest value" in capsys.readouterr().out


def test_the_report_of_our_own_run_knows_the_seconds(tmp_path, capsys):
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value}" for epoch, value in list(SATURATES.items())[:30]])
    epochs = tuple(Epoch(number, seconds={"training": 8.0, "validation": 2.0}) for number in range(30))
    save(Record(Run("Net", 30, 30), epochs=epochs), tmp_path)
    inspect([str(tmp_path), "--min_gain=0.05"])
    enough = worth("val_acc", {e: SATURATES[e] for e in range(30)}, "max", 30, 0.05).enough
    assert f", and took {(30 - enough) / 6:.3g} of 5 minutes" in capsys.readouterr().out
