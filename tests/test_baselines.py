"""The baselines that train in a way of their own."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from test_compare import BATCH, Blobs, N, TwoLayers
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from lightning_critperiod.models import ImageClassifier
from lightning_critperiod.studies.baselines import HeldRate, InfoBatch, RecordRates
from lightning_critperiod.studies.baselines.scores import Scores


def test_infobatch_leaves_out_half_of_the_samples_below_the_mean_and_makes_up_for_them():
    losses = torch.tensor([0.1, 0.2, 0.3, 0.4, 9.0, 9.5])  # mean 3.25: four are below
    scores = Scores(6, pruning_ratio=0.5, seed=1)
    scores.update(torch.arange(6), losses)
    kept = scores.select(epoch=1, pruned=True).tolist()
    assert {4, 5} <= set(kept)
    assert len(kept) == 4
    assert scores.weights.tolist() == [2, 2, 2, 2, 1, 1]


def test_infobatch_gives_the_full_gradient_on_average():
    losses = torch.rand(40, generator=torch.Generator().manual_seed(0)).double()
    scores = Scores(40, pruning_ratio=0.5, seed=3)
    scores.update(torch.arange(40), losses)
    sums = []
    for epoch in range(4000):
        kept = scores.select(epoch, pruned=True)
        sums.append((losses[kept] * scores.weights[kept]).sum().item())
    small = int((losses < losses.mean()).sum())
    # an odd number below the mean is halved downwards: one half of a sample more is kept
    excess = losses[losses < losses.mean()].sum().item() * (2 * (small - small // 2) / small - 1)
    error = np.std(sums) / math.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(losses.sum().item() + excess, abs=5 * error)


def test_infobatch_leaves_nothing_out_before_the_first_loss_and_in_the_last_part():
    scores = Scores(6, pruning_ratio=0.5, seed=1)
    assert scores.select(0, pruned=True).tolist() == list(range(6))
    scores.update(torch.tensor([2, 2]), torch.tensor([5.0, 0.5]))
    assert scores.scores.tolist() == [1, 1, 0.5, 1, 1, 1]
    assert scores.select(5, pruned=False).tolist() == list(range(6))
    assert scores.weights.tolist() == [1] * 6


def test_infobatch_passes_see_every_kept_sample_equally_often_but_for_the_last_pass():
    kept = torch.tensor([1, 3, 4])
    indices = Scores(6, 0.5, seed=1).passes(kept, 8, epoch=0).tolist()
    assert sorted(indices[:3]) == sorted(indices[3:6]) == [1, 3, 4]
    assert len(indices) == 8


def test_infobatch_without_pruning_is_ordinary_training(tmp_path, trainer_for):
    """r = 0 and one pass an epoch: the plain gradient of every sample once; against a loop in plain torch."""

    torch.manual_seed(0)
    model = ImageClassifier(TwoLayers(), optimizer=lambda p: torch.optim.SGD(p, lr=0.05))
    twin = TwoLayers()
    twin.load_state_dict(model.network.state_dict())
    seen = []
    model.network.register_forward_hook(lambda m, i, o: seen.append(i[0].clone()) if m.training else None)
    data = Blobs()
    trainer_for(InfoBatch(2 * N, pruning_ratio=0.0), max_epochs=2, limit_val_batches=0).fit(model, datamodule=data)
    points, labels = data.train_dataloader().dataset.tensors
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05)
    for batch in seen:
        chosen = labels[(batch[:, None] == points).all(2).int().argmax(1)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(twin(batch), chosen).backward()
        optimizer.step()
    assert torch.cat(seen).unique(dim=0).shape[0] == N
    assert len(seen) == 2 * N // BATCH
    for ours, theirs in zip(model.network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert "training_step" not in vars(model)
    assert data.augmentation_multiplier == 3


def test_infobatch_refuses_a_loader_that_draws_otherwise(trainer_for):

    dataset = Blobs().train_dataloader().dataset
    loader = DataLoader(dataset, sampler=WeightedRandomSampler(torch.ones(N), N))
    with pytest.raises(ValueError, match="each sample of its dataset once, got DataLoader with WeightedRandomSampler"):
        trainer_for(InfoBatch(N)).fit(ImageClassifier(TwoLayers()), loader, Blobs().val_dataloader())


def test_rates_are_noted_per_optimizer_step_when_gradients_accumulate(trainer_for):

    rates = RecordRates()
    trainer = trainer_for(rates, max_epochs=2, accumulate_grad_batches=3, limit_val_batches=0)
    trainer.fit(ImageClassifier(TwoLayers()), datamodule=Blobs(augmentation_multiplier=1))
    assert sum(steps for _, steps in rates.rates) == trainer.global_step == 6


SCHEDULES = {
    "cosine": partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=8),
    "one cycle": partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=99, div_factor=1.0),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=list(SCHEDULES))
def test_a_held_rate_is_the_peak_until_the_metric_stands_still(trainer_for, schedule):
    class Scripted(ImageClassifier):
        def validation_step(self, batch, batch_idx):
            self.log("score", float(min(self.current_epoch, 2)), batch_size=1)

    model = Scripted(TwoLayers(), partial(torch.optim.SGD, lr=0.1), schedule, "step")
    rates = RecordRates()
    trainer_for(HeldRate("score", "max", patience=1), rates, max_epochs=6).fit(model, Blobs(1.0))
    # Best after epoch 2; two worse ones are more than the patience.
    assert rates.rates == [([0.1], 5 * N // BATCH), ([pytest.approx(0.01)], N // BATCH)]
