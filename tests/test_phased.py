"""One value per phase of an attribute of module or datamodule: what training saw, and that nothing stays behind."""

import lightning as L
import pytest
import torch
from conftest import Numbered, TinyData, TinyModel, make_trainer
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from lightning_critperiod import AtEpoch, Cooldown, CriticalPeriodCallback, Never, Phased, Recipe, Volume

FULL = Volume()


def drive(*changes, epoch=2, annealing=0.25):
    recipe = Recipe(after=FULL, annealing_fraction=annealing, changes=changes)
    return CriticalPeriodCallback(rule=AtEpoch(epoch), recipe=recipe)


def fit(tmp_path, model, data, *callbacks, **arguments):
    L.seed_everything(1, verbose=False)
    trainer = make_trainer(tmp_path, callbacks, **arguments)
    trainer.fit(model, data, ckpt_path=arguments.pop("ckpt_path", None))
    return trainer


class Drops(TinyModel):
    """Its block has dropout; what held at every training step is seen from the forward itself."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Dropout(0.5))
        self.seen = {}

    def training_step(self, batch, batch_idx):
        self.seen.setdefault(self.current_epoch, set()).add(self.block[0].p)
        return super().training_step(batch, batch_idx)


def test_dropout_of_a_block_has_the_value_of_each_phase(tmp_path):
    model = Drops()
    callback = drive(Phased("block.0.p", during=0.4, after=0.1, annealing=0.2))
    fit(tmp_path, model, TinyData(), callback)
    assert model.seen == {0: {0.4}, 1: {0.4}, 2: {0.1}, 3: {0.1}, 4: {0.1}, 5: {0.2}}
    assert [callback.settings[epoch]["phased/block.0.p"] for epoch in range(6)] == [0.4, 0.4, 0.1, 0.1, 0.1, 0.2]
    assert model.block[0].p == 0.5


def test_a_phase_without_a_value_keeps_the_users_own(tmp_path):
    model = Drops()
    fit(tmp_path, model, TinyData(), drive(Phased("block.0.p", after=0.0)))
    assert model.seen == {0: {0.5}, 1: {0.5}, 2: {0.0}, 3: {0.0}, 4: {0.0}, 5: {0.5}}


class Mixes(TinyModel):
    """MixUp or CutMix of torchvision with a probability that is an attribute."""

    def __init__(self):
        super().__init__()
        self.mix_probability = 1.0
        self.mix = v2.RandomChoice([v2.MixUp(num_classes=2), v2.CutMix(num_classes=2)])
        self.mixed = {}

    def training_step(self, batch, batch_idx):
        _, x, y = batch
        images = x.reshape(len(x), 1, 2, 2)
        mixes = torch.rand(()).item() < self.mix_probability
        if mixes:
            images, y = self.mix(images, y)
        self.mixed.setdefault(self.current_epoch, set()).add(mixes)
        return nn.functional.cross_entropy(self.net(images.flatten(1)), y)


def test_the_probability_of_mixup_and_cutmix_ends_with_the_period(tmp_path):
    model = Mixes()
    fit(tmp_path, model, TinyData(), drive(Phased("mix_probability", after=0.0, annealing=0.0)))
    assert model.mixed == {0: {True}, 1: {True}, **{epoch: {False} for epoch in range(2, 6)}}


class Distills(TinyModel):
    """A teacher whose forward is skipped while its loss has no weight."""

    def __init__(self):
        super().__init__()
        self.teacher = nn.Linear(4, 2).requires_grad_(False)
        self.teacher_weight = 0.5
        self.forwards = {}
        self.teacher.register_forward_hook(self._count)

    def _count(self, *_):
        self.forwards[self.current_epoch] = self.forwards.get(self.current_epoch, 0) + 1

    def loss(self, batch):
        loss = super().loss(batch)
        if self.training and self.teacher_weight:
            _, x, _ = batch
            loss = loss + self.teacher_weight * nn.functional.mse_loss(self.net(x), self.teacher(x))
        return loss


def test_a_teacher_is_not_asked_any_more_where_its_weight_is_zero(tmp_path):
    model = Distills()
    fit(tmp_path, model, TinyData(), drive(Phased("teacher_weight", after=0.0, annealing=0.0)))
    assert model.forwards == {0: 9, 1: 9}


class Images(Dataset):
    """Says in every sample, from inside the worker, what held there."""

    def __init__(self, size, magnitude):
        self.size = size
        self.augment = v2.RandAugment(magnitude=magnitude)

    def __len__(self):
        return 16

    def __getitem__(self, number):
        image = torch.zeros(3, self.size, self.size, dtype=torch.uint8)
        return number, self.augment(image).float().mean((1, 2)), self.size, self.augment.magnitude


class ImageData(L.LightningDataModule):
    def __init__(self, **loader):
        super().__init__()
        self.image_size, self.magnitude, self.loader, self.calls = 8, 9, loader, 0

    def train_dataloader(self):
        self.calls += 1
        return DataLoader(Images(self.image_size, self.magnitude), batch_size=4, **self.loader)


class Looks(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 1)
        self.seen = {}

    def training_step(self, batch, batch_idx):
        _, x, sizes, magnitudes = batch
        pairs = set(zip(sizes.tolist(), magnitudes.tolist(), strict=True))
        self.seen.setdefault(self.current_epoch, set()).update(pairs)
        return self.net(x).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


WORKERS = [dict(), dict(num_workers=1), dict(num_workers=1, persistent_workers=True)]
CHANGES = (
    lambda: Phased("datamodule.image_size", during=4, after=6),
    lambda: Phased("datamodule.magnitude", after=0, annealing=3),
)


@pytest.mark.parametrize("loader", WORKERS, ids=["no workers", "workers", "persistent workers"])
def test_image_size_and_randaugment_magnitude_reach_the_workers(tmp_path, loader):
    model, data = Looks(), ImageData(**loader)
    fit(tmp_path, model, data, drive(*(make() for make in CHANGES)))
    assert model.seen == {
        0: {(4, 9)}, 1: {(4, 9)}, 2: {(6, 0)}, 3: {(6, 0)}, 4: {(6, 0)}, 5: {(8, 3)},
    }  # fmt: skip
    assert data.calls == 3
    assert (data.image_size, data.magnitude) == (8, 9)


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
@pytest.mark.parametrize("name", ["epoch-1", "epoch-3", "batch-2"])
def test_a_resumed_run_has_the_values_of_its_phase_from_the_first_batch_on(tmp_path, name):
    class Saves(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / f"epoch-{trainer.current_epoch}.ckpt")

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 2 and batch_idx == 1:
                trainer.save_checkpoint(tmp_path / "batch-2.ckpt")

    whole, model = Looks(), Looks()
    fit(tmp_path, whole, ImageData(num_workers=1), drive(*(make() for make in CHANGES)), Saves())
    trainer = make_trainer(tmp_path, [drive(*(make() for make in CHANGES))])
    trainer.fit(model, ImageData(num_workers=1), ckpt_path=tmp_path / f"{name}.ckpt")
    assert model.seen == {epoch: whole.seen[epoch] for epoch in model.seen}
    assert max(model.seen) == 5
    assert torch.equal(model.net.weight, whole.net.weight)


def test_a_period_that_never_ends_leaves_the_run_bit_identical(tmp_path):
    plain, phased = Drops(), Drops()
    phased.load_state_dict(plain.state_dict())
    fit(tmp_path, plain, TinyData())
    recipe = Recipe(changes=[Phased("block.0.p", after=0.1)])
    fit(tmp_path, phased, TinyData(), CriticalPeriodCallback(rule=Never(), recipe=recipe))
    assert plain.drawn() == phased.drawn()
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), phased.parameters(), strict=True))


def test_an_attribute_of_the_class_does_not_stay_behind_on_the_instance(tmp_path):
    class OfClass(Drops):
        alpha = 0.2

    model = OfClass()
    fit(tmp_path, model, TinyData(), drive(Phased("alpha", after=0.0)))
    assert model.alpha == 0.2
    assert "alpha" not in vars(model)


class ReadOnly(Drops):
    @property
    def fixed(self):
        return 1.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda: Phased("nothing", after=0.1), "ReadOnly has no 'nothing'"),
        (lambda: Phased("block.7.p", after=0.1), "Sequential has no '7'"),
        (lambda: Phased("fixed", after=0.1), "read-only"),
        (lambda: Phased("block.0.p", after="none"), "must keep the type of the attribute, float \\(0.5\\), got 'none'"),
        (lambda: Phased("block.0.p", after=True), "must keep the type"),
        (lambda: Phased("datamodule.size", after=1), "TinyData has no 'size'"),
        (lambda: Phased("datamodule", after=1), "needs a datamodule and the name of its attribute"),
    ],
)
def test_what_cannot_be_set_is_refused_before_the_first_batch(tmp_path, change, text):
    model = ReadOnly()
    with pytest.raises(ValueError, match=text):
        fit(tmp_path, model, TinyData(), drive(change()))
    assert not model.seen
    assert model.block[0].p == 0.5


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (dict(path=3, after=1), TypeError, "path must be the dotted path of an attribute, got 3"),
        (dict(path="a..b", after=1), ValueError, "got 'a..b'"),
        (dict(path="a"), ValueError, "needs a value for a phase"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        Phased(**arguments)


def test_a_recipe_refuses_two_changes_of_one_attribute():
    with pytest.raises(ValueError, match="two of 'phased/a'"):
        Recipe(changes=[Phased("a", after=1), Phased("a", during=2)])


def test_a_value_for_a_cooldown_that_the_recipe_does_not_have_was_ignored_in_silence():
    changes = [Phased("alpha", cooldown=0.0)]
    with pytest.raises(ValueError, match="has a setting for the cooldown, but the recipe has no cooldown"):
        Recipe(changes=changes)
    assert Recipe(changes=changes, cooldown=Cooldown()).changes == tuple(changes)


def test_a_length_may_change_with_the_datamodules_attribute(tmp_path):
    """The loader that is set up again is longer: the volume and the epoch's length follow it."""

    class Grows(TinyData):
        def train_dataloader(self):
            return DataLoader(Numbered(self.n), batch_size=self.batch_size, **self.loader)

    model = TinyModel()
    recipe = Recipe(after=Volume(0.5), annealing_fraction=0, changes=[Phased("datamodule.n", after=64)])
    fit(tmp_path, model, Grows(n=16), CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe), max_epochs=4)
    assert {epoch: len(numbers) for epoch, numbers in model.drawn().items()} == {0: 16, 1: 16, 2: 32, 3: 32}
