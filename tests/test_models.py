"""The network against its paper, the classifier's schedule and numbers against slow computations."""

from functools import partial

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod.models import CifarResNet, ImageClassifier


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def published_parameters(depth, num_classes=10):
    """Weights of He et al. 2016, section 4.2, added up layer by layer: 3x3 convolutions, norms, one linear layer."""
    n = (depth - 2) // 6
    convolutions = [(3, 16), *[(16, 16)] * 2 * n, (16, 32), *[(32, 32)] * (2 * n - 1), (32, 64)]
    convolutions += [(64, 64)] * (2 * n - 1)
    return sum(9 * a * b + 2 * b for a, b in convolutions) + 64 * num_classes + num_classes


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.73"), (86, "1.34")]
)
def test_the_resnets_have_the_published_number_of_parameters(depth, millions):
    count = parameters(CifarResNet(depth))
    assert count == published_parameters(depth)
    assert f"{count / 1e6:.2f}" == millions


def test_depth_counts_the_layers_with_weights():
    kernels = [parameter for parameter in CifarResNet(32).parameters() if parameter.ndim > 1]
    assert len(kernels) == 32


@pytest.mark.parametrize("depth", [0, 2, 18, 21, -4, True, "20"])
def test_another_depth_is_refused(depth):
    with pytest.raises(ValueError, match=rf"depth must be 6 n \+ 2 .*, got {depth!r}"):
        CifarResNet(depth)


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_the_network_takes_images_of_any_size(size):
    logits = CifarResNet(8, num_classes=7, in_channels=1)(torch.rand(2, 1, size, size))
    assert logits.shape == (2, 7)


def test_a_block_of_zero_kernels_is_its_shortcut():
    """Every other pixel, the new channels zero: what option A says, and the only thing left of such a block."""
    block = CifarResNet(8).blocks[1]
    for convolution in (block.conv1, block.conv2):
        nn.init.zeros_(convolution.weight)
    images = torch.rand(2, 16, 7, 7)
    out = block.eval()(images)
    assert torch.equal(out[:, :16], images[:, :, ::2, ::2])
    assert torch.equal(out[:, 16:], torch.zeros(2, 16, 4, 4))


class Rates(L.Callback):
    """The learning rate of every optimizer step."""

    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def images(n, classes=3):
    generator = torch.Generator().manual_seed(n)
    return TensorDataset(
        torch.randn(n, 1, 4, 4, generator=generator), torch.randint(classes, (n,), generator=generator)
    )


def linear_classifier(**arguments):
    torch.manual_seed(0)
    return ImageClassifier(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), **arguments)


def fit(model, tmp_path, max_epochs=4, **arguments):
    rates = Rates()
    trainer = L.Trainer(
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[rates],
        **arguments,
    )
    trainer.fit(model, DataLoader(images(20), batch_size=8), DataLoader(images(10), batch_size=4))
    return trainer, rates.rates


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.2, momentum=0.9)


def expected_rates(schedule, steps, per_step):
    """Torch's own schedule stepped by hand."""
    optimizer = sgd([nn.Parameter(torch.zeros(1))])
    scheduler, rates = schedule(optimizer), []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if per_step or (step + 1) % 3 == 0:
            scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("given", "interval", "by_hand"),
    [
        (partial(CosineAnnealingLR, T_max=-1), "epoch", partial(CosineAnnealingLR, T_max=4)),
        (partial(CosineAnnealingLR, T_max=-1), "step", partial(CosineAnnealingLR, T_max=12)),
        (
            partial(OneCycleLR, max_lr=0.5, total_steps=-1),
            "step",
            partial(OneCycleLR, max_lr=0.5, total_steps=12),
        ),
        (
            partial(MultiStepLR, milestones=[2, 3], last_epoch=-1),
            "epoch",
            partial(MultiStepLR, milestones=[2, 3]),
        ),
        (partial(CosineAnnealingLR, T_max=2), "epoch", partial(CosineAnnealingLR, T_max=2)),
        (lambda optimizer: CosineAnnealingLR(optimizer, 3), "step", partial(CosineAnnealingLR, T_max=3)),
    ],
)
def test_a_schedule_of_length_minus_one_is_as_long_as_the_run(tmp_path, given, interval, by_hand):
    _, rates = fit(linear_classifier(optimizer=sgd, lr_scheduler=given, lr_interval=interval), tmp_path)
    assert rates == pytest.approx(expected_rates(by_hand, steps=12, per_step=interval == "step"), abs=1e-12)


def test_without_a_schedule_the_rate_is_constant(tmp_path):
    _, rates = fit(linear_classifier(optimizer=sgd), tmp_path)
    assert rates == [0.2] * 12


def test_a_plateau_schedule_watches_val_loss(tmp_path):
    """With a threshold that no loss meets, the first epoch is the best and every later one divides the rate."""
    plateau = partial(ReduceLROnPlateau, patience=0, factor=0.5, threshold=100, threshold_mode="abs")
    _, rates = fit(linear_classifier(optimizer=sgd, lr_scheduler=plateau), tmp_path)
    assert rates == [0.2] * 6 + [0.1] * 3 + [0.05] * 3


def test_as_long_as_an_endless_run_is_refused(tmp_path):
    model = linear_classifier(lr_scheduler=partial(CosineAnnealingLR, T_max=-1))
    with pytest.raises(ValueError, match=r"number of epochs is not known here; set max_epochs \(got -1\)"):
        fit(model, tmp_path, max_epochs=-1, max_steps=5)


def test_an_unknown_interval_is_refused():
    with pytest.raises(ValueError, match="lr_interval must be 'epoch' or 'step', got 'batch'"):
        linear_classifier(lr_interval="batch")


def test_the_logged_losses_and_accuracies_are_those_of_all_images(tmp_path):
    """Batches of unequal size: an average of batch averages would differ."""
    model = linear_classifier()
    trainer, _ = fit(model, tmp_path, max_epochs=1)
    logged = dict(trainer.callback_metrics)
    assert {"train_loss", "val_loss", "val_acc"} <= set(logged)
    tested = trainer.test(model, DataLoader(images(11), batch_size=4), verbose=False)[0]
    for data, loss, accuracy in [
        (images(10), logged["val_loss"], logged["val_acc"]),
        (images(11), tested["test_loss"], tested["test_acc"]),
    ]:
        x, y = (tensor.numpy() for tensor in data.tensors)
        linear = model.network[1]
        weight, bias = (tensor.detach().double().numpy() for tensor in (linear.weight, linear.bias))
        logits = x.reshape(len(x), -1).astype(np.float64) @ weight.T + bias
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
        assert float(loss) == pytest.approx(losses.mean(), abs=1e-6)
        assert float(accuracy) == pytest.approx((logits.argmax(1) == y).mean(), abs=1e-6)


def test_predict_answers_the_most_likely_class(tmp_path):
    model = linear_classifier()
    trainer, _ = fit(model, tmp_path, max_epochs=1)
    predicted = torch.cat(trainer.predict(model, DataLoader(images(10), batch_size=4)))
    assert torch.equal(predicted, model.eval()(images(10).tensors[0]).argmax(1))
