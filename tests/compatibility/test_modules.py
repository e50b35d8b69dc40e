from dataclasses import replace

import pytest
import torch
from outside import RECIPES, Witness, assert_each_seen, assert_run, callback, epochs_of, loaders, rates_of, run

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, GrowingLength

CASES = pytest.mark.parametrize("case", ["shrinks", "grows"])


class TwoOptimizers(Witness):
    """Manual optimization, each optimizer every other batch, LR stepped by hand once an epoch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self):
        optimizers = [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in (self.net[0], self.net[2])]
        return optimizers, [torch.optim.lr_scheduler.StepLR(o, 1, gamma=0.5) for o in optimizers]

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        optimizer = self.optimizers()[batch_idx % 2]
        self.toggle_optimizer(optimizer)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def on_train_batch_end(self, *_):
        rates = [o.param_groups[0]["lr"] for o in self.optimizers()]
        assert rates[0] == rates[1]
        self.rates.setdefault(self.current_epoch, []).append(rates[0])

    def on_train_epoch_end(self):
        for scheduler in self.lr_schedulers():
            scheduler.step()


@CASES
def test_manual_optimization_with_two_optimizers(tmp_path, case):
    model = TwoOptimizers()
    trainer = run(tmp_path, case, model, loaders())
    batches = epochs_of(case)
    assert_run(model, batches, rates=[0.05 * 0.5**e for e in range(6)])
    assert_each_seen(model, case)
    assert trainer.global_step == sum(batches)


@CASES
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("whole", [True, False], ids=["the module", "its network"])
def test_a_compiled_model(tmp_path, case, whole):
    model = Witness()
    if whole:
        compiled = torch.compile(model, backend="eager")
    else:
        compiled, model.net = model, torch.compile(model.net, backend="eager")
    run(tmp_path, case, compiled, loaders())
    assert_run(model, epochs_of(case))


@pytest.mark.slow
def test_a_model_compiled_to_machine_code(tmp_path):
    model = Witness()
    model.net = torch.compile(model.net)
    run(tmp_path, "shrinks", model, loaders())
    assert_run(model, epochs_of("shrinks"))


class SkipsBatches(Witness):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return None if batch_idx % 2 else loss


@CASES
@pytest.mark.filterwarnings("ignore:.*returned `None`.*")
def test_a_training_step_that_returns_none(tmp_path, case):
    model = SkipsBatches()
    run(tmp_path, case, model, loaders())
    assert model.batches == epochs_of(case)


class EndsEpochs(Witness):
    def on_train_batch_start(self, batch, batch_idx):
        return -1 if batch_idx >= 1 else None


@CASES
def test_a_module_that_ends_its_epochs_early(tmp_path, case):
    model = EndsEpochs()
    run(tmp_path, case, model, loaders())
    assert model.batches == [1] * 6


class Takes(Witness):
    """Takes its batches by itself."""

    def training_step(self, dataloader_iter):
        batch, _, _ = next(dataloader_iter)
        self.samples.setdefault(self.current_epoch, []).append(batch[0].tolist())
        return self.loss(batch)


@CASES
@pytest.mark.filterwarnings("ignore:.*dataloader_iter.*")
def test_a_training_step_that_takes_the_iterator(tmp_path, case):
    model = Takes()
    run(tmp_path, case, model, loaders())
    assert model.batches == epochs_of(case)
    assert_each_seen(model, case)


@CASES
def test_lr_policy_unchanged(tmp_path, case):
    model = Witness()
    run(tmp_path, case, model, loaders(), own=callback(case, lr_policy="unchanged"))
    batches = epochs_of(case)
    assert_run(model, batches, rates=[0.05 / (1 + sum(batches[: e + 1])) for e in range(6)])


@CASES
def test_a_closure_of_lbfgs(tmp_path, case):
    class Quasi(Witness):
        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=0.05, max_iter=1)

    model = Quasi()
    run(tmp_path, case, model, loaders())
    assert model.batches == epochs_of(case)


class Reads(Witness):
    """Its features are a sequence of four positions, or as many as there are."""

    def __init__(self):
        super().__init__()
        self.lengths = {}

    def loss(self, batch):
        numbers, features, targets = batch
        if self.training:
            self.lengths.setdefault(self.current_epoch, set()).add(features.shape[1])
        return super().loss((numbers, torch.nn.functional.pad(features, (0, 4 - features.shape[1])), targets))


@CASES
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "arguments",
    [{}, {"accumulate_grad_batches": 3}, {"precision": "bf16-mixed"}],
    ids=["nothing special", "accumulation", "precision bf16-mixed"],
)
def test_sequences_that_grow(tmp_path, case, arguments):
    model = Reads()
    own = CriticalPeriodCallback(
        rule=AtEpoch(2), recipe=replace(RECIPES[case], changes=[GrowingLength([1, 2], keys=[1])])
    )
    run(tmp_path, case, model, loaders(), own=own, **arguments)
    assert_run(model, epochs_of(case), rates=rates_of(epochs_of(case), arguments.get("accumulate_grad_batches", 1)))
    assert_each_seen(model, case)
    assert list(model.lengths.values()) == [{1}, {1}, {2}, {2}, {4}, {4}]
