"""Models that change in mid-run: no signal ends the training, and what is measured is compared with a count by hand."""

import math
import warnings

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import BackboneFinetuning, ModelCheckpoint, ModelPruning
from test_signals import Forward, KeepWeights, Net, distance, fit, loader, resumes, trainer, warned
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from lightning_critperiod import CriticalPeriodCallback, Slope
from lightning_critperiod.signals import (
    GradientConfusion,
    GradientPredictiveness,
    LayerRotation,
    TrainingGradientConfusion,
)
from lightning_critperiod.signals.chained_mean import ChainedMean
from lightning_critperiod.signals.layers import layers

EVERY = [LayerRotation, GradientConfusion, GradientPredictiveness, TrainingGradientConfusion]


class AtStartOf(L.Callback):
    """Does something to the module before the first batch of some epochs, and gives it a new optimizer."""

    def __init__(self, change, *epochs):
        self.change, self.epochs = change, epochs or (1,)

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch in self.epochs:
            self.change(pl_module)
            trainable = [p for p in pl_module.parameters() if p.requires_grad]
            trainer.optimizers = [torch.optim.SGD(trainable, lr=0.1)]


class Deep(Net):
    """Three layers, so that most are left where one goes; the head is ``second``."""

    def __init__(self):
        super().__init__()
        self.middle, self.aside = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = torch.relu(self.middle(torch.relu(self.norm(self.first(x)))))
        return self.second(x)[:, :2] + (0 if self.aside is None else self.aside(x))


class Adapter(nn.Module):
    """A frozen layer with a trainable low-rank change, which is merged into it later."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a, self.b = (
            nn.Parameter(torch.randn(2, layer.in_features)),
            nn.Parameter(torch.zeros(layer.out_features, 2)),
        )

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T

    def merged(self):
        self.layer.weight.data += self.b.detach() @ self.a.detach()
        return self.layer


def grow_head(module):
    module.second = nn.Linear(8, module.second.out_features + 2)


def replace_head(module):
    module.second = nn.Linear(8, 2)


def drop_auxiliary(module):
    module.aside = None


def reparametrize(module):
    parametrizations.weight_norm(module.first)
    parametrizations.spectral_norm(module.middle)


def reparametrize_by_hooks(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # superseded, and still in many projects
        nn.utils.weight_norm(module.first)
    nn.utils.spectral_norm(module.middle)


def prune_by_hand(module):
    prune.l1_unstructured(module.first, "weight", 0.3)


def make_pruning_permanent(module):
    prune.remove(module.first, "weight")


def freeze_all(module):
    for part in (module.first, module.middle, module.second, module.aside):
        part.weight.requires_grad_(False)


def quantize(module):
    """As quantization-aware training does: the module is another, the weight the same parameter."""

    class FakeQuantized(nn.Linear):
        def forward(self, x):
            step = self.weight.detach().abs().max() / 127
            quantized = torch.fake_quantize_per_tensor_affine(self.weight, step.item(), 0, -128, 127)
            return nn.functional.linear(x, quantized, self.bias)

    swapped = FakeQuantized(4, 8)
    swapped.weight, swapped.bias = module.first.weight, module.first.bias
    module.first = swapped


CHANGES = [
    grow_head,
    replace_head,
    drop_auxiliary,
    reparametrize,
    reparametrize_by_hooks,
    prune_by_hand,
    freeze_all,
    quantize,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", EVERY)
def test_no_change_of_the_model_ends_the_training(kind, change):
    forward = Forward(kind())
    run = trainer(AtStartOf(change), forward, max_epochs=4)
    _, said = warned(lambda: run.fit(Deep(), loader()))

    assert run.current_epoch == 4
    assert len(said) <= 1
    for value in forward.values.values():
        assert value is None or -1 <= value <= 2
    # trainable kernels are gone: nothing to take a gradient of, while the layers just stand still
    last = forward.values[3]
    assert (last is None) == (change is freeze_all and kind is not LayerRotation)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", EVERY)
def test_pruning_by_lightnings_own_callback_ends_no_training(kind, order):
    forward = Forward(kind())
    callbacks = [ModelPruning("l1_unstructured", amount=0.2), forward][::order]
    run = trainer(*callbacks, max_epochs=3)
    _, said = warned(lambda: run.fit(Deep(), loader()))

    assert run.current_epoch == 3
    assert said == []
    assert all(math.isfinite(value) for value in forward.values.values() if value is not None)


# ---------------------------------------------------------------------------------------------- what is measured


class KeepEffective(L.Callback):
    """The weights that the layers compute with, as a forward pass of the epoch's last module sees them."""

    def __init__(self):
        self.epochs = []

    def on_train_start(self, trainer, pl_module):
        self.epochs.append({name: self.weight(getattr(pl_module, name)) for name in self.names(pl_module)})

    on_train_epoch_end = on_train_start

    @staticmethod
    def names(module):
        return [name for name, part in module.named_children() if isinstance(part, nn.Linear)]

    @staticmethod
    def weight(part):
        part.eval()
        with torch.no_grad():
            weight = part(torch.eye(part.in_features)) - part(torch.zeros(1, part.in_features))
        part.train()
        return weight.T.clone()


@pytest.mark.parametrize("change", [prune_by_hand, reparametrize, reparametrize_by_hooks, quantize])
def test_rotation_is_that_of_the_weights_that_the_layers_compute_with(change):
    forward, keep = Forward(LayerRotation()), KeepEffective()
    _, said = warned(lambda: trainer(AtStartOf(change), forward, keep).fit(Deep(), loader()))

    start, *epochs = keep.epochs
    truth = [np.mean([distance(start[name], epoch[name]) for name in start]) for epoch in epochs]
    # with fake quantization a forward pass sees the rounded weights, rotation those that the optimizer moves
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-2 if change is quantize else 1e-4)
    assert said == []


def test_rotation_under_a_parametrization_from_the_start_is_that_of_its_result():
    model = Deep()
    reparametrize(model)
    forward, keep = Forward(LayerRotation()), KeepEffective()
    trainer(forward, keep).fit(model, loader())

    start, *epochs = keep.epochs
    truth = [np.mean([distance(start[name], epoch[name]) for name in start]) for epoch in epochs]
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-4)


def test_measuring_a_parametrization_takes_no_step_of_its_power_iteration():
    def run(*callbacks):
        torch.manual_seed(3)
        model = Deep()
        reparametrize(model)
        trainer(*callbacks).fit(model, loader())
        return model

    alone, measured = run(), run(Forward(LayerRotation()))
    ours, theirs = measured.state_dict(), alone.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(part.training for part in measured.modules())


def test_pruning_that_is_made_permanent_changes_nothing_of_the_measurement():
    def run(*changes):
        torch.manual_seed(3)
        return fit(LayerRotation(), Changing(prune_by_hand, *changes), max_epochs=4)

    class Changing(Deep):
        def __init__(self, *changes):
            super().__init__()
            self.changes = list(changes)

        def on_train_epoch_end(self):
            if self.changes:
                self.changes.pop(0)(self)

    values = run(make_pruning_permanent)
    assert values[1] == run()[1]
    assert values[3] > values[1] > 0


def test_layers_are_named_after_their_plain_parameters_and_shared_weights_count_once():
    model = Deep()
    plain = ["first.weight", "second.weight", "middle.weight", "aside.weight"]
    assert list(layers(model)) == plain
    reparametrize_by_hooks(model)
    prune_by_hand_of = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    prune.l1_unstructured(prune_by_hand_of[0], "weight", 0.3)
    prune_by_hand_of[1].weight = prune_by_hand_of[0].weight_orig
    assert set(layers(model)) == set(plain)
    assert list(layers(prune_by_hand_of)) == ["0.weight"]
    parametrizations.weight_norm(model.second)
    assert set(layers(model)) == set(plain)


def test_an_adapter_as_a_parametrization_is_one_layer_and_trainable():
    class LowRank(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(8, 1)), nn.Parameter(torch.ones(1, 4))

        def forward(self, weight):
            return weight + self.a @ self.b

    model = Net()
    initial = model.first.weight.detach().clone()
    model.first.weight.requires_grad_(False)
    parametrize.register_parametrization(model.first, "weight", LowRank())
    found = layers(model)
    assert list(found) == ["first.weight", "second.weight"]
    assert found["first.weight"].is_trainable
    assert torch.equal(found["first.weight"].whole(), initial + 1)


# ---------------------------------------------------------------------------------------------- layers come and go


class Watch(KeepWeights):
    """Weights at the start, before the first step of every epoch, and at its end."""

    def __init__(self):
        super().__init__()
        self.before = {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        now = {name: p.detach().clone() for name, p in pl_module.named_parameters() if p.dim() > 1}
        self.before.setdefault(trainer.current_epoch, now)


def test_a_head_that_grows_joins_again_and_the_curve_goes_on_from_where_it_was():
    forward, watch = Forward(LayerRotation()), Watch()
    _, said = warned(lambda: trainer(AtStartOf(grow_head, 2), forward, watch, max_epochs=4).fit(Deep(), loader()))

    names = ["first.weight", "middle.weight", "aside.weight", "second.weight"]
    start = dict(watch.weights[0])
    means = [np.mean([distance(start[name], epoch[name]) for name in names]) for epoch in watch.weights[1:3]]
    start["second.weight"] = watch.before[2]["second.weight"]
    later = [np.array([distance(start[name], epoch[name]) for name in names]) for epoch in watch.weights[3:]]
    # at the end of epoch 1 the new head does not exist: it stands at zero
    at_1 = np.array([distance(start[name], watch.weights[2][name]) for name in names[:3]] + [0.0])
    truth = [*means, *(means[1] + np.mean(now - at_1) for now in later)]
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-4)
    assert len(said) == 1
    assert "second.weight" in said[0]


def test_a_layer_that_is_dropped_leaves_without_a_jump_and_it_is_said_once():
    forward, watch = Forward(LayerRotation()), Watch()
    change = AtStartOf(drop_auxiliary, 1)
    _, said = warned(lambda: trainer(change, forward, watch).fit(Deep(), loader()))

    start, *epochs = watch.weights
    names = ["first.weight", "middle.weight", "second.weight"]
    first = np.mean([distance(start[name], epochs[0][name]) for name in [*names, "aside.weight"]])
    kept = [np.mean([distance(start[name], epoch[name]) for name in names]) for epoch in epochs]
    truth = [first, first + kept[1] - kept[0], first + kept[2] - kept[0]]
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-4)
    assert len(said) == 1


def test_without_any_layer_left_rotation_is_no_longer_measured_and_says_so_once():
    class Adapted(Deep):
        """Three adapted layers: six trainable weights, three frozen ones."""

        def __init__(self):
            super().__init__()
            self.first, self.middle, self.second = map(Adapter, (self.first, self.middle, self.second))
            self.aside = None

    def merge(module):
        for name in ("first", "middle", "second"):
            setattr(module, name, getattr(module, name).merged())

    forward = Forward(LayerRotation())
    _, said = warned(lambda: trainer(AtStartOf(merge, 2), forward, max_epochs=4).fit(Adapted(), loader()))
    assert [value is None for value in forward.values.values()] == [False, False, True, True]
    assert len(said) == 1
    assert "no longer measured" in said[0]


def test_thawed_layers_join_with_their_weights_before_the_first_step_without_a_jump():
    def thaw(module):
        module.first.weight.data += 1  # what happens to a frozen layer is none of our business
        module.first.requires_grad_(True)

    model = Deep()
    model.first.requires_grad_(False)
    forward, watch = Forward(LayerRotation()), Watch()
    trainer(AtStartOf(thaw, 1), forward, watch).fit(model, loader())

    start, *epochs = watch.weights
    names = ["middle.weight", "second.weight", "aside.weight"]
    alone = np.array([[distance(start[name], epoch[name]) for name in names] for epoch in epochs])
    joined = [distance(watch.before[1]["first.weight"], epoch["first.weight"]) for epoch in epochs[1:]]
    first = alone[0].mean()
    truth = [first, *(first + ((alone[e] - alone[0]).sum() + joined[e - 1]) / 4 for e in (1, 2))]
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-4)


class Finetuned(L.LightningModule):
    """A backbone, as Lightning's callback wants it, and a head."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)), nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)


def test_nothing_is_measured_before_a_finetuning_callback_has_thawed_the_backbone():
    finetuning = BackboneFinetuning(unfreeze_backbone_at_epoch=3, backbone_initial_lr=0.05)
    forward, watch = Forward(LayerRotation()), Watch()
    _, said = warned(lambda: trainer(finetuning, forward, watch, max_epochs=6).fit(Finetuned(), loader()))

    start = watch.weights[0] | {n: w for n, w in watch.before[3].items() if n.startswith("backbone")}
    names = list(watch.before[3])
    truth = [np.mean([distance(start[name], epoch[name]) for name in names]) for epoch in watch.weights[4:]]
    assert [forward.values[epoch] for epoch in range(3)] == [None, None, None]
    assert [forward.values[epoch] for epoch in range(3, 6)] == pytest.approx(truth, rel=1e-4)
    assert len(said) == 1
    assert "may be unfrozen" in said[0]


def test_the_default_does_not_decide_on_a_head_while_the_backbone_is_frozen():
    finetuning = BackboneFinetuning(unfreeze_backbone_at_epoch=5, backbone_initial_lr=1e-4)
    callback = CriticalPeriodCallback(observe_only=True)
    warned(lambda: trainer(finetuning, callback, max_epochs=8).fit(Finetuned(), loader(64)))
    assert sorted(callback.history) == [5, 6, 7]
    assert callback.end_epoch is None


def test_the_default_does_not_decide_where_rotation_has_hardly_moved_and_the_published_rule_does():
    class Slow(Net):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-5)

    ends = {}
    for name, rule in {"default": None, "published": Slope.published()}.items():
        callback = CriticalPeriodCallback(rule=rule, observe_only=True)
        trainer(callback, max_epochs=8).fit(Slow(), loader())
        ends[name] = callback.end_epoch
        assert max(callback.history.values()) < 1e-6
    assert ends == {"default": None, "published": 5}


# ---------------------------------------------------------------------------------------------- lazy layers


class Lazy(Net):
    def __init__(self):
        super().__init__()
        self.first = nn.LazyLinear(8)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_lazy_layers_are_measured_from_before_the_first_optimizer_step(accumulate):
    class Watch(L.Callback):
        before, epochs = None, []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.before = self.before or self.now(pl_module)

        def on_train_epoch_end(self, trainer, pl_module):
            self.epochs = [*self.epochs, self.now(pl_module)]

        @staticmethod
        def now(module):
            return {name: p.detach().clone() for name, p in module.named_parameters() if p.dim() > 1}

    forward, watch = Forward(LayerRotation()), Watch()
    trainer(watch, forward, accumulate_grad_batches=accumulate).fit(Lazy(), loader())

    truth = [np.mean([distance(watch.before[name], epoch[name]) for name in epoch]) for epoch in watch.epochs]
    assert len(watch.before) == 2
    assert list(forward.values.values()) == pytest.approx(truth, rel=1e-5)


def test_an_empty_parameter_divided_by_zero():
    """As an adapter of rank 0 has it."""

    class Empty(Net):
        def __init__(self):
            super().__init__()
            self.nothing = nn.Parameter(torch.zeros(0, 3))

    assert "nothing" not in layers(Empty())
    torch.manual_seed(0)
    with_it = fit(LayerRotation(), Empty())
    torch.manual_seed(0)
    assert with_it == fit(LayerRotation(), Net())


def test_a_model_of_lazy_layers_alone_is_not_refused():
    class Alone(Lazy):
        def __init__(self):
            super().__init__()
            self.second = nn.LazyLinear(2)

    values = fit(LayerRotation(), Alone())
    assert all(value > 0 for value in values.values())


@pytest.mark.parametrize("kind", [GradientConfusion, GradientPredictiveness, TrainingGradientConfusion])
def test_gradients_of_lazy_layers_are_measured_once_they_exist(kind):
    class AllLazy(Lazy):
        def __init__(self):
            super().__init__()
            self.second = nn.LazyLinear(2)

    values = fit(kind(), AllLazy())
    assert values[2] is not None
    assert -1 <= values[2] <= 1


# ---------------------------------------------------------------------------------------------- resumed runs


@resumes
@pytest.mark.parametrize("sketch", [None, 0.01])
def test_a_run_that_is_resumed_after_a_change_is_bit_equal_to_an_uninterrupted_one(tmp_path, sketch):
    class Big(Deep):
        """The middle is large enough to be sketched; the auxiliary head is gone after two epochs."""

        def __init__(self, dropped=False):
            torch.manual_seed(5)
            super().__init__()
            self.first, self.norm, self.middle = nn.Linear(4, 64), nn.LayerNorm(64), nn.Linear(64, 64)
            self.second, self.aside = nn.Linear(64, 2), nn.Linear(64, 2)
            if dropped:
                self.aside = None

        def on_train_epoch_start(self):
            if self.current_epoch == 2 and self.aside is not None:
                AtStartOf(drop_auxiliary, 2).on_train_epoch_start(self.trainer, self)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    whole = Forward(LayerRotation(sketch=sketch))
    warned(lambda: trainer(whole, max_epochs=5).fit(Big(), loader()))
    checkpoint = ModelCheckpoint(tmp_path)
    cut = trainer(Forward(LayerRotation(sketch=sketch)), checkpoint, max_epochs=3)
    warned(lambda: cut.fit(Big(), loader()))
    resumed = Forward(LayerRotation(sketch=sketch))
    run = trainer(resumed, max_epochs=5)
    run.fit(Big(dropped=True), loader(), ckpt_path=checkpoint.best_model_path, weights_only=True)

    assert resumed.values == whole.values
    assert resumed.signal.state_dict()["mean"]["offset"] != 0


def test_a_checkpoint_with_some_layers_of_the_model_goes_on_with_those_and_says_so():
    signal, model = LayerRotation(), Net()
    signal.load_state_dict({"initial": {"first.weight": model.first.weight.detach().clone(), "gone": torch.ones(3, 3)}})
    forward = Forward(signal)
    forward.restored = True
    _, said = warned(lambda: trainer(forward).fit(model, loader()))

    assert all(0 < value < 2 for value in forward.values.values())
    assert len(said) == 1
    assert "gone" in said[0]


# ---------------------------------------------------------------------------------------------- the mean itself


def test_a_mean_whose_members_stay_is_the_plain_mean():
    mean = ChainedMean()
    for name in "ab":
        mean.join(name)
    assert [mean.add({"a": 1.0, "b": 3.0}), mean.add({"a": 2.0, "b": 6.0})] == [2.0, 4.0]


def test_a_mean_goes_on_by_the_mean_change_of_those_that_were_there_before():
    mean = ChainedMean()
    for name in "ab":
        mean.join(name)
    mean.add({"a": 1.0, "b": 3.0})
    assert mean.add({"a": 1.5}) == 2.5  # b, at 3, has left
    mean.join("c")
    assert mean.add({"a": 2.0, "c": 1.5}) == 3.5  # c has started from 0
    assert mean.add({"a": 3.0, "c": 3.5}) == 5.0


def test_a_member_without_a_value_for_a_while_comes_back_without_a_jump():
    mean = ChainedMean()
    for name in "ab":
        mean.join(name)
    assert [mean.add({"a": 1.0, "b": 3.0}), mean.add({"a": 2.0}), mean.add({"a": 2.0, "b": 9.0})] == [2.0, 3.0, 3.0]
    assert mean.add({"a": 3.0, "b": 10.0}) == 4.0
