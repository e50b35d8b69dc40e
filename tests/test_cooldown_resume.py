"""A run that is resumed before, at the start of, or inside its cooldown is the uninterrupted one, bit by bit."""

import os

import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from test_resume import HALF, assert_resumes, data, killed_run, newest_that_loads, train

from lightning_critperiod import AtEpoch, Cooldown, CriticalPeriodCallback, MonitoredMetric, Never, Plateau, Recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
]

# The cooldown is epochs 2, 3 and 4. Batches per epoch: 9, 9, and 2 at half the volume.
SOME = {
    *("epoch-0", "epoch-1", "epoch-2", "epoch-3", "val-1-8", "val-2-1", "val-4-1"),
    *("batch-0-3", "batch-1-0", "batch-1-8", "batch-2-0", "batch-2-1", "batch-3-0", "batch-4-0"),
}


def drive(rule=None, signal=None, **recipe):
    return CriticalPeriodCallback(
        signal, rule or AtEpoch(2), Recipe(**{"after": HALF, "cooldown": Cooldown(), **recipe})
    )


def linear(optimizer, total_steps):
    return torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=20)


def by_metric():
    return drive(Plateau(patience=1, min_delta=10), MonitoredMetric("val_loss"))


@pytest.mark.parametrize(
    ("callback", "without", "arguments"),
    [
        (drive, "", {}),
        (lambda: drive(Never()), "", {"max_epochs": 5}),
        (drive, "", {"max_epochs": -1, "scheduler": linear}),
        # Lightning forgets the gradients that are accumulated so far.
        (drive, "batch-1-0 batch-2-0 batch-3-0 batch-4-0", {"accumulate_grad_batches": 2}),
        # Lightning does not validate any more when it goes on from the last batch of an epoch.
        (by_metric, "batch-1-8 batch-2-1", {"max_epochs": 8}),
    ],
    ids=["one cycle", "in time for the end", "without a last epoch", "accumulation", "by a metric"],
)
def test_from_every_kind_of_moment(tmp_path, callback, without, arguments):
    names = SOME - set(without.split())
    assert len(assert_resumes(tmp_path, callback, data, names.__contains__, **arguments)) >= 10


def test_with_a_loader_that_passes_through_from_every_epoch_end(tmp_path):
    def loads():
        return TinyData(n=17, shuffle=False)

    names = {"epoch-0", "epoch-1", "epoch-2", "epoch-3", "batch-2-1", "batch-4-0"}
    arguments = {"max_epochs": -1, "scheduler": linear}
    assert len(assert_resumes(tmp_path, drive, loads, names.__contains__, **arguments)) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("steps", [19, 20, 22])
def test_a_process_that_is_killed_inside_the_cooldown_loses_nothing_that_lightning_kept(tmp_path, steps):
    whole = train(tmp_path, drive(), data())
    folder = tmp_path / "killed"
    folder.mkdir()
    killed_run(folder, steps, drive)
    path, state = newest_that_loads(folder)
    assert state["global_step"] >= 18  # of 24; the cooldown begins after 18
    resumed = train(tmp_path, drive(), data(), ckpt=path)
    assert resumed["steps"] == whole["steps"][state["global_step"] :]
    assert torch.equal(resumed["weights"], whole["weights"])
    assert resumed["decision"] == whole["decision"]
    assert torch.load(folder / "before_cooldown.ckpt", weights_only=True)["global_step"] == 18


class Asks(Callback):
    """Asks for the cooldown once, in epoch 1, which may be before a checkpoint that a run is resumed from."""

    def __init__(self, callback):
        self.callback = callback

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 2:
            self.callback.cool_down()


@pytest.mark.parametrize("step", ["12", "13", "before_cooldown"])
def test_a_request_for_the_cooldown_was_lost_with_the_process(tmp_path, step):
    def fit(callback, *callbacks, ckpt=None):
        options = {"max_epochs": 9, "enable_checkpointing": bool(callbacks)}
        trainer = make_trainer(tmp_path, [callback, *callbacks], **options)
        trainer.fit(TinyModel(), datamodule=TinyData(), ckpt_path=ckpt, weights_only=True)
        return callback.cooldown_epoch

    callback = drive(Never())
    saves = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    assert fit(callback, Asks(callback), saves) == 2
    file = next(tmp_path.glob(f"*{step}.ckpt"))
    resumed = fit(drive(Never()), ckpt=file)
    assert resumed == (6 if step == "before_cooldown" else 2)


def test_a_run_that_was_resumed_inside_its_cooldown_with_fewer_epochs_went_on_beyond_them(tmp_path):
    def fit(max_epochs, *callbacks, ckpt=None):
        callback = drive(Never(), cooldown=Cooldown(min_epochs=5))
        options = {"max_epochs": max_epochs, "enable_checkpointing": bool(callbacks)}
        trainer = make_trainer(tmp_path, [callback, *callbacks], **options)
        trainer.fit(TinyModel(), datamodule=TinyData(), ckpt_path=ckpt, weights_only=bool(ckpt))
        return trainer, callback

    fit(9, ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1))
    trainer, callback = fit(7, ckpt=tmp_path / "epoch=4.ckpt")
    assert (callback.cooldown_epoch, callback.last_epoch, trainer.current_epoch) == (4, 6, 7)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0
    assert callback.reason.endswith("after 9 epochs; shortened to 3 epochs because of max_epochs")
