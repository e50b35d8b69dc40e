"""A run that leaves a project's own run at a checkpoint is the run that had the callback from the start."""

from functools import partial
from pathlib import Path

import pytest
from torch.optim import SGD
from torch.optim.lr_scheduler import OneCycleLR

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Guard, Phased, Recipe, Volume
from lightning_critperiod.datamodules import Digits
from lightning_critperiod.timeline import Timeline

EPOCHS, SEED = 5, 3


@pytest.fixture(scope="module")
def branches():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        import branches

        return branches


def few_digits(multiplier):
    datamodule = Digits(batch_size=32, augmentation_multiplier=multiplier)
    datamodule.train_samples = 200
    return datamodule


@pytest.fixture(scope="module", params=[1, 2])
def project(request, branches):
    one_cycle = partial(OneCycleLR, max_lr=0.1, total_steps=-1), "step"
    return branches.Project(
        partial(few_digits, request.param), 1, 10, partial(SGD, lr=0.1, momentum=0.9), one_cycle, EPOCHS
    )


@pytest.fixture(scope="module")
def trunk(branches, project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trunk")
    return folder, branches.trunk(project, SEED, folder)


def test_the_run_that_is_looked_on_is_the_run_without_any_line(branches, project, trunk):
    assert branches.fit(project, SEED, [])["weights"] == trunk[1]["weights"]


def test_a_branch_has_the_weights_of_the_run_that_had_the_callback_from_the_start(branches, project, trunk):
    recipe = Recipe(after=Volume(pruning_ratio=0.3))
    whole = branches.fit(project, SEED, [CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe)])
    branch = branches.branch(project, SEED, trunk[0], 2, recipe)
    assert branch["weights"] == whole["weights"] != trunk[1]["weights"]
    assert [*trunk[1]["val_acc"][:2], *branch["val_acc"]] == whole["val_acc"]


def test_a_guard_that_is_asked_afterwards_fires_when_it_fires_in_the_run(branches, project, trunk, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from guard import fired_at

    folder, plain = trunk
    recipe = Recipe(after=Volume(pruning_ratio=0.99), annealing_fraction=0)
    unguarded, fired = branches.branch(project, SEED, folder, 2, recipe), set()
    for drop in (0.0, 1.0):
        guard = Guard("val_acc", drop, "max")
        asked = fired_at(guard, plain, unguarded)
        assert branches.branch(project, SEED, folder, 2, recipe, guard)["back_epoch"] == asked
        fired.add(asked)
    assert None in fired
    assert len(fired) == 2


@pytest.mark.parametrize("end_epoch", [None, 5, 16])
def test_what_is_saved_is_counted_epoch_by_epoch(branches, end_epoch):
    recipe, drawn = Recipe(), 0.0
    for epoch in range(20):
        phase = Timeline(20, end_epoch, annealing_fraction=0.125).phase(epoch)
        drawn += 0.7 if phase == "after" else 3
    assert branches.saved(recipe, 3, end_epoch, 20) == pytest.approx(1 - drawn / 60)


def test_without_augmentation_the_views_of_an_image_are_the_image(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import numpy as np
    from guard import DESTRUCTIVE, Part

    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    arrays = {"x_train": images, "y_train": np.arange(40) % 4, "x_test": images, "y_test": np.arange(40) % 4}
    np.savez(tmp_path / "cifar100.npz", **arrays)
    change = DESTRUCTIVE["no augmentation"].changes[0]
    assert isinstance(change, Phased)
    assert (change.path, change.after) == ("datamodule.augments", False)
    data = Part(tmp_path, 4, num_workers=0)
    data.setup("fit")
    for augments in (True, False):
        data.augments = augments
        views = data.train_dataloader().dataset
        assert (views[3, 0][0] == views[3, 1][0]).all() != augments
