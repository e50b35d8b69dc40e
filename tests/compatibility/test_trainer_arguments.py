from datetime import timedelta

import pytest
from outside import (
    SINCE_2_6,
    Witness,
    assert_each_seen,
    assert_run,
    epochs_of,
    loaders,
    rates_of,
    run,
    validations_of,
)

CASES = pytest.mark.parametrize("case", ["shrinks", "grows"])

# name: (Trainer arguments, what of them the truth depends on)
ROWS = {
    "nothing special": {},
    "val_check_interval=0.5": dict(val_check_interval=0.5),
    "val_check_interval=0.3": dict(val_check_interval=0.3),
    "val_check_interval=6, longer than a shrunk epoch": dict(val_check_interval=6),
    "val_check_interval=7 across epochs": dict(val_check_interval=7, check_val_every_n_epoch=None),
    "check_val_every_n_epoch=2": dict(check_val_every_n_epoch=2),
    "check_val_every_n_epoch=2, val_check_interval=0.5": dict(check_val_every_n_epoch=2, val_check_interval=0.5),
    "accumulate_grad_batches=3": dict(accumulate_grad_batches=3),
    "limit_train_batches=5": dict(limit_train_batches=5),
    "limit_train_batches=0.5": dict(limit_train_batches=0.5),
    "limit_train_batches=0.2, less than a batch of a shrunk epoch": dict(limit_train_batches=0.2),
    "max_steps beyond the run": dict(max_steps=1000),
    "max_time": dict(max_time=timedelta(hours=1)),
    "min_epochs": dict(min_epochs=3),
    "num_sanity_val_steps=0": dict(num_sanity_val_steps=0),
    "num_sanity_val_steps=-1": dict(num_sanity_val_steps=-1),
    "reload_dataloaders_every_n_epochs=1": dict(reload_dataloaders_every_n_epochs=1),
    "reload_dataloaders_every_n_epochs=2": dict(reload_dataloaders_every_n_epochs=2),
    "precision bf16-mixed": dict(precision="bf16-mixed"),
    "gradient clipping by norm": dict(gradient_clip_val=0.1),
    "gradient clipping by value": dict(gradient_clip_val=0.1, gradient_clip_algorithm="value"),
    "use_distributed_sampler=False": dict(use_distributed_sampler=False),
    "limit_val_batches=0": dict(limit_val_batches=0),
    "detect_anomaly": dict(detect_anomaly=True),
    "overfit_batches=2": dict(overfit_batches=2),
    "overfit_batches=0.5": dict(overfit_batches=0.5),
}


@CASES
@pytest.mark.parametrize("arguments", ROWS.values(), ids=ROWS)
@pytest.mark.filterwarnings("ignore:limit_train_batches=5 cuts every epoch.*")
def test_a_trainer_argument(tmp_path, case, arguments):
    model = Witness()
    run(tmp_path, case, model, loaders(shuffle="overfit_batches" not in arguments), **arguments)
    limit = arguments.get("limit_train_batches", arguments.get("overfit_batches", 1.0))
    batches = epochs_of(case, limit=limit)
    keys = ("val_check_interval", "check_val_every_n_epoch")
    validations = validations_of(batches, **{key: arguments[key] for key in keys if key in arguments})
    assert_run(
        model,
        batches,
        validations if arguments.get("limit_val_batches") != 0 else [],
        rates_of(batches, arguments.get("accumulate_grad_batches", 1)),
    )
    if isinstance(limit, float) and limit > 0.99:
        assert_each_seen(model, case)


def refused(tmp_path, case, text, data=None, **arguments):
    model = Witness()
    with pytest.raises(ValueError, match=text):
        run(tmp_path, case, model, data or loaders(), **arguments)
    assert not model.samples


@CASES
def test_max_steps_that_may_end_the_run_is_refused(tmp_path, case):
    """The longest run that the recipe allows has 150 steps."""
    refused(tmp_path, case, "max_steps=149.*give max_epochs alone", max_steps=149)


def test_an_epoch_too_short_to_be_reloaded_is_refused(tmp_path):
    reload = dict(reload_dataloaders_every_n_epochs=1)
    refused(tmp_path, "shrinks", "val_check_interval=6.*give a fraction", val_check_interval=6, **reload)
    refused(tmp_path, "shrinks", "limit_train_batches=0.2.*give an int", limit_train_batches=0.2, **reload)


def test_a_limit_that_makes_every_epoch_as_long_is_said_to_save_nothing(tmp_path):
    model = Witness()
    with pytest.warns(UserWarning, match="limit_train_batches=2 cuts every epoch to the same length"):
        run(tmp_path, "shrinks", model, loaders(), limit_train_batches=2)
    assert model.batches == [2] * 6


@CASES
@SINCE_2_6
def test_val_check_interval_as_a_time(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(), val_check_interval=timedelta(microseconds=1))
    batches = epochs_of(case)
    assert_run(model, batches, [(e, b + 1) for e, n in enumerate(batches) for b in range(n)])


@CASES
def test_fast_dev_run(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(), fast_dev_run=3)
    assert model.batches == [3]
    assert model.validations == [(0, 3)]


@CASES
@pytest.mark.filterwarnings("ignore:.*no `val_dataloader`.*")
def test_no_validation_loop(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(validate=False))
    assert_run(model, epochs_of(case), [])


@CASES
def test_overfit_batches_are_the_same_in_every_epoch(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(shuffle=False), overfit_batches=2)
    assert set(map(str, model.samples.values())) == {str([[0, 1, 2, 3], [4, 5, 6, 7]])}


def test_max_time_that_is_over_trains_nothing(tmp_path):
    model = Witness()
    run(tmp_path, "shrinks", model, loaders(), max_time=timedelta(0))
    assert model.batches == []
