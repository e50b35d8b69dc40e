"""Where a run begins and ends: evaluations after training, stale files beside the log, logs below the folder."""

import json

import pytest
from conftest import TinyData, TinyModel, make_trainer
from example_record import as_json, record
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from lightning_critperiod.inspection import inspect
from lightning_critperiod.inspection.coverage import coverage
from lightning_critperiod.inspection.logs import Logs
from lightning_critperiod.inspection.run import read
from lightning_critperiod.report import save


class Evaluated(TinyModel):
    def test_step(self, batch, batch_idx):
        self.log("accuracy", 0.9)
        self.log("Test/loss", 0.1)


class Silent(Evaluated):
    """Training logs nothing: an epoch looks like an evaluation."""

    def training_step(self, batch, batch_idx):
        return self.loss(batch)


def evaluate(trainer, module):
    for _ in range(2):
        trainer.validate(module, TinyData(), verbose=False)
    data = TinyData()
    data.test_dataloader = data.val_dataloader
    trainer.test(module, data, verbose=False)


@pytest.mark.parametrize("kind", [Evaluated, Silent])
@pytest.mark.parametrize("samples", [20, 4])
@pytest.mark.parametrize("logger", [CSVLogger, TensorBoardLogger])
def test_an_evaluation_after_training_is_no_epoch_more(tmp_path, kind, samples, logger):
    """Lightning logs it with the epoch after the last one: the true length was refused."""
    if samples == 4 and kind is Silent:
        pytest.skip("with one batch an epoch, of validation alone, an evaluation looks like one more epoch")
    module, log = kind(), logger(tmp_path, "log", version=0)
    trainer = make_trainer(tmp_path, max_epochs=3, logger=log, log_every_n_steps=1)
    trainer.fit(module, TinyData(n=samples))
    before = read(tmp_path / "log/version_0").logs.signals["val_loss"]
    evaluate(trainer, module)
    logs = read(tmp_path / "log/version_0").logs
    assert logs.epochs == 3
    assert logs.signals["val_loss"] == before
    assert "accuracy" not in logs.signals
    assert logs.notes == []


def test_an_evaluation_by_a_new_trainer_is_not_the_first_epoch_again(tmp_path):
    """It logs as epoch 0 at step 0 into the same file, which dropped the whole run as resumed from there."""
    module, log = Evaluated(), CSVLogger(tmp_path, "log", version=0)
    make_trainer(tmp_path, max_epochs=3, logger=log, log_every_n_steps=1).fit(module, TinyData(n=20))
    before = read(tmp_path / "log/version_0").logs.signals
    evaluate(make_trainer(tmp_path, logger=log), module)
    logs = read(tmp_path / "log/version_0").logs
    assert logs.signals == before
    assert logs.notes == []


NAMES_OF_TESTS = [
    "Test/loss",
    "acc/test",
    "final_test_acc",
    "test_loss/dataloader_idx_0",
    "TestAcc",
    "accTest",
    "TEST-F1",
]


@pytest.mark.parametrize("name", NAMES_OF_TESTS)
def test_a_test_metric_is_known_by_the_word_wherever_it_stands(tmp_path, name):
    rows = "".join(f"{epoch},{1 / (epoch + 1)},\n" for epoch in range(6))
    (tmp_path / "metrics.csv").write_text(f"epoch,val_loss,{name}\n{rows}6,,0.5\n")
    logs = read(tmp_path).logs
    assert logs.epochs == 6
    assert logs.signals.keys() == {"val_loss"}


@pytest.mark.parametrize("name", ["latest_loss", "contest", "fastest", "testimony"])
def test_a_name_that_only_holds_the_letters_is_no_test_metric(tmp_path, name):
    (tmp_path / "metrics.csv").write_text(f"epoch,{name}\n0,1\n1,2\n")
    assert read(tmp_path).logs.signals.keys() == {name}


def test_a_test_after_training_is_no_epoch_more():
    logs = Logs()
    logs.add("metrics.csv", [("val_loss", 38, 0.2), ("val_loss", 39, 0.1), ("step", 40, 9.0), ("test_acc", 40, 0.9)])
    assert logs.epochs == 40


def test_an_epoch_that_was_begun_counts(tmp_path):
    """A run that was killed in its fourth epoch, after one of ten batches."""
    rows = "".join(f"{e},{10 * e + 4},0.5,\n{e},{10 * e + 9},,0.4\n" for e in range(3))
    (tmp_path / "metrics.csv").write_text(f"epoch,step,train_loss,val_loss\n{rows}3,34,0.5,\n")
    assert read(tmp_path).logs.epochs == 4


def leave_report(folder, **changes):
    save(record(**changes), folder)


def rows(epochs):
    return "epoch,val_loss\n" + "".join(f"{epoch},{1 / (epoch + 1)}\n" for epoch in range(epochs))


def test_our_report_tells_the_planned_length_and_the_samples(tmp_path):
    (tmp_path / "metrics.csv").write_text(rows(2))
    leave_report(tmp_path)
    found = read(tmp_path)
    assert (found.max_epochs, found.samples, found.logs.notes) == (8, 100, [])


@pytest.mark.parametrize("change", [None, {"run": []}, {"epochs": 1}])
def test_a_damaged_report_is_a_note(tmp_path, change):
    (tmp_path / "metrics.csv").write_text(rows(2))
    text = '{"format": 1, "run": ' if change is None else json.dumps({**as_json(), **change})
    (tmp_path / "report.json").write_text(text)
    found = read(tmp_path)
    assert (found.max_epochs, found.samples) == (None, None)
    assert "The report of the run was not used" in found.logs.notes[0]


def test_our_report_tells_an_evaluation_from_an_epoch_where_nothing_else_does(tmp_path):
    (tmp_path / "metrics.csv").write_text(rows(9))
    leave_report(tmp_path)
    found = read(tmp_path)
    assert (found.max_epochs, found.logs.epochs, found.logs.notes) == (8, 8, [])


def test_a_log_that_is_longer_than_our_report_counts_and_it_says_so(tmp_path, capsys):
    """A run of our own was refused with "max_epochs must be at least ...", although nobody had given it."""
    (tmp_path / "metrics.csv").write_text(rows(11))
    leave_report(tmp_path)
    inspect([str(tmp_path)])
    said = capsys.readouterr().out
    assert "The report of the run says 8 epochs, but 11 were logged." in said
    assert "not over in 11 epochs" in said


def test_a_log_that_begins_late_and_has_gaps_is_not_called_whole(tmp_path, capsys):
    lines = "".join(f"{0.02 * 0.97**epoch},{epoch},{23 * epoch}\n" for epoch in range(141, 200, 2))
    (tmp_path / "metrics.csv").write_text(f"generator_loss,epoch,step\n{lines}")
    inspect([str(tmp_path), "--signal=generator_loss"])
    said = capsys.readouterr().out
    assert "200 epochs that were logged" not in said
    assert "the log has 30 of them, from epoch 141 on" in said
    assert "generator_loss: 30 values in 200 epochs, mostly every 2 epochs, none before epoch 141" in said


@pytest.mark.parametrize(
    ("measured", "note"),
    [
        (range(10), ""),
        (range(1, 10, 2), "5 values in 10 epochs, mostly every 2 epochs"),
        (range(0, 10, 5), "2 values in 10 epochs, mostly every 5 epochs"),
        (range(4, 10), "6 values in 10 epochs, none before epoch 4: a verdict uses only what follows"),
        ([0, 1, 2, 6, 7, 8, 9], "7 values in 10 epochs, with 1 gap"),
        (range(6), "6 values in 10 epochs, none after epoch 5"),
        ([], "no finite value"),
    ],
)
def test_what_a_log_lacks_is_said(measured, note):
    assert coverage(dict.fromkeys(measured, 0.5), 10) == note


def leave_log(folder):
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(rows(3))


def test_the_only_log_below_a_folder_is_read_and_named(tmp_path, capsys):
    leave_log(tmp_path / "run/logs/csv/version_0")
    (tmp_path / "run/.hydra").mkdir()
    inspect([str(tmp_path / "run")])
    assert f"The log that was read is in {tmp_path / 'run/logs/csv/version_0'}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folders", "newest"),
    [
        (["version_9", "version_10", "version_1"], "version_10"),
        (
            ["multirun/2024-01-09/0/csv/version_0", "multirun/2024-01-09/11/csv/version_0", "multirun/2024-01-09/2/x"],
            "11",
        ),
        (["csv/version_0", "tensorboard/version_0"], "tensorboard/version_0"),
    ],
)
def test_of_several_logs_below_a_folder_the_newest_by_number_is_named(tmp_path, folders, newest):
    for folder in folders:
        leave_log(tmp_path / folder)
    with pytest.raises(ValueError, match=rf"one of the {len(folders)} runs below it, the newest is .*{newest}"):
        read(tmp_path)


def test_beside_a_csv_that_says_nothing_the_event_files_are_read(tmp_path):
    log = TensorBoardLogger(tmp_path, "log", version=0)
    make_trainer(tmp_path, max_epochs=3, logger=log, log_every_n_steps=1).fit(TinyModel(), TinyData(n=8))
    folder = tmp_path / "log/version_0"
    for text, notes in (("epoch,val_loss\n", 0), ("time,val_loss\n1,2\n", 1)):
        (folder / "metrics.csv").write_text(text)
        found = read(folder)
        assert (found.logs.epochs, len(found.logs.notes)) == (3, notes)
