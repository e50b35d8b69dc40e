"""What the Trainer's public numbers say, read by the module and by callbacks in front of ours and behind it.

Truth is counted by hand: 80 samples in batches of 8 are 10 batches; pruned by 0.3 they are 7. 8 epochs, the switch at
epoch 3, the full recipe again in epoch 7: 4 x 10 + 4 x 7 = 68 optimizer steps.
"""

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyModel, make_trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Never, Recipe, Volume
from lightning_critperiod.record import collect

BATCHES = [10, 10, 10, 7, 7, 7, 7, 10]
TOTALS = [80, 80, 80, 68, 68, 68, 68, 68]


class Reads(Callback):
    """Reads the numbers in every hook of an epoch."""

    def __init__(self):
        self.read = {}

    def _look(self, trainer):
        numbers = (trainer.num_training_batches, len(trainer.train_dataloader), trainer.estimated_stepping_batches)
        self.read.setdefault(trainer.current_epoch, set()).add(numbers)

    def on_train_epoch_start(self, trainer, pl_module):
        self._look(trainer)

    def on_train_batch_start(self, trainer, *_):
        self._look(trainer)

    def on_train_batch_end(self, trainer, *_):
        self._look(trainer)

    def on_validation_end(self, trainer, *_):
        if not trainer.sanity_checking:
            self._look(trainer)

    def on_train_epoch_end(self, trainer, pl_module):
        self._look(trainer)


class Module(TinyModel):
    """Reads them in its own hooks too, and schedules by the total of steps, as BYOL and DINO do."""

    def __init__(self):
        super().__init__()
        self.looks, self.progress = Reads(), []

    def on_train_epoch_start(self):
        self.looks._look(self.trainer)

    def on_train_epoch_end(self):
        self.looks._look(self.trainer)

    def on_train_batch_end(self, *_):
        self.progress.append(self.trainer.global_step / self.trainer.estimated_stepping_batches)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    L.seed_everything(1, verbose=False)
    ours = CriticalPeriodCallback(rule=AtEpoch(3), recipe=Recipe(after=Volume(pruning_ratio=0.3)))
    before, behind, model = Reads(), Reads(), Module()
    trainer = make_trainer(tmp_path_factory.mktemp("run"), [before, ours, behind], max_epochs=8)
    loaders = DataLoader(Numbered(80), batch_size=8), DataLoader(Numbered(8), batch_size=8)
    trainer.fit(model, *loaders)
    return trainer, model, before, behind


@pytest.mark.parametrize("reader", ["a callback in front", "a callback behind", "the module"])
def test_every_hook_of_an_epoch_reads_the_numbers_of_that_epoch(run, reader):
    _, model, before, behind = run
    looks = {"a callback in front": before, "a callback behind": behind, "the module": model.looks}[reader]
    expected = {epoch: {(n, n, total)} for epoch, (n, total) in enumerate(zip(BATCHES, TOTALS, strict=True))}
    assert looks.read == expected


def test_the_total_of_steps_is_in_the_end_the_steps_that_were_taken(run):
    trainer, model, *_ = run
    assert trainer.global_step == sum(BATCHES) == TOTALS[-1]
    assert model.progress[-1] == 1


def test_a_schedule_by_the_total_of_steps_never_runs_backwards(run):
    _, model, *_ = run
    assert model.progress == sorted(model.progress)


def test_the_trainer_is_its_own_class_again_after_fit(run):
    trainer, *_ = run
    assert type(trainer) is L.Trainer
    assert trainer.num_training_batches == 10


class TwoStepsABatch(TinyModel):
    """As a GAN: each of two optimizers steps in every batch, by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.said = []

    def configure_optimizers(self):
        return [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in (self.net[0], self.net[2])]

    def training_step(self, batch, batch_idx):
        self.manual_backward(super().training_step(batch, batch_idx))
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()

    def on_train_batch_end(self, *_):
        self.said.append(self.trainer.estimated_stepping_batches)


def test_the_total_of_a_gan_mixed_its_steps_with_its_batches(tmp_path):
    ours = CriticalPeriodCallback(rule=AtEpoch(3), recipe=Recipe(after=Volume(pruning_ratio=0.3)))
    model = TwoStepsABatch()
    trainer = make_trainer(tmp_path, [ours], max_epochs=8)
    trainer.fit(model, DataLoader(Numbered(80), batch_size=8), DataLoader(Numbered(8), batch_size=8))
    assert trainer.global_step == 2 * sum(BATCHES)
    assert model.said == [total for batches, total in zip(BATCHES, TOTALS, strict=True) for _ in range(batches)]


def test_max_steps_of_a_gan_was_taken_for_as_many_batches(tmp_path):
    model, ours = TwoStepsABatch(), CriticalPeriodCallback()
    trainer = make_trainer(tmp_path, [ours], max_epochs=-1, max_steps=60)
    with pytest.warns(
        UserWarning, match="needs a run with a last epoch: layer_rotation is measured, but the rule is not asked"
    ):
        trainer.fit(model, DataLoader(Numbered(80), batch_size=8), DataLoader(Numbered(8), batch_size=8))
    assert list(ours.history) == [0, 1, 2]
    assert ours.end_epoch is None


class EndsAfter(Callback):
    """Ends a run after three epochs, whatever was planned."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch == 2


def test_every_epoch_of_a_run_that_was_planned_for_very_many_began_by_counting_them(tmp_path):
    many = 10**9
    ours = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(pruning_ratio=0.3), annealing_fraction=0))
    trainer = make_trainer(tmp_path, [ours, EndsAfter(), seen := Reads()], max_epochs=many)
    trainer.fit(TinyModel(), DataLoader(Numbered(80), batch_size=8), DataLoader(Numbered(8), batch_size=8))
    totals = [{total for _, _, total in seen.read[epoch]} for epoch in range(3)]
    assert totals == [{10 * many}, {10 + 7 * (many - 1)}, {10 + 7 * (many - 1)}]
    phases = collect(trainer, "completed").decision.phases
    assert [(span.phase, span.first, span.last) for span in phases] == [("during", 0, 0), ("after", 1, many - 1)]


class Growing(L.LightningDataModule):
    """A curriculum: the train set grows every epoch, and Lightning reloads it."""

    def train_dataloader(self):
        return DataLoader(Numbered(16 + 8 * self.trainer.current_epoch), batch_size=4, shuffle=True)

    def val_dataloader(self):
        return DataLoader(Numbered(8), batch_size=8)


def grow(tmp_path, *callbacks):
    L.seed_everything(1, verbose=False)
    model = TinyModel(scheduler=lambda o, _: torch.optim.lr_scheduler.StepLR(o, 1, 0.98))
    trainer = make_trainer(tmp_path, callbacks, reload_dataloaders_every_n_epochs=1)
    trainer.fit(model, Growing())
    return model


@pytest.mark.parametrize("rule", [Never(), AtEpoch(5)], ids=["never fires", "until the switch"])
def test_a_train_set_that_grows_by_itself_is_not_touched_before_the_switch(tmp_path, rule):
    plain = grow(tmp_path)
    ours = grow(tmp_path, CriticalPeriodCallback(rule=rule, recipe=Recipe(annealing_fraction=0)))
    epochs = range(6 if rule == Never() else 5)
    assert [ours.rates[epoch] for epoch in epochs] == [plain.rates[epoch] for epoch in epochs]
    assert [ours.drawn()[epoch] for epoch in epochs] == [plain.drawn()[epoch] for epoch in epochs]
    if rule == Never():
        assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), ours.parameters(), strict=True))


def test_after_the_switch_planned_is_what_the_users_own_loader_gives_in_that_epoch(tmp_path):
    """Truth: 4, 6, 8, ... planned batches an epoch; the rate at an epoch's end is that after so many steps."""
    recipe = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0)
    model = grow(tmp_path, CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe))
    assert [len(model.rates[epoch]) for epoch in range(6)] == [4, 6, 4, 5, 6, 7]
    planned = [sum(range(4, 4 + 2 * epoch + 1, 2)) for epoch in range(6)]
    assert [model.rates[epoch][-1] for epoch in range(6)] == pytest.approx([0.05 * 0.98**steps for steps in planned])


class StepsByNumber:
    """A scheduler of timm's kind: it is told the number of the step."""

    def __init__(self, optimizer, total):
        self.optimizer, self.total = optimizer, total

    def step_update(self, number):
        self.optimizer.param_groups[0]["lr"] = 0.1 * max(0.0, 1 - number / self.total)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Timm(TinyModel):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = StepsByNumber(optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def lr_scheduler_step(self, scheduler, metric):
        scheduler.step_update(self.global_step)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("annealing", [0.0, 0.3])
def test_a_scheduler_that_is_stepped_by_global_step_ends_every_epoch_where_planned(tmp_path, accumulate, annealing):
    L.seed_everything(1, verbose=False)
    model, recipe = Timm(), Recipe(after=Volume(pruning_ratio=0.4), annealing_fraction=annealing)
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe)
    trainer = make_trainer(tmp_path, [callback], accumulate_grad_batches=accumulate)
    trainer.fit(model, DataLoader(Numbered(80), batch_size=8), DataLoader(Numbered(8), batch_size=8))
    steps = -(-10 // accumulate)
    rates = [model.rates[epoch][-1] for epoch in range(6)]
    assert rates == pytest.approx([0.1 * (1 - (epoch + 1) / 6) for epoch in range(6)], abs=1e-12)
    assert trainer.global_step < 6 * steps
