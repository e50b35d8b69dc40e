"""A guard takes the changes back where a metric drops after the switch."""

import lightning as L
import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Guard, Phased, Recipe, Volume

CHEAP = Volume(pruning_ratio=0.5)


class Scripted(TinyModel):
    """Validation logs a score that is written down beforehand; everything else is real training."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores
        self.alpha = 1.0
        self.alphas = {}

    def training_step(self, batch, batch_idx):
        self.alphas[self.current_epoch] = self.alpha
        return super().training_step(batch, batch_idx)

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.log("score", torch.tensor(self.scores[self.current_epoch]))


def drive(**guard):
    recipe = Recipe(after=CHEAP, annealing_fraction=0, changes=[Phased("alpha", after=0.0)])
    arguments = {"monitor": "score", "max_drop": 0.05, "mode": "max", **guard}
    return CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe, guard=Guard(**arguments))


def fit(tmp_path, scores, callback, ckpt_path=None, callbacks=()):
    L.seed_everything(1, verbose=False)
    model = Scripted(scores)
    make_trainer(tmp_path, [callback, *callbacks]).fit(model, TinyData(), ckpt_path=ckpt_path)
    return model


def counts(model):
    return {epoch: len(numbers) for epoch, numbers in model.drawn().items()}


def test_a_drop_after_the_switch_takes_every_change_back_for_the_rest_of_the_run(tmp_path):
    callback = drive()
    model = fit(tmp_path, [0.5, 0.7, 0.68, 0.6, 0.9, 0.9], callback)
    assert counts(model) == {0: 33, 1: 33, 2: 16, 3: 16, 4: 33, 5: 33}
    assert model.alphas == {0: 1.0, 1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0, 5: 1.0}
    assert (callback.end_epoch, callback.back_epoch) == (2, 4)
    assert callback.guard.reason == (
        "changes taken back after epoch 3: score fell to 0.6, more than 0.05 below its best 0.7"
    )
    assert [callback.timeline.phase(epoch) for epoch in range(6)] == ["during"] * 2 + ["after"] * 2 + ["during"] * 2


def test_a_drop_before_the_switch_or_within_the_limit_takes_nothing_back(tmp_path):
    callback = drive()
    model = fit(tmp_path, [0.9, 0.5, 0.86, 0.851, 0.9, 0.9], callback)
    assert callback.back_epoch is None
    assert counts(model) == {0: 33, 1: 33, **dict.fromkeys(range(2, 6), 16)}


def test_patience_waits_for_several_epochs_in_a_row(tmp_path):
    callback = drive(patience=2)
    fit(tmp_path, [0.5, 0.7, 0.6, 0.7, 0.6, 0.6], callback)
    assert callback.back_epoch == 6


def test_lower_is_better_where_the_mode_says_so(tmp_path):
    callback = drive(mode="min")
    fit(tmp_path, [0.5, 0.3, 0.33, 0.36, 0.3, 0.3], callback)
    assert callback.back_epoch == 4


def test_a_guard_that_has_taken_back_stays_so_in_a_resumed_run(tmp_path):
    class Saves(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")

    scores = [0.5, 0.7, 0.68, 0.6, 0.9, 0.9]
    whole = fit(tmp_path, scores, drive(), callbacks=[Saves()])
    for epoch in (2, 3, 4):
        callback = drive()
        model = fit(tmp_path, scores, callback, ckpt_path=tmp_path / f"{epoch}.ckpt")
        assert callback.back_epoch == 4
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))


def test_an_observers_guard_changes_nothing(tmp_path):
    callback = drive()
    callback = CriticalPeriodCallback(rule=AtEpoch(2), observe_only=True, guard=callback.guard.guard)
    model = fit(tmp_path, [0.5, 0.7, 0.68, 0.6, 0.9, 0.9], callback)
    assert counts(model) == dict.fromkeys(range(6), 33)
    assert callback.back_epoch is None


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (dict(max_drop=-0.1), ValueError, "max_drop must be a number from 0, got -0.1"),
        (dict(patience=0), ValueError, "patience must be an int from 1 up, got 0"),
        (dict(mode="up"), ValueError, "mode must be"),
        (dict(monitor=""), ValueError, "monitor must be the name of a logged metric"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        drive(**arguments)
