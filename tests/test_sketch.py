"""Sketches of the initial weights, against the exact distance and the error that theory states."""

import math

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from test_signals import Forward, Net, distance, fit, loader, resumes, trainer
from torch import nn

from lightning_critperiod.signals import LayerRotation
from lightning_critperiod.signals.sketch import Sketch, sketch_size


def everywhere(weights, generator, size):
    return weights + size * torch.randn(weights.shape, generator=generator)


def one_row(weights, generator, size):
    changed = weights.clone()
    changed[torch.randint(len(weights), (), generator=generator)] += size * 10
    return changed


def one_column(weights, generator, size):
    return one_row(weights.T, generator, size).T


def rank_one(weights, generator, size):
    rows, columns = (torch.randn(n, generator=generator) for n in weights.shape)
    return weights + size * rows[:, None] * columns


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("change", [everywhere, one_row, one_column, rank_one], ids=lambda change: change.__name__)
def test_the_error_of_a_sketch_is_what_is_stated_whatever_changed_and_however_little(change, size):
    errors = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        weights = torch.randn(250, 160, generator=generator)
        changed = change(weights, generator, size)
        errors.append(Sketch.of(weights, 1031).distance(changed) / distance(weights, changed) - 1)
    stated = math.sqrt(2 / 1031)
    assert np.sqrt(np.mean(np.square(errors))) < 1.3 * stated
    assert abs(np.mean(errors)) < 4 * stated / math.sqrt(len(errors))


def test_the_sums_are_those_of_the_weights_of_every_bucket_with_signs():
    """A weight alone has the sum 1 or -1 in its own bucket; the signs are even and of no pattern."""
    signs = []
    for index in range(300):
        alone = torch.zeros(300)
        alone[index] = 5.0
        sums = Sketch.of(alone, 101).sums
        assert sums.nonzero().flatten().tolist() == [index % 101]
        signs.append(sums[index % 101].item())
    assert set(signs) == {1.0, -1.0}
    for lag in (0, 1, 2, 101):
        products = signs if lag == 0 else [a * b for a, b in zip(signs, signs[lag:], strict=False)]
        assert abs(np.mean(products)) < 4 / math.sqrt(len(products))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 2.0**60, 2.0**-20, 2.0**-100])
def test_a_sketch_does_not_depend_on_the_size_type_and_layout_of_the_weights(scale, dtype):
    weights = torch.randn(20, 8, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    sums = Sketch.of(weights, 211).sums
    other = (weights.double() * scale).to(dtype).to(memory_format=torch.channels_last)
    torch.testing.assert_close(Sketch.of(other, 211).sums, sums, rtol=1e-5, atol=1e-6)


def test_a_sketch_of_zeros_has_no_distance():
    weights = torch.ones(40, 40)
    assert math.isnan(Sketch.of(torch.zeros(40, 40), 101).distance(weights))
    assert math.isnan(Sketch.of(weights, 101).distance(torch.zeros(40, 40)))


def test_the_size_of_a_sketch_is_a_prime_near_its_part_of_the_weights():
    for weights in (1, 1000, 99_999, 123_456, 10_000_000):
        size = sketch_size(weights, 0.01, 1024)
        assert max(1024, weights / 100) <= size + 1 <= max(1024, weights / 100) * 1.02 + 2
        assert all(size % divisor for divisor in range(2, math.isqrt(size) + 1))


class Wide(Net):
    """Layers of 160,000, 1600 and 800 weights."""

    def __init__(self):
        torch.manual_seed(2)
        super().__init__()
        self.first, self.norm = nn.Linear(4, 400), nn.LayerNorm(400)
        self.middle, self.second = nn.Linear(400, 400), nn.Linear(400, 2)

    def forward(self, x):
        return self.second(torch.relu(self.middle(torch.relu(self.norm(self.first(x))))))


@pytest.fixture(scope="module")
def sketched():
    signal = LayerRotation(sketch=0.01)
    return signal, fit(signal, Wide())


def test_a_sketch_keeps_one_percent_of_a_large_layer_and_small_ones_whole(sketched):
    state = sketched[0].state_dict()
    assert list(state["initial"]) == ["second.weight"]
    small, large = state["sketches"].values()
    assert [small["shape"], len(small["sums"])] == [(400, 4), 1031]
    assert large["shape"] == (400, 400)
    assert 1600 <= len(large["sums"]) <= 1620
    assert large["sums"].dtype == torch.float32


def test_rotation_by_a_sketch_is_within_its_stated_error_of_the_exact_one(sketched):
    exact = fit(LayerRotation(), Wide())
    assert sketched[1] == pytest.approx(exact, rel=3 * math.sqrt(2 / 1600))
    assert sketched[1] != exact


def test_a_model_of_small_layers_is_measured_exactly_with_a_sketch():
    def model():
        torch.manual_seed(3)
        return Net()

    assert fit(LayerRotation(sketch=0.01), model()) == fit(LayerRotation(), model())


@resumes
@pytest.mark.parametrize(("before", "after"), [(None, 0.01), (0.01, None)])
def test_a_run_is_resumed_with_the_weights_that_its_checkpoint_has_whatever_is_asked_for_now(tmp_path, before, after):
    whole = fit(LayerRotation(sketch=before), Wide())
    checkpoint = ModelCheckpoint(tmp_path)
    trainer(Forward(LayerRotation(sketch=before)), checkpoint, max_epochs=1).fit(Wide(), loader())
    resumed = Forward(LayerRotation(sketch=after))
    trainer(resumed).fit(Wide(), loader(), ckpt_path=checkpoint.best_model_path, weights_only=True)
    assert resumed.values == whole


@resumes
def test_a_checkpoint_of_before_there_were_sketches_and_a_mean_that_goes_on_is_resumed(tmp_path):
    class Older(LayerRotation):
        def state_dict(self):
            return {"initial": super().state_dict()["initial"]}

    whole = fit(LayerRotation(), Wide())
    checkpoint = ModelCheckpoint(tmp_path)
    trainer(Forward(Older()), checkpoint, max_epochs=1).fit(Wide(), loader())
    resumed = Forward(LayerRotation())
    trainer(resumed).fit(Wide(), loader(), ckpt_path=checkpoint.best_model_path, weights_only=True)
    assert resumed.values == whole


@pytest.mark.parametrize(
    ("sketch", "error", "match"),
    [
        (0, ValueError, "sketch must be a number above 0 to 1, got 0"),
        (1.5, ValueError, "sketch must be a number above 0 to 1, got 1.5"),
        (math.nan, ValueError, "sketch .* got nan"),
        (True, TypeError, "sketch .* got True"),
        ("0.01", TypeError, "sketch .* got '0.01'"),
    ],
)
def test_a_sketch_is_a_part_of_the_weights(sketch, error, match):
    with pytest.raises(error, match=match):
        LayerRotation(sketch=sketch)
