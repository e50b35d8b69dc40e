"""The datamodules: the three sets apart, a new augmentation for every view, and the declared volume."""

import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import torchvision
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, default_collate

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
from lightning_critperiod.datamodules import CIFAR10, CIFAR100, Digits, FashionMNIST, ImageFolder
from lightning_critperiod.datamodules.base import draw
from lightning_critperiod.datamodules.batch import together
from lightning_critperiod.models import ImageClassifier

SHARED = Path(__file__).parents[1].parent / "shared"


def ready(datamodule):
    datamodule.setup("fit")
    datamodule.setup("test")
    return datamodule


@pytest.fixture
def folder(tmp_path):
    """Colour images of two sizes: 3 classes, 20 for training and 4 for the test each."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 4)):
        for name in ("ant", "bee", "cat"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = generator.integers(0, 256, (20, 16 + 8 * (i % 2), 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("samples", [1, 7, 50, 200])
def test_a_draw_gives_every_class_its_share_and_leaves_the_rest(samples):
    labels = torch.tensor([0] * 120 + [1] * 60 + [2] * 20)
    drawn, rest = draw(labels, samples, seed=3)
    assert len(drawn) == samples
    assert sorted([*drawn.tolist(), *rest.tolist()]) == list(range(200))
    for label, share in ((0, 0.6), (1, 0.3), (2, 0.1)):
        assert abs((labels[drawn] == label).sum().item() - share * samples) < 2


def test_a_draw_is_in_random_order_so_that_its_beginning_is_no_single_class():
    drawn, rest = draw(torch.arange(200) // 50, 100, seed=0)
    assert len({index // 50 for index in drawn[:20].tolist()}) == 4
    assert len({index // 50 for index in rest[:20].tolist()}) == 4


def test_a_draw_follows_its_seed_and_leaves_the_global_random_state_alone():
    labels = torch.arange(100) % 5
    before = torch.get_rng_state()
    first, again, other = (draw(labels, 30, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def of_scikit_learn(views):
    """The numbers of scikit-learn's digits that a set holds, found by their pixels."""
    known = {image.tobytes(): number for number, image in enumerate(load_digits().images.astype(np.uint8))}
    pixels = torch.stack([views.dataset[index][0] for index in views.indices]).double() * 16 / 255
    return [known[image.tobytes()] for image in pixels.round().to(torch.uint8).squeeze(1).numpy()]


def test_the_digits_are_split_into_sets_that_share_no_image():
    data = ready(Digits())
    sets = [of_scikit_learn(views) for views in (data.train_set, data.val_set, data.test_set)]
    assert [len(numbers) for numbers in sets] == [1150, 287, 360]
    assert sorted(number for numbers in sets for number in numbers) == list(range(1797))
    for views, numbers in zip((data.train_set, data.val_set, data.test_set), sets, strict=True):
        assert [views[i][1] for i in range(len(views))] == load_digits().target[numbers].tolist()


def test_the_seed_draws_other_validation_images_and_the_same_test_images():
    zero, one = ready(Digits(seed=0)), ready(Digits(seed=1))
    assert set(of_scikit_learn(zero.val_set)) != set(of_scikit_learn(one.val_set))
    assert of_scikit_learn(zero.test_set) == of_scikit_learn(one.test_set)


def test_a_second_setup_draws_the_same_sets():
    data = ready(Digits())
    first = [data.train_set.indices, data.val_set.indices, data.test_set.indices]
    assert [ready(data).train_set.indices, data.val_set.indices, data.test_set.indices] == first


def test_digits_are_normalised_by_the_mean_and_deviation_of_all_of_them():
    pixels = load_digits().images / 16
    assert Digits.mean == pytest.approx([pixels.mean()], abs=1e-3)
    assert Digits.std == pytest.approx([pixels.std()], abs=1e-3)
    data = ready(Digits())
    image, _ = data.val_set[0]
    raw = data.val_set.dataset[data.val_set.indices[0]][0].double() / 255
    torch.testing.assert_close(image.double(), (raw - 0.3053) / 0.3760, rtol=1e-5, atol=1e-6)


def test_every_view_of_a_training_image_is_another_and_of_a_validation_image_the_same():
    data = ready(Digits())
    assert len({data.train_set[5][0].numpy().tobytes() for _ in range(4)}) > 1
    assert len({data.val_set[5][0].numpy().tobytes() for _ in range(4)}) == 1
    assert len({data.test_set[5][0].numpy().tobytes() for _ in range(4)}) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_views_differ_between_epochs_and_follow_the_global_seed(num_workers):
    def epochs(seed):
        torch.manual_seed(seed)
        loader = ready(Digits(batch_size=575, num_workers=num_workers)).train_dataloader()
        return [torch.cat([images for images, _ in loader]).sum(dtype=torch.float64).item() for _ in range(2)]

    first = epochs(0)
    assert first == epochs(0)
    assert len({*first, *epochs(1)}) == 4


def drawn(data, epochs=1):
    """All images of some epochs, outside of a Trainer."""
    torch.manual_seed(0)
    loader = ready(data).train_dataloader()
    return [torch.cat([images for images, _ in loader]) for _ in range(epochs)]


@pytest.mark.parametrize("arguments", [{"batch_size": 575}, {"batch_size": 1150}, {"num_workers": 2}], ids=str)
def test_a_view_depends_on_seed_epoch_pass_and_image_and_not_on_batches_and_workers(arguments):
    expected = drawn(Digits(32, augmentation_multiplier=2, pruning_ratio=0.2), epochs=2)
    for one, other in zip(
        drawn(Digits(**arguments, augmentation_multiplier=2, pruning_ratio=0.2), 2), expected, strict=True
    ):
        assert torch.equal(one, other)


def test_all_views_of_an_image_in_two_epochs_differ():
    data = Digits(augmentation_multiplier=3)
    torch.manual_seed(0)
    loader = ready(data).train_dataloader()
    keys = [list(loader.sampler) for _ in range(2)]
    of_one = {view for epoch in keys for sample, view in epoch if sample == 5}
    assert len(of_one) == 6
    assert len({data.train_set[5, view][0].numpy().tobytes() for view in of_one}) == 6
    assert len(torch.unique(torch.cat(drawn(data, epochs=2)), dim=0)) > 6890  # of 6900: tiny images may look the same


@pytest.mark.parametrize("size", [None, 40])
def test_an_image_alone_is_the_image_in_a_batch(size):
    """Of small images a pass is made at once, of 1150 images of 40 x 40 pixels a batch."""
    views = ready(Digits(image_size=size)).train_set
    keys = [(sample, 77) for sample in range(0, 1150, 9)]
    batch = views.__getitems__(keys)
    mixed = views.__getitems__([*keys, (3, 78)])
    for key, (image, label), (other, _) in zip(keys, batch, list(mixed)[:-1], strict=True):
        assert torch.equal(views[key][0], image)
        assert torch.equal(other, image)
        assert views[key][1] == label == int(views.dataset[views.indices[key[0]]][1])


def test_a_batch_is_what_torchs_own_collate_function_makes_of_its_samples():
    views = ready(Digits()).val_set
    batch = views.__getitems__([4, 2, 9])
    ours, theirs = together(batch), default_collate(list(batch))
    assert [type(part) for part in ours] == [type(part) for part in theirs]
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    subset = Subset(views, [4, 2, 9])
    assert torch.equal(next(iter(DataLoader(subset, 3)))[0], ours[0])
    assert together([(1, 2), (3, 4)])[0].tolist() == [1, 3]


def test_evaluation_draws_no_random_numbers():
    data = ready(Digits())
    list(data.val_dataloader())
    before = torch.get_rng_state()
    data.val_set.__getitems__([0, 1, 2])
    data.test_set[5]
    assert torch.equal(torch.get_rng_state(), before)


def views_of(data, image, count):
    """Random views of an image that is not in the data, brightness from 0 to 255."""
    numbers = np.arange(count, dtype=np.uint64)
    return data.train_set.augmentation(image.expand(count, *image.shape), numbers, np.zeros_like(numbers)).float()


def mirrored(data, image):
    """Of 64 views, the fraction that is closer to the mirror image than to the image itself."""
    plain = image.float()
    return sum((view - plain.flip(-1)).norm() < (view - plain).norm() for view in views_of(data, image, 64)).item() / 64


def test_photographs_are_mirrored_half_of_the_time_and_digits_never(folder):
    half = torch.zeros(1, 8, 8, dtype=torch.uint8)
    half[..., :4] = 255
    assert mirrored(ready(Digits()), half) == 0
    assert 0.25 < mirrored(ready(ImageFolder(folder, image_size=16)), half.repeat(3, 2, 2)) < 0.75


def centre(brightness):
    """Of mass, in pixels from the middle of a 101 x 101 image: (down, right)."""
    offsets = torch.arange(101.0) - 50
    return [(brightness.sum(1 - axis) * offsets).sum().item() / brightness.sum().item() for axis in (0, 1)]


def test_augmentation_moves_by_a_tenth_and_turns_by_15_degrees_at_most():
    """A dot in the middle is moved by at most 10% of the side each way; a dimmer one is turned about it."""
    image = torch.zeros(1, 101, 101, dtype=torch.uint8)
    image[0, 48:53, 48:53] = 255
    image[0, 48:53, 78:83] = 128
    shifts, angles = [], []
    for view in views_of(ready(Digits()), image, 50)[:, 0] / 255:
        down, right = centre(torch.where(view > 0.75, view, 0))
        far = torch.arange(101) > 50 + right + 15
        dim_down, dim_right = centre(torch.where(far & (view > 0.1), view, 0))
        shifts.append(max(abs(down), abs(right)))
        angles.append(abs(np.degrees(np.arctan2(dim_down - down, dim_right - right))))
    assert 6 < max(shifts) < 10.6
    assert 10 < max(angles) < 15.6


@pytest.mark.parametrize("name", ["augmentation_multiplier", "pruning_ratio"])
@pytest.mark.parametrize("cls", [Digits, CIFAR10, CIFAR100, FashionMNIST, ImageFolder])
def test_a_volume_out_of_range_is_refused_at_once(cls, name):
    arguments = {"data_dir": "nowhere"} if cls is not Digits else {}
    with pytest.raises(ValueError, match=rf"{name} must be a number .*, got -1"):
        cls(**arguments, **{name: -1})
    with pytest.raises(TypeError, match=rf"{name} must be a number .*, got True"):
        cls(**arguments, **{name: True})


class Counting(ImageClassifier):
    """Counts the images that every epoch trained on."""

    def __init__(self, classes, pixels):
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes)))
        self.drawn = Counter()

    def training_step(self, batch, batch_idx):
        self.drawn[self.current_epoch] += len(batch[1])
        return super().training_step(batch, batch_idx)


def fit(model, data, tmp_path, checkpoint=None, **arguments):
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing="callbacks" in arguments,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **arguments,
    )
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    return trainer


@pytest.mark.parametrize(("k", "r", "drawn"), [(1, 0, 1150), (3, 0, 3450), (1.5, 0.3, 1207), (1, 0.9, 115)])
def test_digits_draw_their_declared_volume(tmp_path, k, r, drawn):
    """Without the callback: round(k (1 - r) 1150) images an epoch, by Python's round."""
    model = Counting(10, 64)
    fit(model, Digits(augmentation_multiplier=k, pruning_ratio=r), tmp_path)
    assert drawn == round(k * (1 - r) * 1150)
    assert model.drawn == {0: drawn, 1: drawn}


class Brightness(Counting):
    """Remembers how bright every batch was that it trained on."""

    def __init__(self):
        super().__init__(10, 64)
        self.seen = {}

    def training_step(self, batch, batch_idx):
        self.seen[self.trainer.global_step] = batch[0].sum(dtype=torch.float64).item()
        return super().training_step(batch, batch_idx)


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty", "ignore:.*not resumable")
def test_a_resume_in_mid_epoch_sees_the_views_that_it_would_have_seen(tmp_path):
    def run(checkpoint=None):
        L.seed_everything(3, verbose=False)
        model, data = Brightness(), Digits(augmentation_multiplier=2, num_workers=0)
        driver = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(after=Volume(1, 0.3)))
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=20, save_top_k=-1)
        fit(model, data, tmp_path, checkpoint, callbacks=[driver, saving])
        return model.seen

    whole = run()
    for begin in (20, 40):
        seen = run(tmp_path / f"step={begin}.ckpt")
        assert seen == {step: brightness for step, brightness in whole.items() if step >= begin}


def test_a_folder_of_images_trains_validates_and_tests(tmp_path, folder):
    data = ImageFolder(folder, image_size=16, batch_size=8, augmentation_multiplier=2, num_workers=0)
    model = Counting(3, 3 * 16 * 16)
    trainer = fit(model, data, tmp_path)
    assert model.drawn == {0: 108, 1: 108}
    assert len(data.val_set) == 6
    assert Counter(label for _, label in data.val_set) == {0: 2, 1: 2, 2: 2}
    assert 0 <= trainer.test(model, datamodule=data, verbose=False)[0]["test_acc"] <= 1
    assert [label for _, label in data.test_set] == [0] * 4 + [1] * 4 + [2] * 4


def sides(loader):
    return {image.shape[-1] for images, _ in loader for image in images}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_training_images_have_the_size_of_now_and_evaluation_images_that_of_setup(num_workers):
    data = ready(Digits(575, image_size=12, num_workers=num_workers))
    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    data.image_size = 16
    assert [sides(loader) for loader in loaders] == [{12}, {12}, {12}]
    assert sides(data.train_dataloader()) == {16}
    data.image_size = None
    assert [sides(data.train_dataloader()), sides(data.val_dataloader())] == [{8}, {12}]


def test_digits_are_resized_as_pillow_does_it():
    small, plain = (ready(Digits(image_size=size)).val_set for size in (5, None))
    for i in range(5):
        pixels = plain.dataset[plain.indices[i]][0][0].numpy()
        expected = np.asarray(Image.fromarray(pixels).resize((5, 5), Image.Resampling.BILINEAR)) / 255
        np.testing.assert_allclose(small[i][0][0].numpy(), (expected - 0.3053) / 0.3760, atol=1.01 / 255 / 0.3760)


SIZED = [Digits, CIFAR10, CIFAR100, FashionMNIST, ImageFolder]


@pytest.mark.parametrize("cls", SIZED)
def test_an_image_size_that_is_none_is_refused_at_once(cls):
    arguments = {"data_dir": "nowhere"} if cls is not Digits else {}
    with pytest.raises(ValueError, match="image_size must be an int from 1 up, got 0"):
        cls(**arguments, image_size=0)
    for wrong in (True, 8.0, "8"):
        with pytest.raises(TypeError, match=f"image_size must be an int from 1 up, got {wrong!r}"):
            cls(**arguments, image_size=wrong)


@pytest.mark.parametrize("cls", SIZED)
def test_a_batch_size_or_number_of_workers_that_is_none_is_refused_at_once(cls):
    arguments = {} if cls is Digits else {"data_dir": "nowhere"}
    for wrong, error in ((0, ValueError), (-1, ValueError), (64.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"batch_size must be an int from 1 up, got {wrong}"):
            cls(**arguments, batch_size=wrong)
    with pytest.raises(ValueError, match="num_workers must be an int from 0 up, got -1"):
        cls(**arguments, num_workers=-1)


def test_an_image_size_or_magnitude_that_was_set_wrongly_is_refused_with_the_loader():
    for name, value in (("image_size", -1), ("randaugment_magnitude", 31)):
        data = ready(Digits())
        setattr(data, name, value)
        with pytest.raises(ValueError, match=f"{name} must be an int .*, got {value}"):
            data.train_dataloader()


def test_images_of_a_folder_may_keep_their_size_if_it_is_one(folder):
    for path in folder.rglob("*.png"):
        Image.open(path).resize((9, 11)).save(path)
    data = ready(ImageFolder(folder, image_size=None, batch_size=8, num_workers=0))
    assert {tuple(images.shape[1:]) for images, _ in data.train_dataloader()} == {(3, 11, 9)}
    Image.open(path).resize((9, 12)).save(path)
    with pytest.raises(ValueError, match=r"one size where image_size is None, got \[\(3, 11, 9\), \(3, 12, 9\)\]"):
        [*data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader()]


@pytest.fixture(scope="module")
def tiny_fashion(tmp_path_factory):
    """100 and 20 images of noise in the files that Fashion-MNIST comes in."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, n in (("train", 100), ("t10k", 20)):
        pixels = generator.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        images, labels = struct.pack(">4i", 2051, n, 28, 28), struct.pack(">2i", 2049, n)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(images + pixels.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(labels + bytes(i % 10 for i in range(n)))
    return folder


@pytest.mark.parametrize("num_workers", [0, 2])
def test_randaugment_of_another_magnitude_reaches_the_workers_with_a_new_loader(tiny_fashion, num_workers):
    data = ready(FashionMNIST(tiny_fashion, 32, 2, randaugment_magnitude=5, num_workers=num_workers))
    torch.manual_seed(0)
    five = next(iter(data.train_dataloader()))[0]
    data.randaugment_magnitude = None
    plain = next(iter(data.train_dataloader()))[0]
    data.randaugment_magnitude = 5
    again = next(iter(data.train_dataloader()))[0]
    assert torch.equal(five, again)
    assert 0 < (five != plain).flatten(1).any(1).sum() <= 32
    evaluated = next(iter(data.val_dataloader()))
    assert torch.equal(evaluated[0], next(iter(ready(FashionMNIST(tiny_fashion, 32)).val_dataloader()))[0])


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), (31, ValueError), (True, TypeError), (2.5, TypeError)])
def test_a_magnitude_of_randaugment_out_of_range_is_refused_at_once(wrong, error):
    with pytest.raises(error, match=f"randaugment_magnitude must be an int from 0 .*, got {wrong!r}"):
        CIFAR10("nowhere", randaugment_magnitude=wrong)


def test_images_of_a_folder_are_resized_cut_to_a_square_and_normalised(folder):
    data = ready(ImageFolder(folder, image_size=10))
    image, _ = data.test_set[0]
    assert image.shape == (3, 10, 10)
    shrunk = Image.open(folder / "test" / "ant" / "0.png").resize((10, 12), Image.Resampling.BILINEAR)
    assert shrunk.size == (10, 12)
    expected = np.asarray(shrunk, dtype=np.float64)[1:11] / 255
    expected = (expected - data.mean) / data.std
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_a_folder_without_a_test_set_has_nothing_to_test(tmp_path, folder):
    shutil.rmtree(folder / "test")
    data = ready(ImageFolder(folder, image_size=16, num_workers=0))
    assert len(data.train_set) == 54
    assert len(data.test_dataloader()) == 0


@pytest.mark.parametrize("broken", ["no folder", "no train", "no class", "no image"])
def test_a_missing_or_empty_folder_is_refused_before_training(tmp_path, broken):
    root = tmp_path / "images"
    if broken != "no folder":
        root.mkdir()
    if broken in {"no class", "no image"}:
        (root / "train").mkdir()
    if broken == "no image":
        (root / "train" / "ant").mkdir()
    model = Counting(3, 3 * 64 * 64)
    with pytest.raises(ValueError, match=r"data_dir must hold images in train/<class>/, got data_dir='.*images'"):
        fit(model, ImageFolder(root), tmp_path)
    assert not model.drawn


def test_a_test_set_of_other_classes_is_refused_before_training(tmp_path, folder):
    (folder / "test" / "cat").rename(folder / "test" / "dog")
    model = Counting(3, 3 * 64 * 64)
    with pytest.raises(ValueError, match=r"must hold the same classes, but only one has \['cat', 'dog'\]"):
        fit(model, ImageFolder(folder), tmp_path)
    assert not model.drawn


def test_a_data_folder_that_cannot_be_filled_is_refused_before_training(tmp_path):
    """A file stands where the folder should be, so nothing can be downloaded to it."""
    (tmp_path / "data").write_text("in the way")
    model = Counting(10, 28 * 28)
    with pytest.raises(ValueError, match=r"FashionMNIST must be in data_dir or be downloadable, got data_dir='.*data'"):
        fit(model, FashionMNIST(tmp_path / "data"), tmp_path)
    assert not model.drawn


@pytest.fixture(scope="module")
def fashion_dir(tmp_path_factory):
    if not (SHARED / "data" / "fashion-mnist").is_dir():
        pytest.skip("the reference data beside the repository is absent")
    folder = tmp_path_factory.mktemp("fashion")
    for archive in (SHARED / "data" / "fashion-mnist").rglob("*.gz"):
        (folder / "FashionMNIST" / "raw").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archive, folder / "FashionMNIST" / "raw" / archive.name)
    return folder


def test_fashion_mnist_has_its_three_sets_and_limits_the_training_images(fashion_dir):
    data = FashionMNIST(fashion_dir, train_samples=1000, num_workers=0)
    data.prepare_data()
    ready(data)
    assert [len(views) for views in (data.train_set, data.val_set, data.test_set)] == [1000, 6000, 10000]
    assert not set(data.train_set.indices) & set(data.val_set.indices)
    assert Counter(int(label) for _, label in data.train_set) == dict.fromkeys(range(10), 100)
    assert Counter(int(label) for _, label in data.val_set) == dict.fromkeys(range(10), 600)
    images, labels = next(iter(data.val_dataloader()))
    assert images.shape == (128, 1, 28, 28)
    assert len(set(labels.tolist())) == 10


def test_images_are_made_smaller_once(fashion_dir):
    data = FashionMNIST(fashion_dir, image_size=14, num_workers=0)
    data.prepare_data()
    data.setup("test")
    original = torchvision.datasets.FashionMNIST(fashion_dir, train=False)[0][0]
    small = np.asarray(original.resize((14, 14), Image.Resampling.BILINEAR), dtype=np.float64) / 255
    np.testing.assert_allclose(data.test_set[0][0][0].numpy(), (small - 0.2860) / 0.3530, atol=2 / 255 / 0.3530)


@pytest.mark.parametrize("train_samples", [0, 54_001])
def test_more_training_images_than_there_are_are_refused(fashion_dir, train_samples):
    data = FashionMNIST(fashion_dir, train_samples=train_samples)
    data.prepare_data()
    with pytest.raises(ValueError, match=f"train_samples must be from 1 to 54000 .*, got {train_samples}"):
        data.setup("fit")


def test_fashion_mnist_is_normalised_by_the_mean_and_deviation_of_its_training_images(fashion_dir):
    pixels = torchvision.datasets.FashionMNIST(fashion_dir, download=True).data.numpy() / 255
    assert FashionMNIST.mean == pytest.approx([pixels.mean()], abs=1e-4)
    assert FashionMNIST.std == pytest.approx([pixels.std()], abs=1e-4)


def test_cifar_10_is_in_colour_upright_and_normalised(tmp_path):
    restore = SHARED / "data" / "restore_cifar10.py"
    if not restore.is_file():
        pytest.skip("the reference data beside the repository is absent")
    subprocess.run([sys.executable, restore, tmp_path], check=True, capture_output=True)
    data = CIFAR10(tmp_path)
    data.prepare_data()
    ready(data)
    assert [len(views) for views in (data.train_set, data.val_set, data.test_set)] == [45000, 5000, 10000]
    reference = torchvision.datasets.CIFAR10(tmp_path, train=False)
    image, label = data.test_set[7]
    pixels = np.asarray(reference[7][0]) / 255
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), (pixels - CIFAR10.mean) / CIFAR10.std, atol=1e-5)
    assert label == reference[7][1]
    every_tenth = torchvision.datasets.CIFAR10(tmp_path).data[::10] / 255
    assert CIFAR10.mean == pytest.approx(every_tenth.mean((0, 1, 2)), abs=5e-3)
    assert CIFAR10.std == pytest.approx(every_tenth.std((0, 1, 2)), abs=5e-3)
