"""CSV files of public runs: every layout that a logger, a spreadsheet or Weights & Biases writes."""

import math

import pytest
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger

from lightning_critperiod import CriticalPeriodCallback, Never
from lightning_critperiod.inspection.logs import Logs
from lightning_critperiod.inspection.run import read

VALUES = {0: 1.5, 1: 0.75, 2: 0.5}


def written(folder, text, name="metrics.csv", encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding)
    return read(folder / name).logs


LAYOUTS = {
    "plain": "epoch,val_loss\n0,1.5\n1,0.75\n2,0.5\n",
    "capitals": "Epoch,val_loss\n0,1.5\n1,0.75\n2,0.5\n",
    "spaces": "   epoch,   val_loss\n   0,   1.5\n   1,   0.75\n   2,   0.5\n",
    "quotes": '"epoch","val_loss"\n"0","1.5"\n"1","0.75"\n"2","0.5"\n',
    "semicolons": "epoch;val_loss\n0;1.5\n1;0.75\n2;0.5\n",
    "decimal commas": "epoch;val_loss\n0;1,5\n1;0,75\n2;0,5\n",
    "decimal commas in quotes": 'epoch,val_loss\n0,"1,5"\n1,"0,75"\n2,"0,5"\n',
    "decimal commas that look like thousands": 'epoch,val_loss\n0,"1,500"\n1,"0,750"\n2,"0,500"\n',
    "thousands": 'epoch,val_loss,step\n0,1.5,"1,000"\n1,0.75,"2,000"\n2,0.5,"3,000"\n',
    "tabs": "epoch\tval_loss\n0\t1.5\n1\t0.75\n2\t0.5\n",
    "windows lines": "epoch,val_loss\r\n0,1.5\r\n1,0.75\r\n2,0.5\r\n",
    "empty lines": "\nepoch,val_loss\n0,1.5\n\n1,0.75\n2,0.5\n\n",
    "an index": ",epoch,val_loss\n0,0,1.5\n1,1,0.75\n2,2,0.5\n",
    "an empty column": "epoch,nothing,val_loss\n0,,1.5\n1,,0.75\n2,,0.5\n",
    "short rows": "epoch,val_loss,train_loss\n0,1.5\n1,0.75\n2,0.5\n",
    "epochs as floats": "epoch,val_loss\n0.0,1.5\n1.0,0.75\n2.0,0.5\n",
    "a row for each value": "epoch,step,loss,val_loss\n0,9,2,\n0,9,,1.5\n1,19,2,\n1,19,,0.75\n2,29,2,\n2,29,,0.5\n",
    "a row for each epoch": "epoch,step,train_loss,val_loss\n0,9,2,1.5\n1,19,2,0.75\n2,29,2,0.5\n",
    "a header in the middle": "epoch,val_loss\n0,1.5\nepoch,val_loss\n1,0.75\n2,0.5\n",
    "a prefix": "exp-epoch,exp-val_loss,step\n0,1.5,9\n1,0.75,19\n2,0.5,29\n",
    "a prefix with a path": "run/epoch,run/val_loss,step\n0,1.5,9\n1,0.75,19\n2,0.5,29\n",
    "W&B history": (
        ",_step,_runtime,epoch,trainer/global_step,val_loss\n0,0,3.5,0,9,1.5\n1,1,6,1,19,0.75\n2,2,9,2,29,0.5\n"
    ),
    "W&B chart by epoch": (
        '"epoch","swift-fox-3 - val_loss","swift-fox-3 - val_loss__MIN","swift-fox-3 - val_loss__MAX"\n'
        '"0","1.5","1.5","1.5"\n"1","0.75","0.75","0.75"\n"2","0.5","0.5","0.5"\n'
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_csv_of_any_layout_is_read(tmp_path, layout):
    logs = written(tmp_path, LAYOUTS[layout])
    assert logs.signals["val_loss"] == VALUES
    assert logs.epochs == 3
    assert logs.notes == []
    assert not {name for name in logs.signals if name not in {"val_loss", "train_loss", "loss"}}


def test_a_spreadsheet_of_western_europe_was_refused_for_an_umlaut(tmp_path):
    logs = written(tmp_path, "epoch;val_Fläche\n0;1,5\n1;0,75\n2;0,5\n", encoding="cp1252")
    assert logs.signals == {"val_Fläche": VALUES}


def test_rows_between_two_epochs_were_left_out_in_silence(tmp_path):
    logs = written(tmp_path, "epoch,val_loss\n0.5,2\n0,1.5\n1,0.75\n1.25,9\n2,0.5\n")
    assert logs.signals["val_loss"] == VALUES
    assert logs.notes == [f"{tmp_path / 'metrics.csv'}: 2 of 5 rows lie between two epochs, and are left out."]


def test_of_two_columns_of_one_name_the_last_was_read_in_silence(tmp_path):
    logs = written(tmp_path, "epoch,val_loss,val_loss\n0,9,1.5\n1,9,0.75\n2,9,0.5\n")
    assert logs.signals["val_loss"] == VALUES
    assert logs.notes == [f"{tmp_path / 'metrics.csv'} has more than one column 'val_loss'; the last one is read."]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, encoding):
    assert written(tmp_path, LAYOUTS["plain"], encoding=encoding).signals == {"val_loss": VALUES}


@pytest.mark.parametrize("name", ["export.CSV", "log.tsv"])
def test_a_file_may_have_another_name(tmp_path, name):
    assert written(tmp_path, LAYOUTS["tabs"], name).signals == {"val_loss": VALUES}


def test_the_prefix_of_a_logger_is_no_part_of_a_name(tmp_path):
    logger = CSVLogger(tmp_path, "log", version=0, prefix="exp")
    options = {"max_epochs": 3, "logger": logger, "log_every_n_steps": 1}
    make_trainer(tmp_path, [CriticalPeriodCallback(rule=Never())], **options).fit(TinyModel(), TinyData(n=8))
    logs = read(tmp_path / "log/version_0").logs
    assert {"layer_rotation", "val_loss", "train_loss"} <= set(logs.signals)
    assert logs.volumes.keys() == {0, 1, 2}


CSV = """epoch,step,train_loss,val_acc
0,9,0.9,
0,9,,0.1
,12,0.5,
1,19,,0.2
x,20,,0.7
1.5,20,,0.7
3,39,,nan
4,49,,oops
4,49,,0.5
"""


def test_missing_and_broken_cells_are_left_out(tmp_path):
    logs = written(tmp_path, CSV)
    assert logs.signals["train_loss"] == {0: 0.9}
    assert logs.signals["val_acc"] == pytest.approx({0: 0.1, 1: 0.2, 3: math.nan, 4: 0.5}, nan_ok=True)
    assert logs.epochs == 5
    between, placed = logs.notes
    assert "1 of 9 rows lie between two epochs" in between
    assert "left out: train_loss" in placed


@pytest.mark.parametrize("text", ["nan", "NaN", "NA", "null", "None", "-", "tensor(0.5)", "inf"])
def test_text_for_no_number_is_no_number(tmp_path, text):
    logs = written(tmp_path, f"epoch,val_loss\n0,1.5\n1,{text}\n2,0.5\n")
    assert {e: v for e, v in logs.signals["val_loss"].items() if math.isfinite(v)} == {0: 1.5, 2: 0.5}
    assert logs.epochs == 3


def test_half_a_last_line_is_left_out(tmp_path):
    logs = written(tmp_path, CSV + "5,59,,0.123")
    assert logs.epochs == 5
    assert "ends in the middle of a line" in logs.notes[0]


def test_where_a_log_goes_back_the_later_values_count_and_it_says_so(tmp_path):
    lines = ["epoch,val_loss", "0,1.0", "1,0.9", "2,0.8", "3,0.7", "1,0.5", "2,0.4"]
    logs = written(tmp_path, "\n".join([*lines, ""]))
    assert logs.signals["val_loss"] == {0: 1.0, 1: 0.5, 2: 0.4}
    assert "goes back to epoch 1" in logs.notes[0]


def test_several_values_in_an_epoch_are_no_going_back(tmp_path):
    logs = Logs()
    logs.add(tmp_path, [("loss", 0, 3.0), ("loss", 0, 2.0), ("acc", 1, 0.1), ("loss", 1, 1.0)])
    assert logs.values == {"loss": {0: 2.0, 1: 1.0}, "acc": {1: 0.1}}
    assert logs.notes == []


class LogsByStep(TinyModel):
    """A user's own step: Lightning then logs no epoch."""

    def on_validation_epoch_end(self):
        self.log("own", float(self.current_epoch), on_epoch=True)
        self.log("step", float(self.current_epoch), on_epoch=True)


def test_values_whose_step_is_the_epoch_are_of_that_epoch(tmp_path):
    """``self.log("step", self.current_epoch)`` is what people write for TensorBoard; those rows have no epoch."""
    options = {"max_epochs": 4, "logger": CSVLogger(tmp_path, "log", version=0), "log_every_n_steps": 1}
    make_trainer(tmp_path, [LearningRateMonitor("step")], **options).fit(LogsByStep(), TinyData(n=20))
    logs = read(tmp_path / "log/version_0").logs
    assert logs.signals["own"] == {0: 0, 1: 1, 2: 2, 3: 3}
    assert logs.signals["val_loss"].keys() == {0, 1, 2, 3}
    assert logs.rates == {"lr-SGD": [0.05] * 20}


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "step,val_loss\n9,1.5\n19,0.75\n29,0.5\n",
            "the 10 steps from one value of val_loss to the next are taken as one",
        ),
        ("step,val_loss\n10,1.5\n20,0.75\n30,0.5\n", "the 10 steps from one value"),
        ("step,val_loss,loss\n4,,3\n9,1.5,\n14,,2\n19,0.75,\n29,0.5,\n", "the 10 steps from one value of val_loss"),
        ("step,val_loss\n0,1.5\n1,0.75\n2,0.5\n", "the steps, one for each value of val_loss, are taken as epochs"),
        ("_step,_timestamp,val_loss\n0,7,1.5\n1,8,0.75\n2,9,0.5\n", "the steps, one for each value"),
        ("Wall time,Step,val_loss\n1.7e9,9,1.5\n1.7e9,19,0.75\n1.7e9,29,0.5\n", "the 10 steps"),
        (
            '"Step","fox-1 - val_loss","fox-1 - val_loss__MIN"\n"9","1.5","1"\n"19","0.75","1"\n"29","0.5","1"\n',
            "10 steps",
        ),
    ],
)
def test_a_log_without_epochs_is_read_by_the_steps_of_a_validation_metric_and_says_so(tmp_path, text, note):
    logs = written(tmp_path, text)
    assert logs.signals["val_loss"] == VALUES
    assert note in logs.notes[0]


def test_training_values_between_even_steps_are_of_the_epoch_that_ends_next(tmp_path):
    logs = written(tmp_path, "step,val_loss,loss\n4,,3\n9,1.5,\n14,,2\n19,0.75,\n24,,1\n29,0.5,\n34,,0.9\n")
    assert logs.signals["loss"] == {0: 3, 1: 2, 2: 1, 3: 0.9}


def test_an_epoch_may_be_a_step_longer_than_another(tmp_path):
    steps = [390, 780, 1171, 1562]
    logs = written(tmp_path, "step,val_loss\n" + "".join(f"{step},{step}\n" for step in steps))
    assert logs.signals["val_loss"] == dict(enumerate(map(float, steps)))


def test_uneven_steps_are_no_epochs(tmp_path):
    with pytest.raises(ValueError, match="no column 'epoch', and no validation metric at even steps"):
        written(tmp_path, "step,val_loss\n9,1.5\n19,0.75\n49,0.5\n")


def test_epochs_that_are_counted_from_one_are_not_one_more(tmp_path):
    logs = written(tmp_path, "epoch,val_loss\n1,1.5\n2,0.75\n3,0.5\n")
    assert logs.signals["val_loss"] == VALUES
    assert "counts epochs from 1" in logs.notes[0]


def test_a_row_of_a_csv_is_looked_at_once(tmp_path):
    """Every value looked through all earlier epochs of its series: 10,000 epochs took half a minute."""

    class Series(dict):
        looks = 0

        def __iter__(self):
            for key in super().__iter__():
                Series.looks += 1
                yield key

    logs = Logs({"loss": Series()})
    logs.add(tmp_path, [("loss", epoch, 1.0) for epoch in range(1000) for _ in range(2)])
    assert len(logs.values["loss"]) == 1000
    assert Series.looks <= 4000
