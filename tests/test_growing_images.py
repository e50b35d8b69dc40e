"""Low resolution first: the sizes that the network really saw, refusals, and that nothing stays behind."""

import copy
import itertools
from dataclasses import dataclass, make_dataclass
from enum import Enum
from types import SimpleNamespace
from typing import NamedTuple

import lightning as L
import pytest
import torch
from conftest import make_trainer
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import (
    AtEpoch,
    Cooldown,
    CostMonitor,
    CriticalPeriodCallback,
    GrowingImages,
    Guard,
    MonitoredMetric,
    Never,
    Phased,
    Plateau,
    Recipe,
    Volume,
)
from lightning_critperiod.changes.growth import Growth
from lightning_critperiod.record import collect
from lightning_critperiod.timeline import Timeline


class Images(Dataset):
    """12 images of two classes and their labels, in the container that ``pack`` makes."""

    def __init__(self, shape=(3, 12, 12), pack=lambda x, y: (x, y), dtype=torch.float32):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(12, *shape, generator=generator)
        if not dtype.is_floating_point:
            self.images = self.images * 255
        self.images = self.images.to(dtype)
        self.pack = pack

    def __len__(self):
        return 12

    def __getitem__(self, number):
        return self.pack(self.images[number], number % 2)


def loader(shuffle=True, **arguments):
    return DataLoader(Images(**arguments), batch_size=4, shuffle=shuffle)


class Net(L.LightningModule):
    """Takes any size; ``seen`` has epoch -> sizes of its inputs in training, ``validated`` those in validation."""

    def __init__(self, part=lambda batch: batch, pooled=True, channels=3):
        super().__init__()
        torch.manual_seed(0)
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2)) if pooled else (nn.Flatten(), nn.LazyLinear(2))
        self.net = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.1), *head)
        self.net(torch.zeros(2, channels, 12, 12))
        self.part, self.seen, self.validated, self.batches = part, {}, set(), []

    def training_step(self, batch, batch_idx):
        images, labels = self.part(batch)
        self.seen.setdefault(self.current_epoch, set()).add(tuple(images.shape[-2:]))
        self.batches.append(images)
        return cross_entropy(self.net(images.float()), labels)

    def validation_step(self, batch, batch_idx):
        images, labels = self.part(batch)
        self.validated.add(tuple(images.shape[-2:]))
        self.log("val_loss", cross_entropy(self.net(images.float()), labels))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def sizes(self):
        return {epoch: {height for height, _ in seen} for epoch, seen in self.seen.items()}


def drive(*changes, rule=None, **recipe):
    recipe = {"after": Volume(), "annealing_fraction": 0, **recipe}
    return CriticalPeriodCallback(rule=rule or AtEpoch(3), recipe=Recipe(changes=changes, **recipe))


def fit(tmp_path, model, callback, train=None, ckpt_path=None, extra=(), data=None, **arguments):
    L.seed_everything(1, verbose=False)
    trainer = make_trainer(tmp_path, [callback, *extra], **{"max_epochs": 8, **arguments})
    data = {} if data is None else data
    trainer.fit(model, loader(**data) if train is None else train, loader(False, **data), ckpt_path=ckpt_path)
    return trainer


def each(*sizes):
    return {epoch: {size} for epoch, size in enumerate(sizes)}


def test_the_images_grow_with_the_end_of_the_period_and_are_whole_in_the_last_quarter(tmp_path):
    model, change = Net(), GrowingImages([4, 8, 12])
    callback = drive(change)
    fit(tmp_path, model, callback)
    assert model.sizes() == each(4, 4, 4, 8, 8, 8, 12, 12)
    assert model.validated == {(12, 12)}
    assert [callback.settings[epoch]["image_size"] for epoch in range(8)] == [4, 4, 4, 8, 8, 8, 12, 12]
    assert "training_step" not in vars(model)


@pytest.mark.parametrize(
    ("change", "rule", "sizes"),
    [
        (GrowingImages([4, 8, 12], at=[0.25, 0.5]), AtEpoch(3), [4, 4, 8, 8, 12, 12, 12, 12]),
        (GrowingImages([4, 8], at=[0.25, 0.5]), AtEpoch(3), [4, 4, 8, 8, 12, 12, 12, 12]),
        (GrowingImages([4, 8, 12]), Never(), [4, 4, 4, 4, 4, 8, 12, 12]),
        (GrowingImages([4, 8, 12]), AtEpoch(7), [4, 4, 4, 4, 4, 8, 12, 12]),
        (GrowingImages([4, 8, 12], rule=AtEpoch(2)), Never(), [4, 4, 8, 8, 12, 12, 12, 12]),
        (GrowingImages([6]), AtEpoch(1), [6, 12, 12, 12, 12, 12, 12, 12]),
    ],
    ids=["fractions", "full size follows", "never fires", "fires late", "rule of its own", "one size"],
)
def test_sizes_grow_at_fractions_by_a_rule_or_in_time(tmp_path, change, rule, sizes):
    model = Net()
    fit(tmp_path, model, drive(copy.deepcopy(change), rule=rule))
    assert model.sizes() == each(*sizes)


@pytest.mark.parametrize("growths", [1, 2, 3])
def test_every_run_has_its_full_size_in_the_last_quarter_and_a_resumed_one_the_same_sizes(growths):
    for epochs, end in itertools.product(range(1, 30), (None, 0, 3, 10, 25)):
        timeline = Timeline(epochs, end)
        growth, rule = Growth(None, None), Growth(None, Never())
        stages = [growth.happened(epoch, growths, timeline, {}) for epoch in range(epochs)]
        latest = [rule.happened(epoch, growths, timeline, {}) for epoch in range(epochs)]
        assert stages == sorted(stages)
        assert all(stage == growths for epoch, stage in enumerate(latest) if epoch >= 0.75 * epochs)
        assert all(stage >= late for stage, late in zip(stages, latest, strict=True))
        assert [Growth(None, None).happened(epoch, growths, timeline, {}) for epoch in range(epochs)] == stages


def test_the_rule_is_asked_about_the_signal_since_the_last_growth(tmp_path):
    """A constant signal gains nothing at any size: each lasts as long as the patience."""

    class Still(Net):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

        def on_validation_epoch_end(self):
            self.log("flat", 1.0)

    model = Still()
    change = GrowingImages([4, 8, 12], rule=Plateau(patience=2, min_epochs=0))
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[change])
    fit(tmp_path, model, CriticalPeriodCallback(MonitoredMetric("flat"), Never(), recipe), max_epochs=12)
    assert model.sizes() == each(4, 4, 4, 8, 8, 8, 12, 12, 12, 12, 12, 12)


def test_an_open_run_grows_by_its_rule_and_cools_down_at_full_size(tmp_path):
    model = Net()
    change = GrowingImages([4, 8, 12], rule=AtEpoch(3))
    fit(tmp_path, model, drive(change, rule=AtEpoch(5), cooldown=Cooldown(min_epochs=3)), max_epochs=-1)
    assert model.sizes() == each(4, 4, 4, 8, 8, 12, 12, 12)


def test_the_images_are_those_of_interpolate_and_the_batch_of_others_is_untouched(tmp_path):
    class Looks(L.Callback):
        def __init__(self):
            self.batches = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.batches.append(batch[0])

    model, looks = Net(), Looks()
    fit(tmp_path, model, drive(GrowingImages([5])), data=dict(shape=(3, 12, 17)), extra=[looks], max_epochs=4)
    expected = interpolate(looks.batches[0], (5, 7), mode="bilinear", antialias=True)
    assert torch.equal(model.batches[0], expected)
    assert {tuple(batch.shape) for batch in looks.batches} == {(4, 3, 12, 17)}
    assert model.seen[3] == {(12, 17)}


class Pair(NamedTuple):
    image: torch.Tensor
    label: int


@dataclass
class Sample:
    image: torch.Tensor
    label: torch.Tensor


def collate(samples):
    return Sample(torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples]))


@pytest.mark.parametrize(
    ("pack", "part", "key"),
    [
        (lambda x, y: (x, y), lambda batch: batch, None),
        (lambda x, y: (x, y), lambda batch: batch, 0),
        (lambda x, y: {"image": x, "label": y}, lambda batch: (batch["image"], batch["label"]), None),
        (lambda x, y: {"image": x, "label": y}, lambda batch: (batch["image"], batch["label"]), "image"),
        (Pair, lambda batch: (batch.image, batch.label), None),
        (Pair, lambda batch: (batch.image, batch.label), "image"),
        (lambda x, y: ((x, x.flip(2)), y), lambda batch: (batch[0][1], batch[1]), 0),
        (lambda x, y: {"v": {"a": x, "b": [x.flip(2)]}, "y": y}, lambda batch: (batch["v"]["b"][0], batch["y"]), "v"),
        (lambda x, y: (x, x, y), lambda batch: (batch[1], batch[2]), 1),
        (lambda x, y: {"a": (y, [x]), "b": y}, lambda batch: (batch["a"][1][0], batch["b"]), None),
        (lambda x, y: {"a": (y, Pair(x, y))}, lambda batch: batch["a"][1], ["a", 1, "image"]),
    ],
    ids=[
        "tuple", "index", "dict", "key", "named tuple", "field", "views", "dict of views", "second image small",
        "nested", "path",
    ],
)  # fmt: skip
def test_the_images_are_found_in_every_container(tmp_path, pack, part, key):
    model = Net(part)
    if key == 1:  # the first is as large, so that it would have to be resized too
        pack = lambda x, y: (x[:, ::2, ::2], x, y)  # noqa: E731
    fit(tmp_path, model, drive(GrowingImages([4], key=key)), data=dict(pack=pack), max_epochs=4)
    assert model.sizes() == each(4, 4, 4, 12)


def test_the_images_are_found_in_an_object_and_in_a_bare_tensor(tmp_path):
    model = Net(lambda batch: (batch.image, batch.label) if isinstance(batch, Sample) else batch)
    data = DataLoader(Images(), batch_size=4, collate_fn=collate)
    fit(tmp_path, model, drive(GrowingImages([4])), train=data, max_epochs=4)
    assert model.sizes() == each(4, 4, 4, 12)
    alone = Net(lambda batch: (batch, torch.zeros(len(batch), dtype=torch.long)))
    fit(tmp_path, alone, drive(GrowingImages([4])), data=dict(pack=lambda x, y: x), max_epochs=4)
    assert alone.sizes() == each(4, 4, 4, 12)


def test_what_is_in_a_batch_beside_its_data_was_searched_without_end(tmp_path):
    """A member of an Enum leads to its class, and that to all its members; a sample may know what it belongs to."""

    class Split(Enum):
        TRAIN = 1

    def pack(samples):
        batch = {"image": torch.stack([x for x, _ in samples]), "label": torch.tensor([y for _, y in samples])}
        owner = SimpleNamespace(split=Split.TRAIN, dataset=Images, to=lambda *_, **__: owner)
        owner.itself = owner
        return {**batch, "of": owner}

    model, data = Net(lambda batch: (batch["image"], batch["label"])), DataLoader(Images(), 4, collate_fn=pack)
    fit(tmp_path, model, drive(GrowingImages([4])), train=data, limit_val_batches=0)
    assert model.sizes() == each(4, 4, 4, *[12] * 5)
    with pytest.raises(ValueError, match="'of': SimpleNamespace of 'split': Split, 'dataset': type,"):
        GrowingImages([4], key="picture").find(pack([Images()[0]]))


@pytest.mark.parametrize("kind", [{"frozen": True}, {"slots": True}, {"frozen": True, "slots": True}])
def test_images_of_a_dataclass_that_is_frozen_or_has_slots_stayed_whole(kind):
    batch = make_dataclass("Batch", ["image", "label"], **kind)(Images().images[:4], torch.zeros(4))
    change = GrowingImages([4])
    assert change.find(batch) == 12
    assert change.shrunk(batch, 4).image.shape == (4, 3, 4, 4)
    assert batch.image.shape == (4, 3, 12, 12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float64])
def test_images_keep_their_type_and_round_to_the_nearest(tmp_path, dtype):
    model = Net()
    fit(tmp_path, model, drive(GrowingImages([4])), data=dict(dtype=dtype), max_epochs=4)
    assert {batch.dtype for batch in model.batches} == {dtype}
    fine = interpolate(Images(dtype=dtype).images.double(), (4, 4), mode="bilinear", antialias=True)
    errors = [(fine - image.double()).abs().amax((1, 2, 3)).min() for image in model.batches[0]]
    assert max(errors) <= (0.501 if dtype == torch.uint8 else 0.005)


class OneSize(Net):
    """A flattened head."""

    def __init__(self):
        super().__init__(pooled=False)


class Transformer(nn.Module):
    """A vision transformer with patches of 4; its position embeddings are interpolated or not."""

    def __init__(self, interpolates):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 2)
        self.positions = nn.Parameter(torch.zeros(1, 8, 3, 3))
        self.blocks = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
        self.interpolates = interpolates

    def forward(self, images):
        patches, positions = self.patches(images), self.positions
        if self.interpolates:
            positions = interpolate(positions, patches.shape[-2:], mode="bicubic")
        return self.head(self.blocks((patches + positions).flatten(2).transpose(1, 2)).mean(1))


class Embeds(Net):
    def __init__(self, interpolates):
        super().__init__()
        self.net = Transformer(interpolates)


def test_a_vision_transformer_that_interpolates_its_position_embeddings_works(tmp_path):
    model = Embeds(interpolates=True)
    fit(tmp_path, model, drive(GrowingImages([8])), max_epochs=4)
    assert model.sizes() == each(8, 8, 8, 12)


def masks(x, y):
    return x, (x[0] > 0.5).long()


def half_masks(x, y):
    return x, (x[0, ::2, ::2] > 0.5).long()


def finer_images(x, y):
    return x, interpolate(x[None], scale_factor=2)[0]


def boxes(x, y):
    return x, {"boxes": torch.zeros(2, 4), "label": y}


@pytest.mark.parametrize(
    ("model", "arguments", "data", "text"),
    [
        (OneSize, {}, {}, "training_step fails at 8 px and not at 12 px \\(RuntimeError"),
        (lambda: Embeds(False), {}, {}, "training_step fails at 8 px and not at 12 px \\(RuntimeError"),
        (Net, {"sizes": [8, 13]}, {}, "must be no larger than the 12 px of the images"),
        (Net, {"sizes": [12]}, {}, "must have one below the 12 px of the images"),
        (Net, {"at": [0.2, 0.5]}, {}, "a fraction for each of the 1 growths from \\[8, 12\\] to the 12 px"),
        (Net, {"key": "image"}, {}, "key='image'\\) is not in the batch, which is list of 0: float32"),
        (Net, {"key": 7}, {}, "key=7\\) is not in the batch"),
        (Net, {"key": 1}, {}, "needs images, .* got int64 \\(4,\\) at key=1"),
        (Net, {}, {"pack": lambda x, y: (x, x, y)}, "found several, at 0, 1 in list of"),
        (Net, {"key": 0}, {"pack": lambda x, y: (x, x, y)}, "1 with shape \\(4, 3, 12, 12\\) would have to be resized"),
        (Net, {}, {"pack": masks}, "1 with shape \\(4, 12, 12\\) would have to be resized too"),
        (Net, {}, {"pack": half_masks, "shape": (3, 16, 16)}, "1 with shape \\(4, 8, 8\\) would have to be resized"),
        (Net, {"key": 0}, {"pack": finer_images}, "1 with shape \\(4, 3, 24, 24\\) would have to be resized"),
        (Net, {}, {"pack": lambda x, y: (x, {"boxes": [torch.zeros(4)]})}, "'boxes' with shape \\(4, 4\\) would have"),
        (Net, {"key": ["pair", 2]}, {"pack": lambda x, y: {"pair": (x, y)}}, "key=2\\) is not in the batch"),
        (Net, {}, {"pack": boxes}, "'boxes' with shape \\(4, 2, 4\\) would have to be resized too"),
        (Net, {}, {"dtype": torch.int64}, "found none in list of 0: int64 \\(4, 3, 12, 12\\)"),
        (Net, {"key": 0}, {"dtype": torch.int64}, "got int64 \\(4, 3, 12, 12\\) at key=0"),
        (Net, {}, {"shape": (3, 2, 12, 12)}, "found none in list of 0: float32 \\(4, 3, 2, 12, 12\\)"),
    ],
    ids=[
        "flattened head", "position embeddings", "too large", "nothing to grow", "fractions", "no such key",
        "no such index", "no image", "two images", "target image", "segmentation", "coarse masks", "finer images",
        "list of boxes", "no such nested key", "detection", "int64", "int64 by key", "video",
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_trained(tmp_path, model, arguments, data, text):
    model = model()
    before = copy.deepcopy(list(model.parameters()))
    with pytest.raises(ValueError, match=text):
        fit(tmp_path, model, drive(GrowingImages(**{"sizes": [8, 12], **arguments})), data=data, num_sanity_val_steps=0)
    assert model.trainer.global_step == 0
    assert all(map(torch.equal, before, model.parameters()))
    assert "training_step" not in vars(model)


def test_an_open_run_without_a_rule_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing that makes the images grow in a run without a last epoch"):
        fit(tmp_path, Net(), drive(GrowingImages([8])), max_epochs=-1)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"sizes": []}, TypeError, "must be a list of whole numbers"),
        ({"sizes": 16}, TypeError, "must be a list of whole numbers"),
        ({"sizes": [0, 16]}, ValueError, "sizes must be an int from 1 up, got 0"),
        ({"sizes": [0.5, 1.0]}, TypeError, "sizes must be an int from 1 up, got 0.5"),
        ({"sizes": [16, 8]}, ValueError, "must be ascending, got \\[16, 8\\]"),
        ({"sizes": [8], "rule": AtEpoch(2), "at": [0.5]}, ValueError, "not both"),
        ({"sizes": [8, 16], "at": [0.5, 0.9]}, ValueError, "at must be a number from 0 to 0.75, got 0.9"),
        ({"sizes": [8, 16], "at": [0.6, 0.5]}, ValueError, "ascending fractions"),
        ({"sizes": [8, 16], "at": []}, ValueError, "one for each of the sizes after the first"),
        ({"sizes": [8], "at": 0.5}, TypeError, "must be a list of fractions"),
        ({"sizes": [8], "rule": "Plateau"}, TypeError, "rule must be a Rule"),
        ({"sizes": [8], "key": 0.5}, TypeError, "key must be"),
        ({"sizes": [8], "key": True}, TypeError, "key must be"),
        ({"sizes": [8], "key": []}, TypeError, "key must be"),
        ({"sizes": [8], "key": ["image", None]}, TypeError, "key must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        GrowingImages(**arguments)


def test_an_error_of_the_users_own_stays_what_it_is(tmp_path):
    class Broken(Net):
        def training_step(self, batch, batch_idx):
            raise KeyError("their own")

    with pytest.raises(KeyError, match="their own"):
        fit(tmp_path, Broken(), drive(GrowingImages([8])))


class SavesOften(L.Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch}.ckpt", weights_only=False)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 1:
            trainer.save_checkpoint(self.folder / f"batch-{trainer.current_epoch}.ckpt", weights_only=False)


class Windows(Net):
    """Windows of 4 pixels: 4, 8 and 12 are whole windows, 6 is not."""

    def training_step(self, batch, batch_idx):
        if batch[0].shape[2] % 4:
            raise RuntimeError("no whole windows")
        return super().training_step(batch, batch_idx)


NO_WINDOWS = (
    "at 6 px and not at 12 px \\(RuntimeError: no whole windows\\): from here on the images have their full size"
)


def test_a_size_in_mid_run_that_the_network_does_not_take_costs_a_warning(tmp_path):
    model = Windows()
    with pytest.warns(UserWarning, match=NO_WINDOWS):
        fit(tmp_path, model, drive(GrowingImages([4, 6, 12], at=[0.25, 0.5])))
    assert model.sizes() == each(4, 4, 12, 12, 12, 12, 12, 12)


@pytest.mark.filterwarnings("ignore:.*no whole windows.*:UserWarning")
@pytest.mark.parametrize("done", [2, 3])
def test_a_run_that_was_resumed_at_a_size_that_the_network_does_not_take_was_refused(tmp_path, done):
    """At the first epoch of 6 px, before that was tried, and at the second one, when it had failed."""
    whole, model = Windows(), Windows()
    fit(tmp_path, whole, drive(GrowingImages([4, 6, 12], at=[0.25, 0.5])), extra=[SavesOften(tmp_path)])
    checkpoint = tmp_path / f"epoch-{done - 1}.ckpt"
    fit(tmp_path, model, drive(GrowingImages([4, 6, 12], at=[0.25, 0.5])), ckpt_path=checkpoint)
    assert model.seen == {epoch: whole.seen[epoch] for epoch in range(done, 8)}


def test_a_run_that_early_stopping_ended_with_small_images_said_nothing(tmp_path):
    model, stops = Net(), EarlyStopping("val_loss", min_delta=9.0, patience=2)
    with pytest.warns(
        UserWarning, match="The run ended while its training images had 4 px: it was never trained on the 12"
    ):
        fit(tmp_path, model, drive(GrowingImages([4])), extra=[stops])
    assert model.sizes() == each(4, 4, 4)


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
@pytest.mark.parametrize("name", ["epoch-1", "batch-3", "epoch-3", "epoch-5"])
def test_a_resumed_run_has_the_sizes_and_the_weights_of_the_whole_one(tmp_path, name):
    class Saves(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / f"epoch-{trainer.current_epoch}.ckpt")

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 3 and batch_idx == 1:
                trainer.save_checkpoint(tmp_path / "batch-3.ckpt")

    def callback():
        return drive(GrowingImages([4, 8, 12], rule=AtEpoch(2)), after=Volume(0.75))

    whole, model = Net(), Net()
    for each_model in (whole, model):
        each_model.net[2].p = 0.0  # the generator is not in a checkpoint
    ordered = DataLoader(Images(), batch_size=4)
    fit(tmp_path, whole, callback(), train=ordered, extra=[Saves()])
    fit(tmp_path, model, callback(), train=ordered, ckpt_path=tmp_path / f"{name}.ckpt")
    assert model.seen == {epoch: whole.seen[epoch] for epoch in model.seen}
    assert torch.equal(model.net[0].weight, whole.net[0].weight)


class Averaged(Net):
    """Keeps how far the weights of validation are from those of training; its metric stands still in the end."""

    def __init__(self):
        super().__init__()
        self.net[2].p = 0.0  # the generator is not in a checkpoint
        self.trained, self.distances = None, []

    def on_train_batch_end(self, *_):
        self.trained = self.net[0].weight.detach().clone()

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        if self.trained is not None:
            self.distances.append(float((self.net[0].weight - self.trained).abs().max()))
        self.log("flat", float(min(self.current_epoch, 3)))


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided")
def test_grown_averaged_and_cooled_down_an_open_run_is_resumed_bit_by_bit_from_every_kind_of_moment(tmp_path):
    """At a constant rate, by the metric of averaged weights, which is measured on whole images."""

    def run(*extra, **arguments):
        change = GrowingImages([4, 8, 12], rule=AtEpoch(2))
        drawn = Volume(0.75)  # by us: Lightning begins an epoch of its own again after a checkpoint in mid-epoch
        recipe = Recipe(drawn, drawn, changes=[change], cooldown=Cooldown(min_epochs=2))
        callback = CriticalPeriodCallback(MonitoredMetric("flat"), Plateau(patience=2, mode="max"), recipe)
        model, train = Averaged(), DataLoader(Images(), batch_size=4)
        fit(tmp_path, model, callback, train, extra=[EMAWeightAveraging(decay=0.5), *extra], max_epochs=-1, **arguments)
        return model, callback

    whole, first = run(SavesOften(tmp_path))
    start = first.cooldown_epoch
    assert whole.sizes() == each(4, 4, 8, 8, *[12] * (first.last_epoch - 3))
    assert whole.validated == {(12, 12)}
    assert all(distance > 0 for distance in whole.distances)
    for name in ("epoch-1", "batch-2", "epoch-3", f"epoch-{start - 1}", f"batch-{start}", f"epoch-{start}"):
        model, callback = run(ckpt_path=tmp_path / f"{name}.ckpt")
        assert model.seen == {epoch: whole.seen[epoch] for epoch in model.seen}, name
        assert callback.reason == first.reason, name
        assert all(map(torch.equal, model.state_dict().values(), whole.state_dict().values())), name


def test_a_cooldown_that_begins_while_images_are_small_has_whole_ones(tmp_path):
    model, change = Net(), GrowingImages([4, 8, 12])
    callback = drive(change, rule=Never(), cooldown=Cooldown(fraction=1.0))
    fit(tmp_path, model, callback, max_epochs=10)
    assert callback.cooldown_epoch == 5
    assert model.sizes() == each(*[4] * 5, *[12] * 5)


@pytest.mark.filterwarnings("ignore:The critical period of this run began without:UserWarning")
def test_a_run_that_began_without_the_callback_goes_on_at_the_size_of_its_epoch(tmp_path):
    class Saves(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 4:
                trainer.save_checkpoint(tmp_path / "plain.ckpt")

    fit(tmp_path, Net(), Saves())
    model = Net()
    fit(tmp_path, model, drive(GrowingImages([4, 8, 12], at=[0.25, 0.75])), ckpt_path=tmp_path / "plain.ckpt")
    assert model.sizes() == {5: {8}, 6: {12}, 7: {12}}


def test_an_observer_and_a_run_at_full_size_are_bit_identical_to_a_run_without(tmp_path):
    """From the first batch at full size on, what looked at that batch has drawn nothing and changed nothing."""
    runs = []
    for callback in (
        None,
        CriticalPeriodCallback(rule=AtEpoch(0), recipe=Recipe(changes=[GrowingImages([4])]), observe_only=True),
        drive(GrowingImages([4], rule=AtEpoch(0)), rule=Never()),
    ):
        model = Net()
        fit(tmp_path, model, L.Callback() if callback is None else callback)
        runs.append(torch.cat([value.flatten().float() for value in model.state_dict().values()]))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


def test_hooks_of_the_user_around_the_transfer_run_on_the_whole_images(tmp_path):
    class Hooks(Net):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            self.transferred = tuple(batch[0].shape[-2:])
            return batch

    model = Hooks()
    fit(tmp_path, model, drive(GrowingImages([4])), max_epochs=4)
    assert model.transferred == (12, 12)
    assert model.sizes() == each(4, 4, 4, 12)


def test_accumulation_manual_optimization_and_no_batch_index(tmp_path):
    class Manual(Net):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch):
            loss = super().training_step(batch, 0)
            self.optimizers().zero_grad()
            self.manual_backward(loss)
            self.optimizers().step()

    model, accumulates = Manual(), Net()
    fit(tmp_path, model, drive(GrowingImages([4])), max_epochs=4)
    fit(tmp_path, accumulates, drive(GrowingImages([4])), max_epochs=4, accumulate_grad_batches=2)
    assert model.sizes() == accumulates.sizes() == each(4, 4, 4, 12)


def test_a_guard_does_not_shrink_images_again(tmp_path):
    class Drops(Net):
        def on_validation_epoch_end(self):
            self.log("falls", -float(self.current_epoch))

    model, guard = Drops(), Guard("falls", max_drop=0.5, mode="max")
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=[GrowingImages([4])])
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe, guard=guard)
    fit(tmp_path, model, callback)
    assert callback.back_epoch == 3
    assert model.sizes() == each(4, 4, 12, 12, 12, 12, 12, 12)


@pytest.mark.parametrize("epochs", [-1, 20])
def test_a_guard_that_fired_in_the_cooldown_had_shrunk_the_images_again(tmp_path, epochs):
    class Drops(Net):
        def on_validation_epoch_end(self):
            self.log("falls", -float(self.current_epoch))

    model, guard = Drops(), Guard("falls", max_drop=0.5, mode="max")
    changes = [GrowingImages([4, 8, 12], rule=AtEpoch(9))]
    recipe = Recipe(after=Volume(), annealing_fraction=0, changes=changes, cooldown=Cooldown(min_epochs=4))
    callback = CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe, guard=guard)
    fit(tmp_path, model, callback, max_epochs=epochs)
    assert (callback.cooldown_epoch, callback.back_epoch) == (2, 3)
    assert model.sizes() == each(4, 4, 12, 12, 12, 12)


@pytest.mark.parametrize("views", [1, 2])
def test_a_run_that_max_steps_ended_before_max_epochs_never_had_whole_images(tmp_path, views):
    """24 steps are 8 epochs of 3 batches, or 4 of 6."""
    model, volume = Net(), Volume(augmentation_multiplier=views)
    change = GrowingImages([4, 8], at=[0.5, 0.75])
    callback = drive(change, rule=Never(), during=volume, after=volume)
    fit(tmp_path, model, callback, max_epochs=100, max_steps=24)
    assert model.sizes() == (each(4, 4, 4, 4, 8, 8, 12, 12) if views == 1 else each(4, 4, 8, 12))
    assert callback.timeline.max_epochs == 8 // views


def test_a_second_fit_starts_small_again(tmp_path):
    change = GrowingImages([4])
    callback = drive(change)
    first, second = Net(), Net()
    fit(tmp_path, first, callback)
    fit(tmp_path, second, callback, data=dict(shape=(3, 8, 8)))
    assert second.sizes()[0] == {4}
    assert second.sizes()[7] == {8}


def test_the_costs_of_small_steps_are_counted_and_the_full_recipe_has_whole_images(tmp_path):
    """FLOPs by torch's own counter, once a size; a convolution and a linear layer, forward and backward."""

    def per_image(size):
        network = Net().net
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(4, 3, size, size)).sum().backward()
        return counter.get_total_flops() / 4

    callback, costs = drive(GrowingImages([4, 8, 12], at=[0.25, 0.5])), CostMonitor()
    trainer = fit(tmp_path, Net(), callback, extra=[costs])
    record = collect(trainer, "completed")
    assert record.measured.flops == 12 * (2 * per_image(4) + 2 * per_image(8) + 4 * per_image(12))
    assert record.projected.flops == 12 * 8 * per_image(12)
    assert record.decision.recipe.changes["image_size"] == "during 4 then 8, after 8 then 12"


def test_the_size_may_live_in_the_datamodule_instead(tmp_path):
    """Where loading is the bottleneck, `Phased` makes decoding and augmenting cheaper too."""

    class Data(L.LightningDataModule):
        image_size = 12

        def train_dataloader(self):
            return loader(shape=(3, self.image_size, self.image_size))

        def val_dataloader(self):
            return loader(False)

    model = Net()
    trainer = make_trainer(tmp_path, [drive(Phased("datamodule.image_size", during=6, after=12))])
    trainer.fit(model, Data())
    assert model.sizes() == each(6, 6, 6, 12, 12, 12)
    assert model.validated == {(12, 12)}
