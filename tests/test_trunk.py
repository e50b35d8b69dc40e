"""What a run keeps for others that begin as it does."""

import pytest
from conftest import Declares, TinyModel

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.rules import Slope
from lightning_critperiod.studies.plan import Course
from lightning_critperiod.studies.trunk import Trunk

RECIPE = Recipe(after=Volume(), annealing_fraction=0.25)


def kept(trainer_for, tmp_path, loader=None, **what):
    """The checkpoints of a run of eight epochs that switches at 4 and has the full recipe again from 7 on."""
    callback = CriticalPeriodCallback(rule=AtEpoch(4), recipe=RECIPE)
    trunk = Trunk(str(tmp_path / "kept"), **what)
    trainer = trainer_for(callback, trunk, max_epochs=8, enable_checkpointing=True)
    trainer.fit(TinyModel(), datamodule=Declares(**(loader or {})))
    return {file.name for file in (tmp_path / "kept").glob("*")}


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({}, []),
        ({"epochs": [1, 3]}, ["epoch-1.ckpt", "epoch-3.ckpt"]),
        ({"epochs": [8]}, []),  # nothing begins with the end of the run
        ({"at_changes": True}, ["epoch-4.ckpt", "epoch-7.ckpt"]),
        ({"rule": Slope(window=3, min_epochs=0, max_angle=90.0, after_rise=False)}, ["epoch-3.ckpt"]),
    ],
    ids=str,
)
def test_a_trunk_keeps_the_epochs_that_it_was_told_and_no_other(trainer_for, tmp_path, what, expected):
    assert sorted(kept(trainer_for, tmp_path, **what)) == expected


@pytest.mark.parametrize(("persistent", "expected"), [(False, {"epoch-1.ckpt"}), (True, set())])
def test_a_run_whose_workers_persist_keeps_nothing_as_no_branch_could_draw_what_it_drew(
    trainer_for, tmp_path, persistent, expected
):
    loader = {"num_workers": 1, "persistent_workers": persistent}
    assert kept(trainer_for, tmp_path, loader, epochs=[1]) == expected


@pytest.mark.parametrize("first", [None, 0, 2, 5])
@pytest.mark.parametrize("second", [None, 2, 4])
@pytest.mark.parametrize("annealing", [(0.0, 0.0), (0.5, 0.0), (0.5, 0.25)], ids=str)
def test_two_runs_share_their_epochs_up_to_the_first_that_differs(first, second, annealing):
    recipes = [Recipe(Volume(3), Volume(), fraction) for fraction in annealing]
    one, other = (Course(8, recipe, end) for recipe, end in zip(recipes, (first, second), strict=True))
    volumes = [
        [recipe.volume(e, end, 8) for e in range(8)] for recipe, end in zip(recipes, (first, second), strict=True)
    ]
    alike = [a == b for a, b in zip(*volumes, strict=True)]
    expected = alike.index(False) if False in alike else 8
    assert one.shared(other) == other.shared(one) == expected
    assert one.passes() == sum(volume.fraction for volume in volumes[0])
    assert one.passes(start=3) == sum(volume.fraction for volume in volumes[0][3:])
