"""Several fits: tuning in front of one, fitting again, two Trainers."""

import pytest
from conftest import TinyData, make_trainer
from lightning.pytorch.tuner import Tuner
from outside import EPOCHS, Witness, assert_run, callback, epochs_of, loaders, run

from lightning_critperiod import CriticalPeriodCallback, Never

CASES = pytest.mark.parametrize("case", ["shrinks", "grows"])


@CASES
def test_the_learning_rate_is_found_before_a_run(tmp_path, case):
    model = Witness()
    trainer = make_trainer(tmp_path, [callback(case)], max_epochs=EPOCHS)
    found = Tuner(trainer).lr_find(model, num_training=20, update_attr=False, **loaders())
    assert len(found.results["lr"]) == 20
    assert "process_dataloader" not in vars(trainer.strategy)
    assert "lr_scheduler_step" not in vars(model)
    again = Witness()
    trainer.fit(again, **loaders())
    assert_run(again, epochs_of(case))


@CASES
def test_the_batch_size_is_found_before_a_run(tmp_path, case):
    model, data = Witness(), TinyData()
    trainer = make_trainer(tmp_path, [callback(case)], max_epochs=EPOCHS)
    found = Tuner(trainer).scale_batch_size(model, datamodule=data, max_trials=2, init_val=3, steps_per_trial=2)
    assert data.batch_size == found != 4
    assert "train_dataloader" not in vars(data)
    again = Witness()
    trainer.fit(again, datamodule=data)
    assert_run(again, epochs_of(case, batch_size=found))


@CASES
def test_validate_and_test_between_fits(tmp_path, case):
    class Tests(Witness):
        def test_step(self, batch, batch_idx):
            self.log("test_loss", self.loss(batch))

    ours, data = callback(case), loaders()
    trainer = make_trainer(tmp_path, [ours], max_epochs=3)
    model = Tests()
    trainer.validate(model, data["val_dataloaders"], verbose=False)
    model.validations.clear()
    trainer.fit(model, **data)
    trainer.test(model, data["val_dataloaders"], verbose=False)
    assert ours.end_epoch == 2
    trainer.fit_loop.max_epochs = EPOCHS
    trainer.fit(model, **data)
    assert model.batches == epochs_of(case)
    trainer.fit(model, **data)
    assert model.batches == epochs_of(case)


@CASES
def test_the_same_loaders_in_two_trainers(tmp_path, case):
    data, plain = loaders(num_workers=1, persistent_workers=True), Witness()
    for _ in range(2):
        model = Witness()
        run(tmp_path, case, model, data)
        assert_run(model, epochs_of(case))
    assert len(data["train_dataloaders"]) == 9
    make_trainer(tmp_path, max_epochs=2).fit(plain, **data)
    assert plain.batches == [9, 9]


@CASES
def test_one_callback_in_two_trainers(tmp_path, case):
    ours = callback(case)
    for _ in range(2):
        model = Witness()
        run(tmp_path, case, model, loaders(), own=ours)
        assert_run(model, epochs_of(case))


def test_max_epochs_0_trains_nothing(tmp_path):
    model = Witness(scheduler=None)
    make_trainer(tmp_path, [CriticalPeriodCallback(rule=Never())], max_epochs=0).fit(model, **loaders())
    assert not model.samples


def test_limit_train_batches_0_trains_nothing(tmp_path):
    model = Witness(scheduler=None)
    make_trainer(tmp_path, [callback("shrinks")], limit_train_batches=0).fit(model, **loaders())
    assert not model.samples
