"""Gradient confusion and predictiveness, against autograd one batch at a time and numpy in float64."""

import copy
import math
import random
import threading

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from test_signals import Forward, Net, fit, loader, resumes, trainer
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from lightning_critperiod.signals import GradientConfusion, GradientPredictiveness, gradient_cosines

BOTH = pytest.mark.parametrize("kind", [GradientConfusion, GradientPredictiveness])


def cosines(gradients):
    rows = np.asarray(gradients, dtype=np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


# ---------------------------------------------------------------------------------------------- gradient_cosines


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("d", [3, 1000, 100_001])
def test_cosines_are_those_of_every_pair(d, dtype):
    generator = torch.Generator().manual_seed(d)
    gradients = (torch.randn(7, d, generator=generator) + torch.randn(d, generator=generator)).to(dtype)

    measured = gradient_cosines(gradients)

    assert measured.dtype == torch.float64
    np.testing.assert_allclose(measured, cosines(gradients.double()), atol=5e-6)


@pytest.mark.parametrize("m", [8, 60])
def test_cosines_of_float64_gradients_are_exact_to_1e_12(m):
    generator = torch.Generator().manual_seed(m)
    gradients = torch.randn(m, 20_001, generator=generator, dtype=torch.float64) + 0.3
    np.testing.assert_allclose(gradient_cosines(gradients), cosines(gradients), atol=1e-12)


def test_cosines_of_many_gradients_are_those_of_every_pair():
    gradients = torch.randn(60, 20_001, generator=torch.Generator().manual_seed(0)) + 0.3
    bad = gradients.clone()
    bad[1], bad[3, 2], bad[7] = 0, math.inf, bad[7] * 1e-30
    gradients[7] *= 1e-30
    fine = [i for i in range(60) if i not in {1, 3}]

    measured = gradient_cosines(bad)

    assert measured[[1, 3]].isnan().all()
    np.testing.assert_allclose(measured[fine][:, fine], cosines(gradients.double())[fine][:, fine], atol=5e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-42, 1e30])
def test_cosines_do_not_depend_on_the_size_of_the_gradients(scale):
    gradients = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    rounded = gradients.clone()
    rounded[1] *= scale

    np.testing.assert_allclose(gradient_cosines(rounded), cosines(rounded.double()), atol=1e-6)


def test_a_zero_or_infinite_gradient_has_no_cosine_and_spoils_no_other():
    gradients = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    gradients[1], gradients[3, 2] = 0, math.inf

    measured = gradient_cosines(gradients)

    assert measured[[1, 3]].isnan().all()
    assert measured[:, [1, 3]].isnan().all()
    np.testing.assert_allclose(measured[[0, 2]][:, [0, 2]], cosines(gradients[[0, 2]]), atol=1e-6)


def test_cosines_never_leave_their_range_and_the_argument_stays_as_it_is():
    gradients = torch.ones(40, 70_001) / 3 * torch.logspace(-5, 5, 40)[:, None]
    gradients[::2] *= -1
    before = gradients.clone()

    measured = gradient_cosines(gradients)

    assert measured.abs().max() <= 1
    assert measured[0, 1] == pytest.approx(-1, abs=5e-6)
    assert torch.equal(gradients, before)


def test_cosines_under_autocast_are_not_rounded_to_its_precision():
    gradients = torch.randn(5, 300, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        measured = gradient_cosines(gradients)
    np.testing.assert_allclose(measured, cosines(gradients), atol=1e-6)


def test_cosines_need_a_matrix():
    with pytest.raises(ValueError, match=r"matrix \[m, d\], got the shape \(3,\)"):
        gradient_cosines(torch.ones(3))


# ---------------------------------------------------------------------------------------------- the signals


class Truth(L.Callback):
    """Gradients by plain autograd, one batch at a time, on a copy of the network at the end of every epoch."""

    def __init__(self, batches, loss):
        self.batches, self.loss, self.epochs = batches, loss, []

    def on_train_epoch_end(self, trainer, pl_module):
        net = copy.deepcopy(nn.ModuleDict(dict(pl_module.named_children())))
        self.epochs.append([self.gradient(net, batch) for batch in self.batches])

    def gradient(self, net, batch):
        net.zero_grad()
        self.loss(net, batch).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.dim() > 1]).double().numpy()


def plain_loss(net, batch):
    x, y = batch
    return nn.functional.cross_entropy(net["second"](torch.relu(net["norm"](net["first"](x)))), y)


def test_gradient_confusion_is_the_largest_cosine_of_two_probe_batches():
    signal, truth = GradientConfusion(probe_batches=3), Truth(list(loader())[:3], plain_loss)
    forward = Forward(signal)
    trainer(forward, truth).fit(Net(), loader())

    for epoch, gradients in enumerate(truth.epochs):
        pairs = cosines(gradients)[np.triu_indices(3, 1)]
        assert forward.values[epoch] == pytest.approx(pairs.max(), abs=1e-6)
    assert signal.last == pytest.approx({"max": pairs.max(), "mean": pairs.mean(), "min": pairs.min()}, abs=1e-6)


def test_gradient_predictiveness_is_the_mean_cosine_of_a_batch_with_itself_an_epoch_before():
    forward, truth = Forward(GradientPredictiveness(probe_batches=3)), Truth(list(loader())[:3], plain_loss)
    trainer(forward, truth).fit(Net(), loader())

    assert forward.values[0] is None
    for epoch in (1, 2):
        pairs = zip(truth.epochs[epoch - 1], truth.epochs[epoch], strict=True)
        assert forward.values[epoch] == pytest.approx(np.mean([cosines(pair)[0, 1] for pair in pairs]), abs=1e-6)


def test_measuring_every_second_epoch_compares_with_the_measurement_before():
    truth = Truth(list(loader())[:2], plain_loss)
    forward = Forward(GradientPredictiveness(probe_batches=2, every_n_epochs=2))
    trainer(forward, truth, max_epochs=4).fit(Net(), loader())

    pairs = zip(truth.epochs[1], truth.epochs[3], strict=True)
    expected = np.mean([cosines(pair)[0, 1] for pair in pairs])
    assert forward.values == {0: None, 1: None, 2: None, 3: pytest.approx(expected, abs=1e-6)}


def test_an_epoch_with_fewer_batches_is_measured_on_those_it_has():
    signal = GradientConfusion(probe_batches=50)
    fit(signal)
    assert len(signal.state_dict()["batches"]) == len(loader()) == 4


@pytest.mark.parametrize(("batches", "probes"), [(3, 2), (250, 2), (399, 3), (900, 8)])
@BOTH
def test_by_default_one_percent_of_the_first_epochs_batches_are_probed_from_2_to_8(kind, batches, probes):
    signal = kind()
    data = DataLoader(TensorDataset(torch.randn(batches, 4), torch.arange(batches) % 2))
    trainer(Forward(signal), max_epochs=1).fit(Small(), data)
    assert len(signal.state_dict()["batches"]) == probes


def test_by_default_8_batches_are_probed_where_the_length_of_an_epoch_is_unknown():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(TensorDataset(torch.randn(20, 4), torch.arange(20) % 2))

    signal = GradientConfusion()
    trainer(Forward(signal), max_epochs=1).fit(Small(), DataLoader(Stream()))
    assert len(signal.state_dict()["batches"]) == 8


class Small(L.LightningModule):
    """The cheapest network that has a gradient."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def test_probe_batches_are_the_first_ones_as_they_came():
    signal = GradientConfusion(probe_batches=2)
    x = torch.randn(32, 4)
    y = (x.sum(1) > 0).long()
    fit(signal, data=DataLoader(TensorDataset(x, y), batch_size=8))

    for number, batch in enumerate(signal.state_dict()["batches"]):
        part = slice(8 * number, 8 * number + 8)
        assert torch.equal(batch[0], x[part])
        assert torch.equal(batch[1], y[part])


class Messy(L.LightningModule):
    """Everything that a measurement could leave a trace on."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten())
        self.head = nn.Linear(4 * 36, 2)
        self.accuracy = MulticlassAccuracy(2)
        self.register_buffer("centre", torch.zeros(2))
        self.steps, self.outputs, self.noise = 0, [], []

    def training_step(self, batch, batch_idx):
        x, y = batch
        x = x + 0.01 * random.random() + 0.01 * float(np.random.rand())
        logits = self.head(self.net(x))
        self.centre = 0.9 * self.centre + 0.1 * logits.detach().mean(0)
        self.steps += 1
        loss = nn.functional.cross_entropy(logits - self.centre, y)
        self.outputs.append(loss)  # with its graph, as modules do that average by hand
        self.accuracy(logits, y)
        self.log_dict({"loss": loss, "accuracy": self.accuracy}, on_step=True, on_epoch=True)
        self.logger.log_metrics({"by_hand": loss.item()}, step=self.steps)
        return {"loss": loss}

    def on_train_epoch_end(self):
        self.outputs.clear()
        self.noise.append((torch.rand(1).item(), random.random(), float(np.random.rand())))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def images(n=32):
    generator = torch.Generator().manual_seed(n)
    return DataLoader(
        TensorDataset(torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 2), batch_size=8, shuffle=True
    )


def messy_run(path, *callbacks, **arguments):
    L.seed_everything(5)
    logger = CSVLogger(path)
    model = Messy()
    trainer(*callbacks, logger=logger, log_every_n_steps=1, max_epochs=2, **arguments).fit(model, images())
    rows = (path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
    return model, rows


@pytest.mark.parametrize("arguments", [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}], ids=str)
@BOTH
def test_measuring_leaves_no_trace_on_weights_statistics_metrics_logs_and_generators(tmp_path, kind, arguments):
    alone, alone_rows = messy_run(tmp_path / "alone", **arguments)
    measured, measured_rows = messy_run(tmp_path / "measured", Forward(signal := kind(3)), **arguments)

    assert len(signal.state_dict()["batches"]) == 3
    assert all(
        torch.equal(a, b) for a, b in zip(alone.state_dict().values(), measured.state_dict().values(), strict=True)
    )
    assert measured.noise == alone.noise
    assert measured.steps == alone.steps
    assert measured_rows == alone_rows


@BOTH
def test_gradients_hooks_and_modes_are_those_of_before(kind):
    class Watch(Forward):
        def on_train_epoch_end(self, trainer, pl_module):
            pl_module.net[1].eval()
            before = self.look(pl_module)
            super().on_train_epoch_end(trainer, pl_module)
            after = self.look(pl_module)
            assert all(a is b for a, b in zip(before[0], after[0], strict=True))
            assert before[1:] == after[1:]

        @staticmethod
        def look(module):
            parameters = list(module.parameters())
            hooks = [len(m._forward_hooks) + len(m._backward_hooks) for m in module.modules()]
            values = [p.grad.tolist() for p in parameters]
            return [p.grad for p in parameters], values, hooks, [m.training for m in module.modules()]

    model = Messy()
    model.net[0].register_forward_hook(lambda module, inputs, output: output)
    watch = Watch(kind(2))
    trainer(watch, max_epochs=1).fit(Plain(model), images())
    assert list(watch.values) == [0]


class Plain(L.LightningModule):
    """The network of Messy and nothing around it."""

    def __init__(self, messy):
        super().__init__()
        self.net, self.head = messy.net, messy.head

    def training_step(self, batch):
        return nn.functional.cross_entropy(self.head(self.net(batch[0])), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def test_noise_in_the_training_step_is_the_same_at_every_measurement():
    class Noisy(Net):
        def training_step(self, batch, batch_idx):
            x = batch[0] + torch.randn_like(batch[0]) * random.random() * float(np.random.rand())
            return super().training_step([nn.functional.dropout(x), batch[1]], batch_idx)

    class Twice(Forward):
        def on_train_epoch_end(self, trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)
            torch.rand(3)
            assert self.signal.measure(trainer, pl_module) == self.values[trainer.current_epoch]

    twice = Twice(GradientConfusion(3))
    trainer(twice, max_epochs=2).fit(Noisy(), loader())
    assert len(twice.values) == 2


def test_batch_norm_uses_its_running_statistics_and_dropout_is_off():
    def loss(net, batch):
        return nn.functional.cross_entropy(net.eval()["head"](net["net"](batch[0])), batch[1])

    forward, data = Forward(GradientConfusion(2)), DataLoader(images().dataset, batch_size=8)
    truth = Truth(list(data)[:2], loss)
    trainer(forward, truth, max_epochs=1).fit(model := Plain(Messy()), data)

    assert forward.values[0] == pytest.approx(cosines(truth.epochs[0])[0, 1], abs=1e-6)
    assert all(module.training for module in model.modules())


@resumes
@BOTH
@pytest.mark.parametrize("epochs_before", [1, 2])
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(tmp_path, kind, epochs_before):
    def model():
        torch.manual_seed(2)
        return Net()

    whole = fit(kind(3), model(), max_epochs=4)
    checkpoint = ModelCheckpoint(tmp_path)
    trainer(Forward(kind(3)), checkpoint, max_epochs=epochs_before).fit(model(), loader())
    resumed = Forward(kind(3))
    trainer(resumed, max_epochs=4).fit(Net(), loader(), ckpt_path=checkpoint.best_model_path, weights_only=True)

    assert resumed.values == whole
    assert len(whole) == 4


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
def test_a_batch_that_training_skips_is_left_out():
    class Skips(Net):
        def training_step(self, batch, batch_idx):
            return None if batch_idx == 1 else super().training_step(batch, batch_idx)

    forward, truth = Forward(GradientConfusion(3)), Truth(list(loader())[:3], plain_loss)
    trainer(forward, truth, max_epochs=1).fit(Skips(), loader())

    assert forward.values[0] == pytest.approx(cosines(truth.epochs[0])[0, 2], abs=1e-6)


def test_a_compiled_module_is_measured_as_the_plain_one_is():
    def value(wrap):
        torch.manual_seed(1)
        forward = Forward(GradientConfusion(2))
        trainer(forward, max_epochs=1).fit(wrap(Net()), loader())
        return forward.values[0]

    compiled = value(lambda module: torch.compile(module, backend="eager"))
    assert compiled == pytest.approx(value(lambda module: module), abs=1e-6)


# ---------------------------------------------------------------------------------------------- refusals


def refused(model, data=None, kind=GradientConfusion, error=ValueError, match=""):
    steps = []
    step = type(model).training_step
    counted = type("Counted", (type(model),), {"training_step": lambda self, *a: (steps.append(1), step(self, *a))[1]})
    model.__class__ = counted
    with pytest.raises(error, match=match):
        fit(kind(), model, data)
    assert steps == []


@BOTH
def test_manual_optimization_is_refused_before_training(kind):
    model = Net()
    model.automatic_optimization = False
    refused(model, kind=kind, match=f"{kind.__name__} needs automatic optimization")


@BOTH
def test_a_model_without_a_trainable_kernel_is_refused_before_training(kind):
    model = Net()
    for layer in (model.first, model.second):
        layer.weight.requires_grad_(False)
    refused(model, kind=kind, match="needs a trainable parameter of two or more dimensions")


@BOTH
def test_a_module_that_cannot_be_copied_is_refused_before_training(kind):
    model = Net()
    model.lock = threading.Lock()
    refused(model, kind=kind, match=r"needs a module that copy.deepcopy can copy")


def test_a_single_batch_in_an_epoch_has_no_pair():
    refused(Net(), loader(8), match="GradientConfusion needs 2 batches in an epoch, got 1")


@BOTH
def test_batches_that_no_checkpoint_can_hold_are_refused_before_the_first_step(kind):
    data = DataLoader(loader().dataset, batch_size=8, collate_fn=lambda samples: {"samples": {1, 2}})
    with pytest.raises(TypeError, match=r"probe batches must be tensors, numbers and strings .* got set"):
        fit(kind(), data=data)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"probe_batches": 1}, ValueError, "probe_batches must be an int from 2 up, got 1"),
        ({"probe_batches": 2.5}, TypeError, "probe_batches must be an int from 2 up, got 2.5"),
        ({"probe_batches": True}, TypeError, "probe_batches must be an int from 2 up, got True"),
        ({"every_n_epochs": 0}, ValueError, "every_n_epochs must be an int from 1 up, got 0"),
        ({"every_n_epochs": "2"}, TypeError, "every_n_epochs must be an int from 1 up, got '2'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        GradientConfusion(**arguments)


def test_predictiveness_needs_only_one_batch():
    values = fit(GradientPredictiveness(probe_batches=1), data=loader(8))
    assert [values[0] is None, -1 <= values[1] <= 1] == [True, True]
