"""The augmentation of whole batches: torchvision's images for given moves, and its distribution over random ones."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from torchvision.transforms import InterpolationMode, v2

from lightning_critperiod.datamodules.augmentation import Augmentation, moved, random_moves, random_numbers


def whole(n, start=0):
    return np.arange(start, start + n, dtype=np.uint64)


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def digits(n):
    return torch.from_numpy(load_digits().images[:n] * 15).to(torch.uint8).unsqueeze(1)


def by_torchvision(image, degrees, pixels, mirrored):
    turned = v2.functional.affine(
        image, degrees, [int(p) for p in pixels], 1.0, [0.0, 0.0], InterpolationMode.BILINEAR, fill=[0.0]
    )
    return v2.functional.horizontal_flip(turned) if mirrored else turned


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 20, 31), (3, 1, 5)])
def test_given_moves_make_exactly_torchvisions_images(shape, flip):
    images = noise(64, *shape)
    moves = random_moves(random_numbers(whole(64), whole(64), 4), *shape[1:], flip)
    each = zip(images, moves.degrees.tolist(), moves.pixels.tolist(), moves.mirrored.tolist(), strict=True)
    expected = torch.stack([by_torchvision(*one) for one in each])
    assert torch.equal(moved(images, moves), expected)
    assert moves.mirrored.any() == flip


RANDOM_AFFINE = v2.RandomAffine(15, translate=(0.1, 0.1), interpolation=InterpolationMode.BILINEAR)


@pytest.mark.parametrize("side", [8, 14, 32])
def test_random_moves_have_torchvisions_distribution(side):
    n = 4000
    moves = random_moves(random_numbers(whole(n), whole(n), 4), side, side, flip=True)
    torch.manual_seed(0)
    theirs = [RANDOM_AFFINE.make_params([torch.empty(1, side, side)]) for _ in range(n)]
    assert stats.ks_2samp(moves.degrees, [params["angle"] for params in theirs]).pvalue > 1e-3
    for axis in (0, 1):
        ours = torch.from_numpy(moves.pixels[:, axis]).long() + side
        others = torch.tensor([params["translate"][axis] for params in theirs]) + side
        counts = torch.stack([torch.bincount(pixels, minlength=2 * side) for pixels in (ours, others)])
        assert stats.chi2_contingency(counts[:, counts.sum(0) > 0]).pvalue > 1e-3
    assert stats.binomtest(int(moves.mirrored.sum()), n).pvalue > 1e-3


@pytest.mark.parametrize(("flip", "magnitude", "n"), [(False, None, 2000), (True, None, 2000), (True, 9, 600)])
def test_every_pixel_has_the_mean_and_variance_that_torchvisions_transforms_give_it(flip, magnitude, n):
    """Over n views of one digit; differences in standard errors are to be as small as between two unrelated samples."""
    image = digits(8)[7]
    randaugment = [] if magnitude is None else [v2.RandAugment(magnitude=magnitude)]
    transform = v2.Compose([*randaugment, RANDOM_AFFINE, *([v2.RandomHorizontalFlip()] if flip else [])])
    torch.manual_seed(0)
    theirs = torch.stack([transform(image) for _ in range(n)]).double().flatten(1)
    ours = Augmentation(flip, magnitude)(image.expand(n, 1, 8, 8), whole(n), np.zeros(n, np.uint64)).double().flatten(1)
    for power in (1, 2):
        a, b = (views if power == 1 else (views - views.mean(0)) ** 2 for views in (ours, theirs))
        error = ((a.var(0) + b.var(0)) / n).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() < 4 * error + 1e-9).all()
        assert ((a.mean(0) - b.mean(0)) / error.clamp_min(1e-9)).pow(2).mean() < 2


def test_random_numbers_are_uniform_and_unrelated():
    n = 20_000
    by_view = random_numbers(whole(n), np.full(n, 5, np.uint64), 4)
    by_sample = random_numbers(np.full(n, 5, np.uint64), whole(n), 4)
    for numbers in (by_view, by_sample):
        for column in numbers.T:
            assert stats.kstest(column, "uniform").pvalue > 1e-3
            assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 4 / n**0.5
        assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 4 / n**0.5
    assert abs(np.corrcoef(by_view[:, 0], by_sample[:, 0])[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize("magnitude", [None, 9])
def test_a_view_is_a_function_of_the_image_its_number_and_the_sample_whatever_the_batch(magnitude):
    images, augmentation = digits(40), Augmentation(flip=True, randaugment_magnitude=magnitude)
    together = augmentation(images, whole(40, 100), whole(40))
    state = torch.get_rng_state()
    torch.manual_seed(1)
    parts = [augmentation(images[i : i + 7], whole(40, 100)[i : i + 7], whole(40)[i : i + 7]) for i in range(0, 40, 7)]
    assert torch.equal(torch.cat(parts), together)
    torch.set_rng_state(state)
    for views, samples in ((whole(40, 101), whole(40)), (whole(40, 100), whole(40, 1))):
        other = augmentation(images, views, samples)
        assert sum(torch.equal(one, another) for one, another in zip(together, other, strict=True)) < 4


def test_augmenting_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Augmentation(flip=True, randaugment_magnitude=9)(digits(4), whole(4), whole(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_larger_magnitude_of_randaugment_changes_images_more():
    images = digits(200)
    plain, *changed = (Augmentation(True, m)(images, whole(200), whole(200)).float() for m in (None, 0, 15, 30))
    distances = [(images_changed - plain).abs().mean().item() for images_changed in changed]
    assert distances[0] < distances[1] < distances[2]
