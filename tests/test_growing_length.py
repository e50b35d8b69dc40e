"""Short sequences first: what the network saw, refusals, and what it costs. The rest is in test_growing_images."""

import copy
import json
from collections import UserDict

import lightning as L
import pytest
import torch
from conftest import make_trainer
from test_growing_images import drive, each
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod import AtEpoch, CostMonitor, GrowingLength, Never, Volume
from lightning_critperiod.record import collect

LETTERS = 11


def texts(length=12, n=12):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(LETTERS, (n, length), generator=generator)


def pair(tokens):
    """Tokens, and the label of every position: the next one."""
    return tokens, tokens.roll(-1)


def loader(samples, shuffle=False, **arguments):
    return DataLoader(samples, batch_size=4, shuffle=shuffle, **arguments)


class Net(L.LightningModule):
    """Attention over a sequence of any length; ``part`` takes tokens and labels out of a batch."""

    def __init__(self, part=lambda batch: batch, places=12):
        super().__init__()
        torch.manual_seed(0)
        self.letters, self.places = nn.Embedding(LETTERS, 8), nn.Embedding(places, 8)
        self.inward, self.head = nn.Linear(8, 24), nn.Linear(8, LETTERS)
        self.part, self.seen, self.validated, self.batches = part, {}, set(), []

    def forward(self, tokens):
        x = self.letters(tokens) + self.places.weight[: tokens.shape[1]]
        queries, keys, values = self.inward(x).chunk(3, -1)
        scores = (queries @ keys.mT).masked_fill(torch.ones(tokens.shape[1], tokens.shape[1]).triu(1) > 0, -torch.inf)
        return self.head(scores.softmax(-1) @ values)

    def loss(self, tokens, labels):
        return cross_entropy(self(tokens).flatten(0, 1), labels.view(-1))

    def training_step(self, batch, batch_idx):
        self.batches.append(batch)
        tokens, labels = self.part(batch)
        self.seen.setdefault(self.current_epoch, set()).add(tokens.shape[1])
        return self.loss(tokens, labels)

    def validation_step(self, batch, batch_idx):
        tokens, labels = self.part(batch)
        self.validated.add(tokens.shape[1])
        self.log("val_loss", self.loss(tokens, labels), batch_size=len(tokens))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


class Looks(L.Callback):
    """Keeps the batches that other callbacks see."""

    def __init__(self):
        self.batches = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.batches.append(batch)


def fit(tmp_path, model, callback, train=None, extra=(), ckpt_path=None, **arguments):
    L.seed_everything(1, verbose=False)
    train = loader([pair(text) for text in texts()]) if train is None else train
    trainer = make_trainer(tmp_path, [callback, *extra], **{"max_epochs": 8, **arguments})
    trainer.fit(model, train, train, ckpt_path=ckpt_path)
    return trainer


def test_the_sequences_grow_with_the_end_of_the_period_and_are_whole_in_the_last_quarter(tmp_path):
    model, looks, callback = Net(), Looks(), drive(GrowingLength([3, 6, 12]))
    fit(tmp_path, model, callback, extra=[looks])
    assert model.seen == each(3, 3, 3, 6, 6, 6, 12, 12)
    assert model.validated == {12}
    assert [callback.settings[epoch]["sequence_length"] for epoch in range(8)] == [3, 3, 3, 6, 6, 6, 12, 12]
    assert "training_step" not in vars(model)
    for cut, whole in zip(model.batches, looks.batches, strict=True):
        for i in range(2):
            assert whole[i].shape == (4, 12)
            assert torch.equal(cut[i], whole[i][:, : cut[i].shape[1]])


@pytest.mark.parametrize(
    ("change", "rule", "lengths"),
    [
        (GrowingLength([3, 6], at=[0.25, 0.5]), AtEpoch(3), [3, 3, 6, 6, 12, 12, 12, 12]),
        (GrowingLength([3, 6, 12], rule=AtEpoch(2)), Never(), [3, 3, 6, 6, 12, 12, 12, 12]),
        (GrowingLength([3, 6]), Never(), [3, 3, 3, 3, 3, 6, 12, 12]),
    ],
    ids=["fractions", "rule", "never fires"],
)
def test_lengths_grow_at_fractions_by_a_rule_or_in_time(tmp_path, change, rule, lengths):
    model = Net()
    fit(tmp_path, model, drive(copy.deepcopy(change), rule=rule))
    assert model.seen == each(*lengths)


def collated(make):
    """A loader whose batches ``make`` makes from the tokens (4, 12)."""
    return loader(list(texts()), collate_fn=lambda tokens: make(torch.stack(tokens)))


@pytest.mark.parametrize(
    ("make", "part", "keys"),
    [
        (lambda x: x, lambda batch: (batch, batch), None),
        (lambda x: {"x": x, "mask": x > 0, "n": x[:, 0]}, lambda b: (b["x"] * b["mask"], b["x"]), None),
        (lambda x: UserDict(x=x, y=x), lambda batch: (batch["x"], batch["y"]), None),
        (lambda x: ((x, x > 0), x, x[:, :1]), lambda batch: (batch[0][0] * batch[0][1], batch[1]), None),
        (lambda x: (x, x, x.float() + 0.5), lambda batch: (batch[0], batch[1]), [0, 1]),
        (lambda x: ({"x": x, "z": x.float()}, x), lambda batch: (batch[0]["x"], batch[1]), [[0, "x"], 1]),
        (lambda x: (x[..., None].expand(-1, -1, 5).float(), x), lambda b: (b[0][..., 0].long(), b[1]), [0, 1]),
    ],
    ids=["tensor", "dict", "mapping", "nested", "keys", "paths", "features"],
)
def test_the_sequences_are_found_in_every_container(tmp_path, make, part, keys):
    model = Net(part)
    fit(tmp_path, model, drive(GrowingLength([3], keys=keys)), train=collated(make), max_epochs=4)
    assert model.seen == each(3, 3, 3, 12)


def of_lengths(*lengths):
    """One batch of each length."""
    return DataLoader([pair(texts(length, 4)) for length in lengths], batch_size=None)


def test_batches_that_differ_in_length_are_cut_or_stay(tmp_path):
    """Padded to the longest of each, say. The full length is that of the first batch."""
    model = Net()
    fit(tmp_path, model, drive(GrowingLength([4, 8])), train=of_lengths(8, 2, 12))
    assert model.seen == {epoch: {2, 4} if epoch < 3 else {2, 8, 12} for epoch in range(8)}


def test_a_loss_over_no_label_had_made_the_weights_nan(tmp_path):
    """Labels of a prompt are -100, which the loss ignores: cut to 4 positions, the second batch had none left."""
    inputs, labels = pair(texts())
    labels[4:8, :6] = -100
    model = Net()
    fit(tmp_path, model, drive(GrowingLength([4])), train=loader(list(zip(inputs, labels, strict=True))), max_epochs=4)
    assert model.seen == {0: {4, 12}, 1: {4, 12}, 2: {4, 12}, 3: {12}}
    assert all(value.isfinite().all() for value in model.parameters())


class OneLength(Net):
    """Adds all its position embeddings."""

    def forward(self, tokens):
        return self.head(self.letters(tokens) + self.places.weight)


def left_padded(x):
    mask = torch.ones_like(x)
    mask[1, :3] = 0
    return {"x": x, "y": x, "attention_mask": mask}


@pytest.mark.parametrize(
    ("model", "arguments", "make", "text"),
    [
        (OneLength, {}, pair, "training_step fails at 8 positions and not at 12 positions \\(RuntimeError"),
        (Net, {"lengths": [8, 13]}, pair, "must be no larger than the 12 positions of the sequences"),
        (Net, {"lengths": [12]}, pair, "must have one below the 12 positions of the sequences"),
        (Net, {"keys": ["tokens"]}, pair, "key='tokens'\\) is not in the batch, which is tuple of 0: int64"),
        (Net, {"keys": [0, 2]}, pair, "key=2\\) is not in the batch"),
        (Net, {"keys": [0, 1]}, lambda x: (x, x[:, 0]), "of one length, got 0: int64 \\(4, 12\\), 1: int64 \\(4,\\)"),
        (Net, {"keys": [0, 1]}, lambda x: (x, "name"), "of one length, got 0: int64 \\(4, 12\\), 1: str"),
        (Net, {}, lambda x: (x, x[:, 1:]), "of one length, got 0: int64 \\(4, 12\\), 1: int64 \\(4, 11\\): give keys="),
        (Net, {}, lambda x: (x / 2, x[:, 0]), "found no tensor \\(N, length\\) of whole numbers in tuple of 0: float"),
        (Net, {}, lambda x: (x, x[:, None, None] > 0), "1 with shape \\(4, 1, 1, 12\\) may have to be cut too"),
        (Net, {}, left_padded, "'attention_mask' says that these begin with padding: pad on the right"),
    ],
    ids=[
        "one length", "too long", "nothing to grow", "no such key", "no such index", "a number each", "no tensor",
        "targets of another length", "no whole numbers", "a mask of another shape", "padded on the left",
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_trained(tmp_path, model, arguments, make, text):
    model = model(lambda batch: tuple(batch.values())[:2] if isinstance(batch, dict) else batch)
    before = copy.deepcopy(list(model.parameters()))
    change = GrowingLength(**{"lengths": [8, 12], **arguments})
    with pytest.raises(ValueError, match=text):
        fit(tmp_path, model, drive(change), train=collated(make), num_sanity_val_steps=0)
    assert model.trainer.global_step == 0
    assert all(map(torch.equal, before, model.parameters()))
    assert "training_step" not in vars(model)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"lengths": []}, TypeError, "lengths must be a list of whole numbers"),
        ({"lengths": [0, 16]}, ValueError, "lengths must be an int from 1 up, got 0"),
        ({"lengths": [16, 8]}, ValueError, "lengths must be ascending, got \\[16, 8\\]"),
        ({"lengths": [8, 16], "at": []}, ValueError, "one for each of the lengths after the first"),
        ({"lengths": [8], "keys": "labels"}, TypeError, "keys must be a list of keys"),
        ({"lengths": [8], "keys": []}, TypeError, "keys must be a list of keys"),
        ({"lengths": [8], "keys": [True]}, TypeError, "keys must be a key"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        GrowingLength(**arguments)


@pytest.mark.filterwarnings("ignore:.*resuming from a checkpoint that ended before the epoch ended.*")
@pytest.mark.parametrize("name", ["epoch-1", "batch-3", "epoch-4"])
def test_a_resumed_run_has_the_lengths_and_the_weights_of_the_whole_one(tmp_path, name):
    """Its first batch has another length than that of the whole one, by which there are two growths or one."""

    class Saves(L.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.save_checkpoint(tmp_path / f"epoch-{trainer.current_epoch}.ckpt")

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 3 and batch_idx == 0:
                trainer.save_checkpoint(tmp_path / "batch-3.ckpt")

    def callback():
        return drive(GrowingLength([4, 6], rule=AtEpoch(2)), after=Volume(0.75))

    train = of_lengths(10, 6, 8, 10)
    whole, model = Net(), Net()
    fit(tmp_path, whole, callback(), train=train, extra=[Saves()])
    fit(tmp_path, model, callback(), train=train, ckpt_path=tmp_path / f"{name}.ckpt")
    assert {epoch: whole.seen[epoch] >= seen for epoch, seen in model.seen.items()} == dict.fromkeys(model.seen, True)
    assert len(model.seen) >= 3
    assert all(map(torch.equal, whole.state_dict().values(), model.state_dict().values()))


class Ranked(Net):
    """Rank 1 has longer batches than rank 0."""

    def train_dataloader(self):
        return loader([pair(text) for text in texts(12 if self.global_rank else 10)])

    val_dataloader = train_dataloader

    def on_train_end(self):
        seen = {epoch: max(lengths) for epoch, lengths in self.seen.items()}
        weights = [value.tolist() for value in self.state_dict().values()]
        (self.folder / f"rank-{self.global_rank}.json").write_text(json.dumps([list(seen.values()), weights]))


@pytest.mark.filterwarnings("ignore:It is recommended to use `self.log.*sync_dist=True")
def test_ranks_whose_batches_differ_in_length_grow_together(tmp_path):
    """Alone, rank 0 had refused a length of 12."""
    model = Ranked()
    model.folder = tmp_path
    arguments = {"devices": 2, "strategy": "ddp_fork", "use_distributed_sampler": False}
    make_trainer(tmp_path, [drive(GrowingLength([4, 8, 12]))], max_epochs=8, **arguments).fit(model)
    (first, weights), (second, others) = [json.loads((tmp_path / f"rank-{r}.json").read_text()) for r in range(2)]
    assert first == [4, 4, 4, 8, 8, 8, 10, 10]
    assert second == [4, 4, 4, 8, 8, 8, 12, 12]
    assert weights == others


def per_batch(length):
    """FLOPs of a training step on 4 sequences, forward and backward, by torch's own counter."""
    model = Net()
    with FlopCounterMode(display=False) as counter:
        model.loss(*pair(texts(length, 4))).backward()
    return counter.get_total_flops()


def test_the_costs_of_short_steps_are_counted_and_the_full_recipe_has_whole_sequences(tmp_path):
    trainer = fit(tmp_path, Net(), drive(GrowingLength([3, 6, 12], at=[0.25, 0.5])), extra=[CostMonitor()])
    record = collect(trainer, "completed")
    assert record.measured.flops == 3 * (2 * per_batch(3) + 2 * per_batch(6) + 4 * per_batch(12))
    assert record.projected.flops == 3 * 8 * per_batch(12)
    assert record.decision.recipe.changes["sequence_length"] == "during 3 then 6, after 6 then 12"


class Turns:
    """Draws the three batches in another order from the second epoch on."""

    def __init__(self):
        self.orders = iter([[0, 1, 2], *[[1, 0, 2]] * 7])

    def __iter__(self):
        return iter(next(self.orders))

    def __len__(self):
        return 3


@pytest.mark.parametrize("monitor_first", [True, False])
def test_steps_that_grew_behind_a_first_batch_that_did_not_had_the_flops_of_before(tmp_path, monitor_first):
    """A first batch of 3 positions costs the same at every length; the others are counted again all the same."""
    batches = [pair(texts(length, 4)) for length in (10, 3, 12)]
    train = DataLoader(batches, batch_size=None, sampler=Turns())
    costs, callback = CostMonitor(), drive(GrowingLength([6, 9], at=[0.25, 0.5]))
    callbacks = [costs, callback] if monitor_first else [callback, costs]
    make_trainer(tmp_path, callbacks, max_epochs=8).fit(Net(), train, of_lengths(12))
    lengths = [6, 6, 9, 9, 12, 12, 12, 12]
    found = [costs.epochs[epoch].flops for epoch in range(8)]
    assert found == [sum(per_batch(min(length, most)) for length in (10, 3, 12)) for most in lengths]


def test_where_a_loader_was_at_its_end_the_sequences_of_the_others_stayed_whole():
    """`CombinedLoader` has None there in its mode `max_size`."""
    change, tokens = GrowingLength([3], keys=[["labelled", 0], ["labelled", 1], "other"]), texts(n=4)
    assert change.find({"labelled": pair(tokens), "other": tokens}) == 12
    small = change.shrunk({"labelled": None, "other": tokens}, 3)
    assert small["labelled"] is None
    assert torch.equal(small["other"], tokens[:, :3])
