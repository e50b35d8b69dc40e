"""Lightning's finders, which train for a trial inside a run and then restore what was before."""

import pytest
from conftest import TinyData, TinyModel, make_trainer
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder

from lightning_critperiod import (
    AtEpoch,
    Budget,
    Cooldown,
    CriticalPeriodCallback,
    Recipe,
    Volume,
)
from lightning_critperiod.costs import CostMeter

pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec.*is deprecated")


class InEpochTwo(LearningRateFinder):
    """The finder of Lightning's own example, which looks for another rate at milestones."""

    def on_fit_start(self, trainer, pl_module):
        pass

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            self.lr_find(trainer, pl_module)


class Steps(Callback):
    """Batches of every epoch, without those of a trial, which has no callbacks."""

    def __init__(self):
        self.batches = {}

    def on_train_batch_end(self, trainer, *_):
        self.batches[trainer.current_epoch] = self.batches.get(trainer.current_epoch, 0) + 1


def finder():
    return InEpochTwo(num_training_steps=12, update_attr=False)


def costs_of(tmp_path, *finders, data=None):
    monitor = CostMeter()
    make_trainer(tmp_path, [*finders, monitor], max_epochs=4).fit(TinyModel(), datamodule=data or TinyData())
    return [(epoch.samples, epoch.batches, epoch.flops) for epoch in monitor.epochs.values()]


@pytest.mark.parametrize(
    "finder", [finder, lambda: LearningRateFinder(num_training_steps=12, update_attr=False)], ids=["middle", "front"]
)
def test_a_learning_rate_finder_counted_twice_what_came_before_it(tmp_path, finder):
    assert costs_of(tmp_path, finder()) == costs_of(tmp_path)


def test_the_trials_of_a_batch_size_finder_counted_as_training(tmp_path):
    data = TinyData()
    found = costs_of(tmp_path, BatchSizeFinder(max_trials=2, init_val=3, steps_per_trial=2), data=data)
    assert data.batch_size == 6
    assert found == costs_of(tmp_path, data=TinyData(batch_size=6))


def test_after_a_finder_in_mid_run_no_epoch_began_so_that_the_run_did_not_end_with_its_cooldown(tmp_path):
    cooldown = Cooldown(min_epochs=2, fraction=0.1)
    recipe = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0.0, cooldown=cooldown)
    steps, callback = Steps(), CriticalPeriodCallback(rule=AtEpoch(4), recipe=recipe)
    trainer = make_trainer(tmp_path, [finder(), callback, steps], max_epochs=20)
    trainer.fit(TinyModel(), datamodule=TinyData())
    assert (callback.cooldown_epoch, callback.last_epoch, trainer.current_epoch) == (4, 5, 6)
    assert steps.batches == {0: 9, 1: 9, 2: 9, 3: 9, 4: 4, 5: 4}


def test_the_hours_of_a_budget_stood_still_after_a_finder_in_mid_run(tmp_path):
    recipe = Recipe(annealing_fraction=0.0, cooldown=Cooldown(budget=Budget(hours=1.0)))
    callback = CriticalPeriodCallback(rule=AtEpoch(5), recipe=recipe)
    make_trainer(tmp_path, [finder(), callback], max_epochs=6).fit(TinyModel(), datamodule=TinyData())
    hours = [spent for _, spent in callback.budget_course["hours"]]
    assert len(hours) == 6
    assert sorted(set(hours)) == hours
