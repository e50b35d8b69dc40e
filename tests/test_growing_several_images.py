"""Low resolution first where a batch has images in several places: semi-supervised training, two cameras."""

import copy
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import lightning as L
import pytest
import torch
from conftest import TinyData, TinyModel
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.utilities import CombinedLoader
from test_growing_images import Images, Net, drive, each, fit
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import CostMonitor, CriticalPeriodCallback, GrowingImages, Volume
from lightning_critperiod.record import collect


class FixMatch(Net):
    """Strongly augmented images get the class that the weakly augmented ones have; a loader at its end has None."""

    def training_step(self, batch, batch_idx):
        losses = []
        if batch["labelled"] is not None:
            losses.append(super().training_step(batch["labelled"], batch_idx))
        if batch["unlabelled"] is not None:
            weak, strong = batch["unlabelled"]
            self.seen.setdefault(self.current_epoch, set()).update({tuple(weak.shape[-2:]), tuple(strong.shape[-2:])})
            losses.append(cross_entropy(self.net(strong), self.net(weak).detach().argmax(1)))
        return sum(losses)


def streams(mode="max_size_cycle", labelled=4, shuffle=True):
    """12 labelled images, and 12 unlabelled ones as two views of another batch size."""
    views = Images(pack=lambda x, y: (x, x.flip(2)))
    both = {
        "labelled": DataLoader(Images(), batch_size=labelled, shuffle=shuffle),
        "unlabelled": DataLoader(views, batch_size=2, shuffle=shuffle),
    }
    return CombinedLoader(both, mode)


GROWN = [4, 4, 8, 8, 12, 12, 12, 12]
KEY = [["labelled", 0], ["unlabelled"]]


class Looks(L.Callback):
    def __init__(self):
        self.sizes = set()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        tensors = [batch["labelled"][0], *batch["unlabelled"]]
        self.sizes |= {each.shape[-1] for each in tensors}


def test_labelled_and_unlabelled_images_of_two_loaders_grow_together(tmp_path):
    model, looks, callback = FixMatch(), Looks(), drive(GrowingImages([4, 8, 12], key=KEY))
    fit(tmp_path, model, callback, train=streams(), extra=[looks])
    assert model.sizes() == each(4, 4, 4, 8, 8, 8, 12, 12)
    assert model.validated == {(12, 12)}
    assert looks.sizes == {12}
    assert [callback.settings[epoch]["image_size"] for epoch in range(8)] == [4, 4, 4, 8, 8, 8, 12, 12]
    assert "training_step" not in vars(model)


@pytest.mark.parametrize("labelled", [2, 4])
def test_a_loader_that_is_at_its_end_leaves_none_and_the_others_images_are_small(tmp_path, labelled):
    """`max_size`: 6 batches of the unlabelled ones, and 6 or 3 of the labelled ones, then None."""
    model = FixMatch()
    fit(tmp_path, model, drive(GrowingImages([4], key=KEY)), train=streams("max_size", labelled), max_epochs=4)
    assert model.sizes() == each(4, 4, 4, 12)


class Cameras(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor
    label: torch.Tensor


@dataclass(frozen=True)
class Frozen:
    left: torch.Tensor
    right: torch.Tensor
    label: torch.Tensor


LEFT = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
RIGHT = LEFT.flip(3)
LABEL = torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("batch", "key", "left", "right"),
    [
        ((LEFT, LABEL, RIGHT), [[0], [2]], lambda b: b[0], lambda b: b[2]),
        ([LEFT, LABEL, RIGHT], ((0,), (-1,)), lambda b: b[0], lambda b: b[2]),
        ({"left": LEFT, "right": RIGHT, "y": LABEL}, [["left"], ["right"]], lambda b: b["left"], lambda b: b["right"]),
        (Cameras(LEFT, RIGHT, LABEL), [["left"], [1]], lambda b: b.left, lambda b: b.right),
        (Frozen(LEFT, RIGHT, LABEL), [["left"], ["right"]], lambda b: b.left, lambda b: b.right),
        (SimpleNamespace(a=[LEFT, RIGHT], y=LABEL), [["a", 0], ["a", 1]], lambda b: b.a[0], lambda b: b.a[1]),
        (({"a": LEFT, "y": LABEL}, (RIGHT, None)), [[0, "a"], [1, 0]], lambda b: b[0]["a"], lambda b: b[1][0]),
        ([[LEFT, RIGHT], LABEL], [[0]], lambda b: b[0][0], lambda b: b[0][1]),
        ({"left": LEFT, "right": {"b": RIGHT}}, [["left"], ["right"]], lambda b: b["left"], lambda b: b["right"]["b"]),
    ],
    ids=["tuple", "list", "dict", "named tuple", "frozen", "one parent", "nested", "one path", "a dict of views"],
)  # fmt: skip
def test_images_at_several_keys_are_small_and_the_batch_of_others_is_untouched(batch, key, left, right):
    change, before = GrowingImages([4, 8], key=key), copy.deepcopy(batch)
    assert change.find(batch) == 12
    small = change.shrunk(batch, 4)
    assert type(small) is type(batch)
    alone = GrowingImages([4])
    alone.find(LEFT)
    for found, whole in ((left(small), LEFT), (right(small), RIGHT)):
        assert torch.equal(found, alone.shrunk(whole, 4))
    assert change.elements(small) == 2 * left(small).numel()
    assert change.elements(batch) == 2 * LEFT.numel()
    for found, whole in ((left(batch), left(before)), (right(batch), right(before))):
        assert torch.equal(found, whole)
    assert change.shrunk(batch, 12) is batch


def test_later_batches_may_differ_in_size_from_place_to_place():
    change = GrowingImages([4, 8], key=[["left"], ["right"]])
    change.find({"left": LEFT, "right": RIGHT})
    small = change.shrunk({"left": LEFT, "right": RIGHT[..., :6, :6]}, 8)
    assert small["left"].shape[-1] == 8
    assert small["right"].shape[-1] == 6
    assert change.shrunk({"left": None, "right": None}, 8) == {"left": None, "right": None}


class ReadOnly:
    y = LABEL

    @property
    def left(self):
        return LEFT


def test_images_that_cannot_be_replaced_were_recorded_as_small_and_stayed_whole():
    with pytest.raises(ValueError, match=r"at key=\[\['left'\]\] of a copy .* ReadOnly.* no setter\): name a place"):
        GrowingImages([4], key="left").find(ReadOnly())


def cameras(**other):
    return lambda x, y: {"left": x, "right": x.flip(2), "y": y, **{name: make(x) for name, make in other.items()}}


@pytest.mark.parametrize(
    ("key", "pack", "text"),
    [
        (None, cameras(), r"several, at 'left', 'right' in .* or key=\[\['left'\], \['right'\]\] if all of these are"),
        (["left", "right"], cameras(), r"such as key=\['left', 'right'\] is one path, which leads to 'right' inside "
         r"'left'. To name several parts of the batch give a list of lists: key=\[\['left'\], \['right'\]\]"),
        ("left", cameras(), r"'right' with shape .* or give key=\[\['left'\], \['right'\]\] if it is an image too"),
        ([["left"], ["right"]], cameras(third=lambda x: x), r"or give key=\[\['left'\], \['right'\], \['third'\]\]"),
        ([["left"], ["right"]], cameras(mask=lambda x: x[0] > 0), r"'mask' with shape .* too, .* by Phased\.$"),
        ([["left"], ["right"]], cameras(boxes=lambda x: x[0, :2, :4]), r"'boxes' with shape .* by Phased\.$"),
        ([["left"], ["half"]], cameras(half=lambda x: x[:, ::2, ::2]), "12 px at .*left.*, 6 px at .*half.*: name"),
        ([["left"], ["rigth"]], cameras(), r"key='rigth'\) is not in the batch, which is dict of .*\)\.$"),
        ([["left"], ["y"]], cameras(), r"needs images, .* got int64 \(4,\) at key=\['y'\]\.$"),
        ([["left"], ["o"]], cameras(o=lambda x: (x, 1)), r"at key=\['o'\]: name the images alone, key=\[\['o', 0\]\]"),
        ([["left"], ["none"]], cameras(none=lambda x: []), r"needs images, .* got list at key=\['none'\]\.$"),
        (["fake", "real"], cameras(real=lambda x: x, fake=lambda x: x), "'fake'. To name several"),
    ],
    ids=[
        "no key", "flat list", "one of two", "two of three", "mask", "boxes", "two sizes", "misspelled", "label",
        "with a label", "empty list", "names of attributes",
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_trained(tmp_path, key, pack, text):
    model = Net(lambda batch: (batch["left"] + batch["right"], batch["y"]))
    with pytest.raises(ValueError, match=text):
        fit(tmp_path, model, drive(GrowingImages([4], key=key)), data=dict(pack=pack), num_sanity_val_steps=0)
    assert model.trainer.global_step == 0


def test_a_run_whose_first_batch_has_none_where_the_images_should_be_is_refused(tmp_path):
    nothing = DataLoader(Images(), batch_size=4, collate_fn=lambda samples: {"left": None, "right": None})
    with pytest.raises(ValueError, match="GrowingImages needs images in the first batch, got None where they are"):
        fit(tmp_path, Net(), drive(GrowingImages([4], key=[["left"], ["right"]])), nothing, num_sanity_val_steps=0)


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ([["left"], "right"], TypeError, r"got \[\['left'\], 'right'\], which mixes both"),
        ([["left"], []], TypeError, r"key must be .* got \[\]"),
        ([["left"], [None]], TypeError, r"key must be .* got \[None\]"),
        ([["left"], [["right"]]], TypeError, r"key must be .* got \[\['right'\]\]"),
        ([["left"], ["left"]], ValueError, r"names \['left'\] twice"),
        ([["views", 0], ["views"]], ValueError, r"names \['views', 0\] twice, as \['views'\] is named too"),
    ],
)
def test_wrong_keys_are_refused(key, error, text):
    with pytest.raises(error, match=text):
        GrowingImages([4], key=key)


def test_the_operations_of_small_steps_are_counted_and_the_full_recipe_has_whole_images(tmp_path):
    """3 batches of 4 images a side: forward of two, backward of the sum."""

    def per_epoch(size):
        network, images = Net().net, torch.zeros(4, 3, size, size)
        with FlopCounterMode(display=False) as counter:
            (network(images).sum() + network(images).sum()).backward()
        return 3 * counter.get_total_flops()

    class Two(Net):
        def training_step(self, batch, batch_idx):
            return sum(
                super(Two, self).training_step((batch[side], batch["y"]), batch_idx) for side in ("left", "right")
            )

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", 0.0)

    change = GrowingImages([4, 8, 12], key=[["left"], ["right"]], at=[0.25, 0.5])
    costs, callback = CostMonitor(), drive(change)
    trainer = fit(tmp_path, Two(), callback, data=dict(pack=cameras()), extra=[costs])
    record = collect(trainer, "completed")
    assert record.measured.flops == 2 * per_epoch(4) + 2 * per_epoch(8) + 4 * per_epoch(12)
    assert record.projected.flops == 8 * per_epoch(12)
    assert record.decision.recipe.changes["image_size"] == "during 4 then 8, after 8 then 12"


def test_the_cost_of_a_small_step_counts_every_place_by_its_images(tmp_path):
    class Asks(FixMatch):
        def on_train_epoch_end(self):
            costs.append(change.relative_cost)

    costs, change = [], GrowingImages([4, 8], key=KEY)
    fit(tmp_path, Asks(), drive(change), train=streams())
    assert costs == pytest.approx([1 / 9] * 3 + [4 / 9] * 3 + [1] * 2)


class SavesSteps(L.Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        name = f"{trainer.current_epoch}-{batch_idx}.ckpt"
        trainer.save_checkpoint(self.folder / name, weights_only=False)


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
@pytest.mark.parametrize("key", [KEY, ["labelled", 0]], ids=["both", "labelled"])
def test_a_resumed_run_has_the_sizes_and_the_weights_of_the_whole_one(tmp_path, key):
    """Also from where the labelled ones are at their end: the next batch has None, and a single key was refused."""

    def run(*extra, **arguments):
        model = FixMatch()
        model.net[2].p = 0.0  # the generator is not in a checkpoint
        volume = Volume(0.999)  # drawn by us: Lightning begins an epoch of its own again after a checkpoint in it
        callback = drive(GrowingImages([4, 8, 12], key=key, at=[0.25, 0.5]), during=volume, after=volume)
        fit(tmp_path, model, callback, train=streams("max_size", shuffle=False), extra=extra, **arguments)
        return model

    whole = run(SavesSteps(tmp_path))
    assert whole.sizes() == {epoch: {size, *([] if key == KEY else [12])} for epoch, size in enumerate(GROWN)}
    for name in ("1-0", "1-3", "2-4", "3-5", "5-2"):
        resumed = run(ckpt_path=tmp_path / f"{name}.ckpt")
        for epoch in [epoch for epoch in resumed.seen if epoch > int(name[0])]:
            assert resumed.seen[epoch] == whole.seen[epoch], name
        assert torch.equal(resumed.net[0].weight, whole.net[0].weight), name


# LightningCLI 2.6.6 calls what jsonargparse 4.53 deprecates.
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.parametrize("key", [[["labelled", 0], ["unlabelled"]], [[0], [2]], ["labelled", 0], "image", 0])
def test_a_config_names_the_same_images_as_python(tmp_path, monkeypatch, key):
    change = {"class_path": "lightning_critperiod.GrowingImages", "init_args": {"sizes": [4], "key": key}}
    (tmp_path / "own.yaml").write_text(f"""
trainer:
  callbacks:
    - class_path: lightning_critperiod.CriticalPeriodCallback
      init_args:
        recipe: {{changes: [{json.dumps(change)}]}}
""")
    monkeypatch.setattr("sys.argv", ["main.py", "--config", str(tmp_path / "own.yaml")])
    cli = LightningCLI(TinyModel, TinyData, run=False, save_config_callback=None)
    (made,) = next(c for c in cli.trainer.callbacks if isinstance(c, CriticalPeriodCallback)).recipe.changes
    assert made.keys == GrowingImages([4], key=key).keys
