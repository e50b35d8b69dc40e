"""Gradient confusion on training's own gradients, against a training loop by hand and numpy in float64."""

import copy
import json
import math

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from test_gradient_signals import cosines, messy_run
from test_signals import Forward, Net, loader, trainer
from torch import nn
from torch.distributed import HashStore, destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset

from lightning_critperiod import CriticalPeriodCallback, GradientConfusion, LowOutlier, TrainingGradientConfusion


class Watch(Forward):
    """Hands the optimizer steps on, too; keeps a copy of every step's gradient and how many the signal holds then."""

    def __init__(self, signal):
        super().__init__(signal)
        self.epochs, self.held = {}, []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.signal.on_before_optimizer_step(trainer, pl_module, optimizer)
        gradients = [p.grad for p in pl_module.parameters() if p.dim() > 1]
        flat = [g.flatten().double() for g in gradients if g is not None]
        self.epochs.setdefault(trainer.current_epoch, []).append(torch.cat(flat).numpy() if flat else None)
        kept = self.signal.state_dict()["gradients"]
        self.held.append(0 if kept is None else len(kept))


def measured(steps, model=None, data=None, **arguments):
    watch = Watch(TrainingGradientConfusion(steps))
    trainer(watch, **arguments).fit(model or Net(), loader() if data is None else data)
    return watch


def pairs(gradients):
    return cosines(gradients)[np.triu_indices(len(gradients), 1)]


def by_hand(net, batches, epochs, accumulate):
    """Epoch -> gradients of its optimizer steps: SGD with momentum, written out."""
    weights = [p.detach().clone().requires_grad_() for p in net.parameters()]
    names = [name for name, _ in net.named_parameters()]
    velocity, steps = [torch.zeros_like(w) for w in weights], {}
    for epoch in range(epochs):
        steps[epoch] = []
        for first in range(0, len(batches), accumulate):
            part = batches[first : first + accumulate]
            total = 0
            for x, y in part:
                logits = torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (x.double(),))
                total = total + nn.functional.cross_entropy(logits, y) / accumulate
            gradients = torch.autograd.grad(total, weights)
            steps[epoch].append(np.concatenate([g.numpy().ravel() for g in gradients if g.dim() > 1]))
            for w, v, g in zip(weights, velocity, gradients, strict=True):
                v.mul_(0.9).add_(g)
                w.data.sub_(0.1 * v)
    return steps


@pytest.mark.parametrize(("steps", "batches", "accumulate"), [(3, 4, 1), (2, 5, 2), (8, 5, 2), (2, 7, 3)])
def test_the_value_is_the_largest_cosine_of_the_last_steps_of_a_training_loop_by_hand(steps, batches, accumulate):
    net, data = Net().double(), loader(8 * batches)
    truth = by_hand(net, list(data), 3, accumulate)

    watch = measured(steps, net, data, precision="64-true", accumulate_grad_batches=accumulate)

    for epoch, gradients in truth.items():
        expected = pairs(gradients[-steps:])
        assert watch.values[epoch] == pytest.approx(expected.max(), abs=1e-9)
    spread = {"max": expected.max(), "mean": expected.mean(), "min": expected.min()}
    assert watch.signal.last == pytest.approx(spread, abs=1e-9)


class Says(L.Callback):
    """Forked processes do not hand a callback's state back."""

    def __init__(self, folder):
        self.folder = folder

    def on_fit_end(self, trainer, pl_module):
        (watch,) = (callback for callback in trainer.callbacks if isinstance(callback, Watch))
        (self.folder / f"{trainer.global_rank}.json").write_text(json.dumps(watch.values))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_ranks_measure_the_gradients_of_their_steps_together(tmp_path, accumulate):
    """Each rank has every second sample: a batch of 8 is one of 4 on either."""

    class Ranked(Net):
        def train_dataloader(self):
            data = loader(64).dataset
            return DataLoader(data, batch_size=4, sampler=DistributedSampler(data, shuffle=False))

    net = Ranked().double()
    start = copy.deepcopy(net)
    both = {"precision": "64-true", "accumulate_grad_batches": accumulate}
    ranks = {"strategy": "ddp_fork", "devices": 2, "use_distributed_sampler": False}
    trainer(Watch(TrainingGradientConfusion(3)), Says(tmp_path), **both, **ranks).fit(net)

    alone = measured(3, start, loader(64, batch_size=8), **both)
    said = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert said[0] == said[1]
    assert list(said[0].values()) == pytest.approx(list(alone.values.values()), abs=1e-9)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_only_the_last_gradients_of_an_epoch_are_copied(accumulate):
    watch = measured(2, data=loader(64), max_epochs=2, accumulate_grad_batches=accumulate)
    steps = 8 // accumulate
    assert watch.held == 2 * ([0] * (steps - 2) + [1, 2])
    assert watch.signal.state_dict()["gradients"] is None


class Unsized(IterableDataset):
    def __iter__(self):
        return iter(loader(56).dataset)


def test_without_a_length_of_the_epoch_the_last_steps_are_those_that_came_last():
    watch = measured(3, data=DataLoader(Unsized(), batch_size=8))

    assert watch.held == 3 * [1, 2, 3, 3, 3, 3, 3]
    for epoch, gradients in watch.epochs.items():
        assert len(gradients) == 7
        assert watch.values[epoch] == pytest.approx(pairs(gradients[-3:]).max(), abs=1e-6)


def test_an_epoch_with_fewer_steps_is_measured_on_those_it_has():
    watch = measured(50)
    assert watch.values[2] == pytest.approx(pairs(watch.epochs[2]).max(), abs=1e-6)
    assert len(watch.epochs[2]) == 4


@pytest.mark.parametrize("arguments", [{"precision": "bf16-mixed"}, {"precision": "bf16-true"}], ids=str)
def test_reduced_precision_is_measured_on_the_gradients_as_they_are(arguments):
    class Casts(Net):
        def training_step(self, batch, batch_idx):
            return super().training_step([batch[0].to(self.dtype), batch[1]], batch_idx)

    watch = measured(3, Casts(), **arguments)
    assert watch.values[2] == pytest.approx(pairs(watch.epochs[2][-3:]).max(), abs=1e-6)


def test_a_scaled_loss_gives_the_same_value():
    class Scaled(Net):
        def training_step(self, batch, batch_idx):
            return 2.0**16 * super().training_step(batch, batch_idx)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1 / 2**16)

    class Plain(Net):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    scaled = measured(3, Scaled()).values
    torch.manual_seed(0)
    assert scaled == pytest.approx(measured(3, Plain()).values, abs=1e-6)


class Overflows(Net):
    """The gradients of the batches of ``which`` are infinite, as a scaler's can be; their step is left out."""

    which = (1,)

    def on_before_optimizer_step(self, optimizer):
        if not self.first.weight.grad.isfinite().all():
            optimizer.zero_grad()

    def on_after_backward(self):
        if self.trainer.fit_loop.batch_idx in self.which:
            self.first.weight.grad[0, 0] = math.inf


def test_a_gradient_that_is_not_finite_is_left_out():
    watch = measured(3, Overflows(), max_epochs=1)
    assert watch.values[0] == pytest.approx(cosines(watch.epochs[0][2:])[0, 1], abs=1e-6)


def test_without_two_finite_gradients_there_is_no_value():
    model = Overflows()
    model.which = (0, 1, 2)
    callback = CriticalPeriodCallback(TrainingGradientConfusion(3))
    trainer(callback, max_epochs=1).fit(model, loader())
    assert math.isnan(callback.history[0])
    assert callback.end_epoch is None


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
def test_a_batch_that_training_skips_is_left_out():
    class Skips(Net):
        def training_step(self, batch, batch_idx):
            return None if batch_idx == 2 else super().training_step(batch, batch_idx)

    watch = measured(3, Skips(), max_epochs=1)
    assert watch.values[0] == pytest.approx(pairs(watch.epochs[0][1::2]).max(), abs=1e-6)
    assert watch.epochs[0][2] is None


def test_a_branch_without_a_gradient_counts_as_zero():
    class Branches(Net):
        def __init__(self):
            super().__init__()
            self.sometimes = nn.Linear(4, 2)

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss + self.sometimes(batch[0]).square().mean() if batch_idx == 3 else loss

    watch = measured(2, Branches(), max_epochs=1)
    without, with_branch = watch.epochs[0][-2:]
    padded = np.concatenate([without, np.zeros(8)])
    assert len(padded) == len(with_branch)
    assert watch.values[0] == pytest.approx(cosines([padded, with_branch])[0, 1], abs=1e-6)


def test_a_layer_that_is_frozen_within_the_last_steps_takes_the_gradients_before_with_it():
    class Freezes(Net):
        def on_train_batch_end(self, *_):
            if self.trainer.fit_loop.batch_idx == 1:
                self.second.weight.requires_grad_(False)

    watch = measured(4, Freezes(), max_epochs=1)
    rows = [gradient[:32] for gradient in watch.epochs[0][2:]]
    assert watch.values[0] == pytest.approx(cosines(rows)[0, 1], abs=1e-6)


class Manual(Net):
    """Two steps on every batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for _ in range(2):
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(super().training_step(batch, batch_idx))
            optimizer.step()


def test_manual_optimization_is_measured_on_the_last_step_of_every_batch():
    watch = measured(3, Manual())
    for epoch, gradients in watch.epochs.items():
        assert len(gradients) == 8
        assert watch.values[epoch] == pytest.approx(pairs(gradients[1::2][-3:]).max(), abs=1e-6)


def test_an_optimizer_that_evaluates_a_batch_several_times_counts_it_once():
    class Evaluates(Net):
        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=3)

    watch = measured(3, Evaluates(), max_epochs=1)
    assert len(watch.epochs[0]) > 4
    assert watch.held[-1] == 3


@pytest.mark.parametrize("arguments", [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}], ids=str)
def test_keeping_gradients_leaves_no_trace(tmp_path, arguments):
    alone, alone_rows = messy_run(tmp_path / "alone", **arguments)
    kept, kept_rows = messy_run(tmp_path / "kept", watch := Watch(TrainingGradientConfusion(2)), **arguments)

    assert all(torch.equal(a, b) for a, b in zip(alone.state_dict().values(), kept.state_dict().values(), strict=True))
    assert kept.noise == alone.noise
    assert kept_rows == alone_rows
    assert max(watch.held) == 2


def test_a_resume_with_other_steps_measures_what_comes_after_it():
    signal = TrainingGradientConfusion(2)
    state = {"gradients": torch.ones(3, 5), "kept": 7, "batch": 6}
    signal.load_state_dict(state)
    assert signal.state_dict()["gradients"] is None
    longer = TrainingGradientConfusion(4)
    longer.load_state_dict({**state, "kept": 3})
    assert torch.equal(longer.state_dict()["gradients"], state["gradients"])


def test_its_own_rule_is_that_of_gradient_confusion():
    assert CriticalPeriodCallback(TrainingGradientConfusion()).rule == LowOutlier()


# ---------------------------------------------------------------------------------------------- refusals


def refused(model, match, data=None, **arguments):
    watch = Watch(TrainingGradientConfusion())
    with pytest.raises(ValueError, match=match):
        trainer(watch, **arguments).fit(model, data or loader())
    assert watch.epochs == {}


def test_two_optimizers_are_refused_before_training():
    class Two(Manual):
        def configure_optimizers(self):
            return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (self.first, self.second)]

    refused(Two(), r"TrainingGradientConfusion needs one optimizer, got 2; use another signal")


def test_an_epoch_of_one_step_is_refused_before_training():
    refused(Net(), "needs 2 optimizer steps in an epoch, got 1", loader(8))
    refused(Net(), "needs 2 optimizer steps in an epoch, got 1", accumulate_grad_batches=4)


def test_a_model_without_a_trainable_kernel_is_refused_before_training():
    model = Net()
    for layer in (model.first, model.second):
        layer.weight.requires_grad_(False)
    refused(model, "needs a trainable parameter of two or more dimensions")


def test_a_sharded_parameter_is_refused_before_training():
    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        model = Net()
        mesh = init_device_mesh("cpu", (1,))
        model.first.weight = nn.Parameter(distribute_tensor(model.first.weight.detach(), mesh))
        refused(model, "needs whole parameters, got sharded ones")
    finally:
        destroy_process_group()


@pytest.mark.parametrize("signal", [TrainingGradientConfusion, GradientConfusion])
def test_a_fast_dev_run_of_one_batch_has_no_value_and_is_no_error(signal):
    watch = Watch(signal()) if signal is TrainingGradientConfusion else Forward(signal())
    trainer(watch, fast_dev_run=True).fit(Net(), loader())
    assert watch.values == {0: None}


@pytest.mark.parametrize(
    ("steps", "error", "match"),
    [
        (1, ValueError, "steps must be a number from 2, got 1"),
        (2.5, TypeError, "steps must be a whole number, got 2.5"),
        (True, TypeError, "steps must be a number from 2, got True"),
    ],
)
def test_arguments_out_of_range_are_refused(steps, error, match):
    with pytest.raises(error, match=match):
        TrainingGradientConfusion(steps)
