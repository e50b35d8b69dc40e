"""LR on the clock of the planned epochs. Truth: a loop over the planned batches that steps as Lightning would."""

import itertools
import random

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyModel, make_trainer
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.changes.lr_clock import due

EPOCHS = 6
RECIPES = {
    "shrinks": Recipe(Volume(3), Volume(0.25), annealing_fraction=0.25),
    "grows": Recipe(Volume(), Volume(3), annealing_fraction=0.25),
}
PLANNED = {"shrinks": 25, "grows": 9}  # batches of four of 99 and of 33 samples


def warm_up_then_cosine(optimizer, total):
    warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=total // 4)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - total // 4)
    return lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], milestones=[total // 4])


SCHEDULERS = {
    "OneCycle": lambda o, total: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=total + 1),
    "cosine": lambda o, total: lr_scheduler.CosineAnnealingLR(o, T_max=total),
    "LambdaLR": lambda o, total: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "warm-up, then cosine": warm_up_then_cosine,
    "polynomial": lambda o, total: lr_scheduler.PolynomialLR(o, total_iters=total, power=2),
    "cyclic": lambda o, total: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=7, cycle_momentum=False),
    "chained": lambda o, total: lr_scheduler.ChainedScheduler([
        lr_scheduler.ConstantLR(o, factor=0.5, total_iters=total // 3),
        lr_scheduler.ExponentialLR(o, gamma=0.99),
    ]),
}

pytestmark = pytest.mark.filterwarnings("ignore:.*`OneCycleLR` scheduler is using .interval.*")


def rates_of(scheduler, planned, interval="step", frequency=1, accumulate=1, epochs=EPOCHS):
    """LR after every planned batch of every epoch, one list an epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05, momentum=0.9)
    schedule = scheduler(optimizer, -(-planned // accumulate) * epochs)
    optimizer.step()
    rates = []
    for epoch in range(1, epochs + 1):
        rates.append([])
        for batch in range(1, planned + 1):
            stepped = batch % accumulate == 0 or batch == planned
            if interval == "step" and stepped and batch % frequency == 0:
                schedule.step()
            if interval == "epoch" and batch == planned and epoch % frequency == 0:
                schedule.step()
            rates[-1].append(optimizer.param_groups[0]["lr"])
    return rates


def last(rates):
    return [epoch[-1] for epoch in rates]


def train(tmp_path, model, recipe=None, n=33, callbacks=(), **arguments):
    L.seed_everything(1, verbose=False)
    ours = [CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe)] if recipe else []
    trainer = make_trainer(tmp_path, [*ours, *callbacks], max_epochs=EPOCHS, **arguments)
    trainer.fit(model, *(DataLoader(Numbered(size), batch_size=4) for size in (n, 4)))
    return list(model.rates.values())


def close(rates, truth):
    assert rates == pytest.approx(truth, rel=0, abs=1e-12)


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("frequency", [1, 3, 5])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_step_wise_schedulers_end_every_epoch_as_planned(tmp_path, case, accumulate, frequency, name):
    model = TinyModel(scheduler=SCHEDULERS[name], frequency=frequency)
    rates = train(tmp_path, model, RECIPES[case], accumulate_grad_batches=accumulate)
    assert len({len(epoch) for epoch in rates}) == 2
    truth = rates_of(SCHEDULERS[name], PLANNED[case], frequency=frequency, accumulate=accumulate)
    close(last(rates), last(truth))


@pytest.mark.parametrize("case", RECIPES)
@pytest.mark.parametrize("frequency", [1, 3])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_epoch_wise_schedulers_are_lightnings_own_business(tmp_path, case, frequency, name):
    model = TinyModel(scheduler=SCHEDULERS[name], interval="epoch", frequency=frequency)
    rates = train(tmp_path, model, RECIPES[case])
    truth = rates_of(SCHEDULERS[name], PLANNED[case], "epoch", frequency)
    close(last(rates), last(truth))


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("frequency", [1, 3, 5])
def test_the_truth_of_these_tests_is_what_lightning_does(tmp_path, accumulate, frequency):
    for interval in ("step", "epoch"):
        scheduler = SCHEDULERS["OneCycle"]
        model = TinyModel(scheduler=scheduler, interval=interval, frequency=frequency)
        rates = train(tmp_path, model, n=99, accumulate_grad_batches=accumulate)
        close(
            list(itertools.chain(*rates)),
            list(itertools.chain(*rates_of(scheduler, 25, interval, frequency, accumulate))),
        )


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize(("during", "after"), [(4, 1), (1, 4)])
def test_at_every_fraction_of_an_epoch_the_rate_is_that_of_the_planned_one(tmp_path, name, during, after):
    """Batch b of 8 stands where batch 4 b of 32 would, and the other way round."""
    model = TinyModel(scheduler=SCHEDULERS[name])
    rates = train(tmp_path, model, Recipe(Volume(during), Volume(after), 0), n=32)
    truth = rates_of(SCHEDULERS[name], 8 * during)
    assert len(rates[3]) == 8 * after
    if during > after:
        close(rates[3], truth[3][3::4])
    else:
        close(rates[3][3::4], truth[3])


class SeveralSchedulers(TinyModel):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)
        every_step = lr_scheduler.MultiplicativeLR(optimizer, lambda _: 0.99)
        every_third = lr_scheduler.MultiplicativeLR(optimizer, lambda _: 1.02)
        every_epoch = lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
        return [optimizer], [
            {"scheduler": every_step, "interval": "step"},
            {"scheduler": every_third, "interval": "step", "frequency": 3},
            {"scheduler": every_epoch, "interval": "epoch"},
        ]


class StepAndEpoch(TinyModel):
    """The step-wise one sets the rate, the epoch-wise one multiplies what it finds: their order matters."""

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        every_step = lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        every_epoch = lr_scheduler.MultiplicativeLR(optimizer, lambda _: 0.5)
        return [optimizer], [
            {"scheduler": every_step, "interval": "step"},
            {"scheduler": every_epoch, "interval": "epoch"},
        ]


@pytest.mark.parametrize("case", RECIPES)
def test_a_shrunk_epoch_steps_the_step_wise_scheduler_before_the_epoch_wise_one_as_lightning_does(tmp_path, case):
    rates = train(tmp_path, StepAndEpoch(), RECIPES[case])
    steps = [PLANNED[case] * (epoch + 1) for epoch in range(EPOCHS)]
    close(last(rates), [0.05 / (1 + n) * 0.5 for n in steps])


@pytest.mark.parametrize("case", RECIPES)
def test_several_schedulers_at_once(tmp_path, case):
    rates = train(tmp_path, SeveralSchedulers(), RECIPES[case])
    n = PLANNED[case]
    close(last(rates), [0.05 * (0.99**n * 1.02 ** (n // 3) * 0.9) ** (epoch + 1) for epoch in range(EPOCHS)])


class TwoGroups(TinyModel):
    def configure_optimizers(self):
        groups = [
            {"params": self.net[0].parameters(), "lr": 0.1},
            {"params": self.net[2].parameters(), "lr": 0.2},
        ]
        optimizer = torch.optim.SGD(groups, momentum=0.9)
        schedule = lr_scheduler.LambdaLR(optimizer, [lambda s: 1 / (1 + s), lambda s: 0.9**s])
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def on_train_batch_end(self, *_):
        rates = tuple(group["lr"] for group in self.optimizers().param_groups)
        self.rates.setdefault(self.current_epoch, []).append(rates)


@pytest.mark.parametrize("case", RECIPES)
def test_parameter_groups_with_rates_of_their_own(tmp_path, case):
    rates = last(train(tmp_path, TwoGroups(), RECIPES[case]))
    steps = [PLANNED[case] * (epoch + 1) for epoch in range(EPOCHS)]
    close([first for first, _ in rates], [0.1 / (1 + s) for s in steps])
    close([second for _, second in rates], [0.2 * 0.9**s for s in steps])


class TwoByHand(TinyModel):
    """Manual optimization of two optimizers whose schedulers step by hand after every batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self):
        optimizers = [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in (self.net[0], self.net[2])]
        return optimizers, [lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)) for o in optimizers]

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        for optimizer, scheduler in zip(self.optimizers(), self.lr_schedulers(), strict=True):
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()

    def on_train_batch_end(self, *_):
        rates = {optimizer.param_groups[0]["lr"] for optimizer in self.optimizers()}
        self.rates.setdefault(self.current_epoch, []).extend(rates)


@pytest.mark.parametrize("case", RECIPES)
def test_schedulers_that_the_module_steps_by_hand_are_its_own_and_that_is_said(tmp_path, case, caplog):
    rates = train(tmp_path, TwoByHand(), RECIPES[case])
    batches = list(itertools.accumulate(len(epoch) for epoch in rates))
    close(last(rates), [0.05 / (1 + b) for b in batches])
    assert "LR schedulers are stepped by the module itself" in caplog.text


class OwnStep(TinyModel):
    """Steps at twice the pace, and counts."""

    calls = 0

    def lr_scheduler_step(self, scheduler, metric):
        self.calls += 1
        scheduler.step()
        scheduler.step()


@pytest.mark.parametrize("case", RECIPES)
def test_the_modules_own_lr_scheduler_step_is_what_steps(tmp_path, case):
    model = OwnStep(scheduler=SCHEDULERS["LambdaLR"])
    rates = train(tmp_path, model, RECIPES[case])
    assert model.calls == EPOCHS * PLANNED[case]
    close(last(rates), [0.05 / (1 + 2 * PLANNED[case] * (epoch + 1)) for epoch in range(EPOCHS)])
    assert "lr_scheduler_step" not in vars(model)


class PlateauEveryStep(TinyModel):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, mode="max")
        config = {"scheduler": schedule, "monitor": "constant", "interval": "step", "frequency": 2}
        return {"optimizer": optimizer, "lr_scheduler": config}

    def training_step(self, batch, batch_idx):
        self.log("constant", 1.0)
        return super().training_step(batch, batch_idx)


def test_a_plateau_scheduler_on_steps_answers_to_its_metric_and_not_to_a_clock(tmp_path):
    """It looks at every second batch: in epoch 0 twelve times, of which the first sets the mark."""
    rates = train(tmp_path, PlateauEveryStep(), RECIPES["shrinks"])
    assert rates[1][0] == pytest.approx(0.05 * 0.5**11)


def brute_force(batches, planned, frequency, accumulate):
    return sum(
        j % frequency == 0 and (j % accumulate == 0 or j == planned)
        for j in range(1, planned + 1)
        if j <= batches + 1e-9
    )


def test_due_counts_as_a_loop_over_the_planned_batches_does():
    rng = random.Random(0)
    for _ in range(3000):
        planned, frequency, accumulate = rng.randint(1, 60), rng.randint(1, 9), rng.randint(1, 9)
        n = rng.randint(1, 200)
        batches = rng.randint(0, n) * (planned / n)
        assert due(batches, planned, frequency, accumulate) == brute_force(batches, planned, frequency, accumulate)


def test_due_of_a_whole_epoch_does_not_depend_on_its_length():
    for planned, n in itertools.product(range(1, 80), repeat=2):
        assert due(n * (planned / n), planned, 1, 1) == planned
