"""What a run must have done, computed slowly from its settings alone, and a witness that says what it did."""

import math
from collections import Counter

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyModel, make_trainer
from torch.utils.data import DataLoader

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume

EPOCHS = 6
SINCE_2_6 = pytest.mark.skipif(tuple(map(int, L.__version__.split(".")[:2])) < (2, 6), reason="came with Lightning 2.6")
RECIPES = {
    "shrinks": Recipe(Volume(3), Volume(0.25), annealing_fraction=0.25),
    "grows": Recipe(Volume(), Volume(3), annealing_fraction=0.25),
}
# Over after epoch 1; the last quarter of the four epochs that are left is annealing.
MULTIPLIERS = {"shrinks": [3, 3, 0.25, 0.25, 0.25, 3], "grows": [1, 1, 3, 3, 3, 1]}


def callback(case, **arguments):
    return CriticalPeriodCallback(rule=AtEpoch(2), recipe=RECIPES[case], **arguments)


def batches_of(samples, batch_size=4, drop_last=False, limit=1.0):
    """Batches of an epoch of so many samples, counted one sample at a time."""
    batches, filled = 0, 0
    for _ in range(samples):
        filled += 1
        if filled == batch_size:
            batches, filled = batches + 1, 0
    batches += filled > 0 and not drop_last
    return min(batches, limit) if isinstance(limit, int) else max(1, int(batches * limit))


def epochs_of(case, n=33, **loader):
    """Batches of every epoch, for a loader of ``n`` samples."""
    return [batches_of(round(k * n), **loader) for k in MULTIPLIERS[case]]


def validations_of(batches, val_check_interval=1.0, check_val_every_n_epoch=1):
    """(epoch, batches of it that are done) of every validation."""
    seen, total = [], 0
    for epoch, n in enumerate(batches):
        every = val_check_interval
        if isinstance(every, float):
            every = max(1, int(n * every))
        elif check_val_every_n_epoch is not None:
            every = min(every, n)
        for batch in range(1, n + 1):
            total += 1
            if check_val_every_n_epoch is None:
                due = total % every == 0
            else:
                due = (epoch + 1) % check_val_every_n_epoch == 0 and batch % every == 0
            if due:
                seen.append((epoch, batch))
    return seen


def rates_of(batches, accumulate=1, lr=0.05):
    """LR at the end of every epoch of a run whose epochs are all as long as the first one: lr / (1 + steps)."""
    steps = math.ceil(batches[0] / accumulate)
    return [lr / (1 + (epoch + 1) * steps) for epoch in range(len(batches))]


def hyperbola(optimizer, total_steps):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


class Witness(TinyModel):
    """Records samples, validations, LR and totals of every epoch; its LR is the hyperbola of ``rates_of``."""

    def __init__(self, scheduler=hyperbola, **kwargs):
        torch.manual_seed(0)
        super().__init__(scheduler=scheduler, **kwargs)

    def on_validation_end(self):
        if not self.trainer.sanity_checking:
            self.validations.append((self.current_epoch, len(self.samples.get(self.current_epoch, []))))

    @property
    def batches(self):
        return [len(self.samples[epoch]) for epoch in sorted(self.samples)]

    @property
    def last_rates(self):
        return [self.rates[epoch][-1] for epoch in sorted(self.rates)]


def loaders(n=33, batch_size=4, validate=True, **loader):
    train = DataLoader(Numbered(n), **{"batch_size": batch_size, "shuffle": "sampler" not in loader, **loader})
    return {
        "train_dataloaders": train,
        "val_dataloaders": DataLoader(Numbered(8), batch_size=4) if validate else None,
    }


def run(tmp_path, case, model, data, *callbacks, own=None, **arguments):
    """One fit with our callback."""
    L.seed_everything(1, verbose=False)
    trainer = make_trainer(tmp_path, [own or callback(case), *callbacks], max_epochs=EPOCHS, **arguments)
    trainer.fit(model, **data)
    return trainer


def assert_run(model, batches, validations=None, rates=None, samples=None):
    """The run did what it must have done."""
    assert model.batches == batches
    assert list(model.totals.values()) == batches
    assert model.validations == (validations_of(batches) if validations is None else validations)
    assert torch.allclose(
        torch.tensor(model.last_rates, dtype=torch.float64),
        torch.tensor(rates_of(batches) if rates is None else rates, dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )
    if samples is not None:
        assert [len(numbers) for numbers in model.drawn().values()] == samples


def assert_each_seen(model, case, n=33):
    """Each kept sample is seen k times."""
    for k, numbers in zip(MULTIPLIERS[case], model.drawn().values(), strict=True):
        assert len(numbers) == round(k * n)
        assert set(Counter(numbers).values()) == {max(1, int(k))}
        assert set(numbers) <= set(range(n))
