"""Event files of TensorBoard: a step is not always one of training, and a value belongs to the epoch of its logging."""

import time

import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from lightning_critperiod.inspection.run import read

EPOCHS = 5
ITS_OWN = {epoch: float(epoch) for epoch in range(EPOCHS)}
"""Every value below is the epoch that it was logged in."""


class LogsPastLightning(TinyModel):
    """Logs the number of the epoch in every way that people do, past Lightning and through it."""

    def __init__(self, pause=0.0):
        super().__init__()
        self.pause = pause  # a batch of a real model takes far longer than writing a scalar

    def write(self, name, step):
        self.logger.experiment.add_scalar(name, float(self.current_epoch), step)

    def training_step(self, batch, batch_idx):
        time.sleep(self.pause)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.log("val_e", float(self.current_epoch), on_step=True, on_epoch=True, batch_size=1)

    def on_validation_epoch_end(self):
        if self.trainer.sanity_checking:
            return
        self.write("val_by_epoch", self.current_epoch)
        self.write("val_by_epoch_from_1", self.current_epoch + 1)
        self.write("val_by_step", self.global_step)

    def on_train_epoch_end(self):
        self.write("end_by_epoch", self.current_epoch)
        self.write("end_by_epoch_from_1", self.current_epoch + 1)
        self.write("end_by_step", self.global_step)
        self.write("end_by_nothing", 0)


def fit(folder, module=None, resume=None, **options):
    logger = TensorBoardLogger(folder, "tb", version=0)
    trainer = make_trainer(folder, **{"max_epochs": EPOCHS, "logger": logger, "log_every_n_steps": 1, **options})
    trainer.fit(module or LogsPastLightning(), TinyData(n=24), ckpt_path=resume)
    return trainer


def right_or_absent(logs, series):
    """What is read is of its own epoch; what is not read is said."""
    wrong = {epoch: value for epoch, value in logs.signals.get(series, {}).items() if value != epoch}
    complete = logs.signals.get(series, {}).keys() == ITS_OWN.keys()
    return not wrong and (complete or any(series in note for note in logs.notes))


@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.parametrize("log_every", [1, 4, 50])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_no_value_is_read_into_another_epoch(tmp_path, log_every, accumulate):
    options = {"log_every_n_steps": log_every, "accumulate_grad_batches": accumulate}
    fit(tmp_path, LogsPastLightning(pause=0.01), **options)
    logs = read(tmp_path / "tb/version_0").logs
    names = {"val_e_epoch", "val_e_step", "val_by_epoch", "val_by_epoch_from_1", "val_by_step"}
    names |= {"end_by_epoch", "end_by_epoch_from_1", "end_by_step", "end_by_nothing"}
    assert {name for name in names if not right_or_absent(logs, name)} == set()
    by_number = {"val_e_epoch", "val_by_epoch", "val_by_epoch_from_1", "end_by_epoch", "end_by_epoch_from_1"}
    assert {name for name in by_number if logs.signals[name] != ITS_OWN} == set()
    assert logs.epochs == EPOCHS


def test_a_users_own_step_is_the_epoch(tmp_path):
    """``self.log("step", self.current_epoch)`` is a known trick for curves over epochs."""

    class Trick(TinyModel):
        def on_validation_epoch_end(self):
            self.log("val_own", float(self.current_epoch))
            self.log("step", float(self.current_epoch))

    fit(tmp_path, Trick())
    assert read(tmp_path / "tb/version_0").logs.signals["val_own"] == ITS_OWN


def test_a_run_that_was_resumed_into_the_same_folder_is_one_run(tmp_path):
    trainer = fit(tmp_path, TinyModel(), max_epochs=3)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    fit(tmp_path, TinyModel(), resume=tmp_path / "end.ckpt")
    found = read(tmp_path / "tb/version_0")
    assert found.logs.signals["val_loss"].keys() == ITS_OWN.keys()
    assert found.logs.notes == []


def test_the_prefix_of_a_logger_is_no_part_of_a_name(tmp_path):
    logger = TensorBoardLogger(tmp_path, "tb", version=0, prefix="exp")
    fit(tmp_path, TinyModel(), logger=logger)
    assert read(tmp_path / "tb/version_0").logs.signals.keys() == {"train_loss", "val_loss"}


def test_without_epochs_the_steps_of_a_validation_metric_are_taken_and_it_says_so(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for epoch in range(EPOCHS):
            for batch in range(7):
                writer.add_scalar("loss", float(epoch), 7 * epoch + batch)
            writer.add_scalar("acc/val", float(epoch), 7 * epoch + 6)
    logs = read(tmp_path).logs
    assert logs.signals == {"loss": ITS_OWN, "acc/val": ITS_OWN}
    assert "the 7 steps from one value of acc/val to the next are taken as one" in logs.notes[0]


def event_file(folder):
    (file,) = (folder / "tb/version_0").glob("events.out.tfevents.*")
    return file


def test_half_a_record_at_the_end_is_left_out(tmp_path):
    fit(tmp_path, TinyModel())
    file = event_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-20])
    assert read(file).logs.epochs == EPOCHS


def test_what_follows_damage_is_left_out_and_it_says_so(tmp_path):
    fit(tmp_path, TinyModel())
    file = event_file(tmp_path)
    data = bytearray(file.read_bytes())
    middle = data.index(b"val_loss", len(data) // 2)
    data[middle - 4 : middle] = b"\xff\xff\xff\xff"
    file.write_bytes(data)
    found = read(file)
    assert 0 < found.logs.epochs < EPOCHS
    assert "is damaged" in found.logs.notes[0]


def test_scalars_that_were_written_as_tensors_are_read(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for epoch in range(EPOCHS):
            writer.add_scalar("val_loss", float(epoch), epoch, new_style=True)
            writer.add_text("note", "no scalar", epoch)
            writer.add_histogram("weights", torch.ones(2), epoch)
    assert read(tmp_path).logs.signals == {"val_loss": ITS_OWN}
