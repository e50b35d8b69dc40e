"""The advice of a report: real tiny runs that are built to have one fault each, and one that has none."""

import time
from dataclasses import replace

import lightning.pytorch as L
import pytest
import torch
from example_record import record, with_epochs
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CostMonitor, CriticalPeriodCallback, GradientConfusion, RunRecorder
from lightning_critperiod.report.advice import advice
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page
from lightning_critperiod.rules import Never

EPOCHS = 8


class Data(TensorDataset):
    def __init__(self, pause):
        super().__init__(torch.randn(8, 4))
        self.pause = pause

    def __getitem__(self, index):
        time.sleep(self.pause)
        return super().__getitem__(index)


class Net(L.LightningModule):
    """Spends its time in training steps, gets better to the end, and lets its learning rate decay."""

    def __init__(self, step=0.01, check=0.0, decays=True, metric="val_loss", values=None):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.step, self.check, self.decays = step, check, decays
        self.metric, self.values = metric, values or [1 / (epoch + 1) for epoch in range(EPOCHS)]

    def training_step(self, batch, batch_idx):
        time.sleep(self.step)
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        time.sleep(self.check)
        self.log(self.metric, self.values[min(self.current_epoch, len(self.values) - 1)])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: 1 - e / EPOCHS if self.decays else 1.0)
        return [optimizer], [schedule]


@pytest.fixture
def advised(tmp_path):
    """The record of a run, and the texts of its advice."""

    def run(*callbacks, pause=0.0, **net):
        recorder = RunRecorder(write=False, show=False)
        trainer = L.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            default_root_dir=tmp_path,
            callbacks=[*callbacks, CostMonitor(), recorder],
            logger=False,
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Net(**net), DataLoader(Data(pause), batch_size=4), DataLoader(Data(0.0), batch_size=8))
        return recorder.record, [one.text for one in advice(recorder.record)]

    return run


def in_epochs(found, name):
    """Seconds of the epochs by name, and of everything but what happens once."""
    seconds = found.measured.seconds_by_phase
    return seconds[name], sum(seconds.values()) - seconds["start_up"] - seconds["metering"]


def test_a_run_without_a_fault_gets_no_advice(advised):
    found, texts = advised(step=0.25)
    assert texts == []
    assert "What to change" not in markdown(found) + page(found, {})


def test_a_run_that_waits_for_its_data_is_told_how_long_and_what_helps(advised):
    found, texts = advised(pause=0.02)
    seconds, total = in_epochs(found, "data_wait")
    assert texts[0].startswith(f"Training waited for data for {seconds:.1f} of {total:.1f} s ({seconds / total:.1%}).")
    assert "num_workers above 0" in texts[0]
    assert "pin_memory" not in texts[0]  # there is no card to pin it for
    assert texts[0] in markdown(found)
    assert "What to change" in page(found, {})


@pytest.mark.parametrize(("persistent", "said"), [(False, True), (True, False)])
def test_workers_that_start_again_are_told_only_where_they_do(persistent, said):
    loader = {"num_workers": 2, "persistent_workers": persistent, "pin_memory": False}
    (one,) = advice(record(run={"loader": loader}, measured={"seconds_by_phase": {"data_wait": 9.0}}, epochs=[]))
    assert "more than num_workers=2" in one.text
    assert ("persistent_workers=True" in one.text) == said


def test_a_run_on_a_card_is_told_of_pinned_memory():
    changes = {"measured": {"seconds_by_phase": {"data_wait": 9.0}}, "epochs": []}
    (one,) = advice(record(hardware={"card": "H100"}, run={"loader": {"pin_memory": False}}, **changes))
    assert "pin_memory=True" in one.text
    (one,) = advice(record(hardware={"card": "H100"}, run={"loader": {"pin_memory": True}}, **changes))
    assert "pin_memory" not in one.text


def test_a_run_that_mostly_validates_is_told_what_fewer_checks_save(advised):
    found, texts = advised(check=0.2)
    seconds, total = in_epochs(found, "validation")
    assert texts[0].startswith(f"Validation took {seconds:.1f} of {total:.1f} s ({seconds / total:.1%}), in 8 epochs.")
    assert "check_val_every_n_epoch=2" in texts[0]  # of 8 checks not fewer than 4 are left
    assert f"{seconds:.1f} / 2 = {seconds / 2:.1f} s: {seconds / 2:.1f} s less" in texts[0]


def test_epochs_after_the_best_one_are_counted_by_the_direction_of_the_checkpoint(advised, tmp_path):
    checkpoint = ModelCheckpoint(tmp_path, monitor="val_score", mode="max")
    values = [0.1, 0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0]
    found, texts = advised(checkpoint, step=0.06, metric="val_score", values=values)
    after = sum(epoch.total_seconds for epoch in found.epochs[3:])
    _, total = in_epochs(found, "training")
    (text,) = [text for text in texts if text.startswith("val_score")]
    assert 'val_score (mode="max" of the callback that monitors it) was best in epoch 2 (0.9)' in text
    assert f"the 5 epochs after it took {after:.1f} of {total:.1f} s" in text
    assert "Plan 3 epochs" in text


def test_a_metric_whose_direction_nobody_gave_gets_no_advice(advised):
    _, texts = advised(step=0.06, metric="val_score", values=[0.9, *[0.1] * 7])
    assert not any("val_score" in text for text in texts)


def test_a_loss_is_better_when_it_is_lower(advised):
    _, texts = advised(step=0.06, values=[0.9, 0.1, *[0.5] * 6])
    assert "val_loss (a loss, so lower is better) was best in epoch 1 (0.1)" in [
        text.partition(";")[0] for text in texts
    ]


def test_a_run_that_a_cooldown_ended_is_not_told_to_end_earlier():
    def best_early(epoch):
        epoch["metrics"] = {"val_loss": 0.1 if epoch["epoch"] == 1 else 0.5}

    def is_told(run):
        return any("was best in epoch 1" in one.text for one in advice(run))

    run = with_epochs(best_early)
    assert is_told(run)
    assert not is_told(replace(run, decision=replace(run.decision, last_epoch=7)))


def test_a_learning_rate_that_did_not_decay_is_told(advised):
    _, texts = advised(decays=False)
    assert texts[-1].startswith("The learning rate ended at 0.1, which is its highest value. ")


def test_a_detector_that_costs_more_than_a_percent_is_told(advised):
    class Slow(GradientConfusion):
        def measure(self, trainer, pl_module):
            time.sleep(0.1)
            return super().measure(trainer, pl_module)

    callback = CriticalPeriodCallback(signal=Slow(), rule=Never(), observe_only=True)
    found, texts = advised(callback)
    seconds, total = in_epochs(found, "detector")
    assert seconds > 0.01 * total
    (text,) = [text for text in texts if text.startswith("Measuring gradient confusion and deciding took")]
    assert f"{seconds:.1f} of {total:.1f} s" in text


def test_the_largest_saving_comes_first(advised):
    found, texts = advised(pause=0.04, check=0.2, decays=False)
    assert [text.split()[0] for text in texts] == ["Training", "Validation", "The"]
    assert [one.seconds for one in advice(found)] == sorted((one.seconds for one in advice(found)), reverse=True)


@pytest.mark.parametrize(("seconds", "told"), [(0.4, False), (0.6, True)])
def test_a_saving_of_a_moment_is_not_worth_a_word(seconds, told):
    run = record(measured={"seconds_by_phase": {"data_wait": seconds, "training": 0.1}}, epochs=[])
    assert bool(advice(run)) == told


def test_nothing_is_advised_where_nothing_was_measured():
    assert advice(record(measured=None)) == []
