"""From a finished log: when going on was not worth it any more, what the rest cost, whether the rate had decayed."""

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
from lightning_critperiod.record import Epoch, Record, Run
from lightning_critperiod.report import save
from lightning_critperiod.rules import Worthwhile

SATURATES = {epoch: 0.9 - 0.5 * math.exp(-epoch / 6) for epoch in range(100)}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_rest_is_what_came_after_the_rule_had_fired(mode):
    sign = 1 if mode == "max" else -1
    history = {epoch: sign * value for epoch, value in SATURATES.items()}
    found = worth("val_x", history, mode, 100, min_gain=0.01)
    end = replay(Worthwhile(0.01, mode, horizon=100), history, 100).end_epoch
    assert found.verdict.end_epoch == end
    first, then, last = (sum(SATURATES[e] for e in range(*span)) for span in ((0, 3), (end - 5, end), (95, 100)))
    assert found.gained == pytest.approx(last / 5 - first / 3)
    assert found.rest == pytest.approx(last / 5 - then / 5)
    assert 0 <= found.rest < 0.01


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
    end = replay(Worthwhile(0.01, "max", horizon=100), SATURATES, 100).end_epoch
    hours = (100 - end) * 144 / 3600
    assert f"Going on was no longer worth it after epoch {end - 1} by val_acc" in said
    assert f"The other {100 - end} of 100 epochs brought" in said
    assert f"took {hours:.3g} of 4 hours, {2.5 * hours:.2f} at 2.5 an hour" in said


def test_without_times_no_cost_is_said(tmp_path, capsys):
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value}" for epoch, value in SATURATES.items()])
    inspect([str(tmp_path), "--price_per_hour=2.5"])
    said = capsys.readouterr().out
    assert "Going on was no longer worth it" in said
    assert "at 2.5 an hour" not in said


def test_a_run_that_should_have_gone_on_is_told_so(tmp_path, capsys):
    csv(tmp_path, "epoch,val_loss", [f"{epoch},{-(epoch**2)}" for epoch in range(50)])
    inspect([str(tmp_path)])
    assert (
        "As far as the noise allows to tell, going on was worth it to the end, by: val_loss." in capsys.readouterr().out
    )


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
        ({"lr-SGD": [0.01, 0.1, 0.05, 0.001]}, "had decayed: lr-SGD was 1% of its highest value at the end"),
        ({"lr-SGD": [0.1, 0.1]}, "had not decayed: lr-SGD was 100% of its highest value at the end"),
        (
            {"lr/pg1": [0.1, 0.0], "lr/pg2": [0.1, 0.05]},
            "had not decayed: lr/pg1 was 0% of its highest value at the end, lr/pg2",
        ),
        ({}, "No learning rate was logged"),
        ({"lr-SGD": [0.0]}, "No learning rate was logged"),
    ],
)
def test_whether_the_learning_rate_had_decayed_is_said(rates, said):
    assert said in decay_note(rates)


def test_the_report_of_our_own_run_knows_the_seconds(tmp_path, capsys):
    csv(tmp_path, "epoch,val_acc", [f"{epoch},{value}" for epoch, value in list(SATURATES.items())[:30]])
    epochs = tuple(Epoch(number, seconds={"training": 8.0, "validation": 2.0}) for number in range(30))
    save(Record(Run("Net", 30, 30), epochs=epochs), tmp_path)
    inspect([str(tmp_path), "--min_gain=0.05"])
    end = replay(Worthwhile(0.05, "max", horizon=30), {e: SATURATES[e] for e in range(30)}, 30).end_epoch
    assert f"and took {(30 - end) / 6:.3g} of 5 minutes" in capsys.readouterr().out
