"""What a spawned process found is there in the process that called fit."""

import os
import pickle

import lightning as L
import pytest
from conftest import Numbered, TinyModel, make_trainer
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, Change, Cooldown, CostMonitor, CriticalPeriodCallback, Recipe, Volume


def fitted(strategy, tmp_path, cooldown=None):
    recipe = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0, cooldown=cooldown)
    callback, monitor = CriticalPeriodCallback(rule=AtEpoch(1), recipe=recipe), CostMonitor()
    trainer = L.Trainer(
        accelerator="cpu", devices=2 if strategy != "auto" else 1, strategy=strategy, max_epochs=3, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[callback, monitor],
    )  # fmt: skip
    trainer.fit(TinyModel(), DataLoader(Numbered(32), batch_size=4), DataLoader(Numbered(8), batch_size=4))
    return callback, monitor


def test_the_state_of_a_callback_crosses_a_pickle_into_the_callback_that_is_waiting_for_it(tmp_path):
    """As Lightning's launcher sends results: pickled in one process, unpickled in the other."""
    from lightning_critperiod.lightning_seam.spawned import _Parcel

    there, monitor = fitted("auto", tmp_path)
    here = CriticalPeriodCallback(rule=AtEpoch(1))
    pickle.loads(pickle.dumps(_Parcel(here.token, there.found())))
    assert (here.end_epoch, here.reason, here.history) == (1, there.reason, there.history)
    assert here.volumes == there.volumes == {0: Volume(), 1: Volume(1, 0.5), 2: Volume(1, 0.5)}
    waiting = CostMonitor()
    pickle.loads(pickle.dumps(_Parcel(waiting.token, monitor.found())))
    assert waiting.costs == monitor.costs
    assert [epoch.samples for epoch in waiting.epochs.values()] == [32, 16, 16]


def test_why_a_cooldown_began_is_not_said_twice_by_the_callback_that_was_waiting(tmp_path):
    from lightning_critperiod.lightning_seam.spawned import _Parcel

    there, _ = fitted("auto", tmp_path, Cooldown(min_epochs=1))
    here = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(cooldown=Cooldown()))
    pickle.loads(pickle.dumps(_Parcel(here.token, there.found())))
    assert here.reason == there.reason
    assert here.reason.count("cooldown") == 1


@pytest.mark.slow
def test_after_ddp_spawn_the_decision_and_the_costs_are_not_empty(tmp_path):
    callback, monitor = fitted("ddp_spawn", tmp_path)
    assert callback.end_epoch == 1
    assert callback.reason.startswith("critical period over after epoch 0")
    assert callback.volumes == {0: Volume(), 1: Volume(1, 0.5), 2: Volume(1, 0.5)}
    assert [epoch.samples for epoch in monitor.epochs.values()] == [32, 16, 16]
    assert monitor.costs.seconds > 0


class Long(Change):
    """Its setting stands for what a run of hundreds of epochs sends back."""

    name = "long"
    setting = "x" * 200_000

    def apply(self, phase):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:It is recommended to use `self.log.*sync_dist=True")
@pytest.mark.filterwarnings("ignore:Your `val_dataloader`.*shuffling")
def test_a_long_run_waited_for_ever_after_its_last_epoch_to_send_more_than_a_pipe_holds(tmp_path):
    callback = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(changes=[Long()]))
    trainer = make_trainer(tmp_path, [callback], strategy="ddp_fork", max_epochs=2)
    data = DataLoader(Numbered(8), batch_size=4)
    trainer.fit(TinyModel(), data, data)
    assert callback.settings[1]["long"] == Long.setting
