"""FLOPs of training steps, against formulas written out by hand: m x k by k x n is 2 m n k."""

import gc

import lightning as L
import pytest
import torch
from conftest import make_trainer, weights
from lightning.pytorch.callbacks import Callback, StochasticWeightAveraging
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import flop_registry

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Phased, Recipe, Volume
from lightning_critperiod.costs import CostMeter
from lightning_critperiod.costs.flops import StepFlops
from lightning_critperiod.record import collect
from lightning_critperiod.report.caveats import caveats


class Counts(Callback):
    """What ``StepFlops`` says of every epoch."""

    def __init__(self):
        self.flops, self.epochs = StepFlops(), []

    def setup(self, trainer, pl_module, stage):
        self.flops.attach(trainer)

    def on_train_batch_start(self, *_):
        self.flops.step_begins()

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append(self.flops.take())

    def teardown(self, trainer, pl_module, stage):
        self.flops.detach()


class Module(L.LightningModule):
    """Any net whose output is summed; remembers in which steps it was counted."""

    def __init__(self, net):
        super().__init__()
        self.net, self.counted, self.draws = net, [], []

    def loss(self, x):
        return self.net(x).float().square().mean()

    def training_step(self, batch, batch_idx):
        self.counted.append(_get_current_dispatch_mode() is not None)
        self.draws.append(torch.rand(()).item())
        return self.loss(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def inputs(*shape, n=32, batch_size=8):
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(torch.randn(n, *shape, generator=generator)), batch_size=batch_size)


def count(tmp_path, module, loader, **arguments):
    counts = Counts()
    module = module if isinstance(module, L.LightningModule) else Module(module)
    make_trainer(tmp_path, [counts], **{"max_epochs": 2, **arguments}).fit(module, loader)
    return counts.epochs


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def of_two_layers(samples):
    """Forward, the gradients of both weights, and of the second layer's input."""
    return 2 * samples * (2 * (4 * 8 + 8 * 2) + 8 * 2)


def test_linear_layers(tmp_path):
    assert count(tmp_path, two_layers(), inputs(4)) == [of_two_layers(32)] * 2


def test_convolutions(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, stride=2))
    first, second = 10 * 10 * 6 * 3 * 9, 4 * 4 * 4 * 6 * 9  # products a sample: outputs x inputs of each
    assert count(tmp_path, net, inputs(3, 10, 10)) == [2 * 32 * (2 * first + 3 * second)] * 2


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(6, 3 * 12)

    def forward(self, x):
        parts = self.project(x).unflatten(-1, (3, 2, 6)).movedim(-3, 0).transpose(-2, -3)  # 2 heads of 6
        return nn.functional.scaled_dot_product_attention(*parts)


def test_attention_as_it_is_computed_without_its_matrix(tmp_path):
    """The backward of the fused kernel computes the scores again: five products of L x L x d in place of four."""
    projection, scores = 5 * 6 * 36, 2 * 5 * 5 * 6
    assert count(tmp_path, Attention(), inputs(5, 6)) == [2 * 32 * (2 * projection + (2 + 5) * scores)] * 2


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.LSTM(3, 4, num_layers=2, batch_first=True)

    def forward(self, x):
        return self.layers(x)[0]


def test_a_recurrent_network(tmp_path):
    products = 7 * (4 * 4 * (3 + 4) + 4 * 4 * (4 + 4))  # 7 steps, 4 gates of 4, of input and state
    assert count(tmp_path, Recurrent(), inputs(7, 3)) == [2 * 32 * 3 * products] * 2


def test_a_short_last_batch_counts_as_what_it_is(tmp_path):
    module = Module(two_layers())
    assert count(tmp_path, module, inputs(4, n=35)) == [of_two_layers(35)] * 2
    assert module.counted[:5] == [True, True, False, False, True]


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        return checkpoint(lambda x: self.second(self.first(x).relu()), x, use_reentrant=False)


def test_what_is_recomputed_counts_again(tmp_path):
    """The recomputation ends with the last value that the backward needs, the input of the second layer."""
    again = 2 * 32 * 4 * 8
    assert count(tmp_path, Checkpointed(), inputs(4)) == [of_two_layers(32) + again] * 2


class Sizes(Module):
    """Images of another size from an epoch on, resized before the step or in it."""

    def __init__(self, inside, sizes=(6, 6, 12, 9)):
        super().__init__(nn.Conv2d(1, 2, 3))
        self.inside, self.sizes = inside, sizes

    def resized(self, images):
        size = self.sizes[self.current_epoch]
        return nn.functional.interpolate(images, size=(size, size))

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch if self.inside else [self.resized(batch[0])]

    def loss(self, x):
        return super().loss(self.resized(x) if self.inside else x)


@pytest.mark.parametrize("inside", [False, True])
def test_the_size_of_the_images_changes(tmp_path, inside):
    by_hand = [2 * 32 * 2 * (size - 2) ** 2 * 2 * 9 for size in (6, 6, 12, 9)]
    assert count(tmp_path, Sizes(inside), inputs(1, 12, 12), max_epochs=4) == by_hand


@pytest.mark.filterwarnings("ignore:.*BatchNorm.*", "ignore:.*Swapping.*")
def test_a_step_in_the_extra_epoch_of_weight_averaging_counted_with_a_backward_pass(tmp_path):
    """That epoch computes statistics of batch norm: all its steps but the last accumulate, none has a backward pass."""
    torch.manual_seed(0)
    module, counts = Module(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))), Counts()
    averages = StochasticWeightAveraging(0.01, swa_epoch_start=1)
    make_trainer(tmp_path, [counts, averages], max_epochs=2).fit(module, inputs(4))
    assert counts.epochs == [*[of_two_layers(32)] * 2, 2 * 32 * (4 * 8 + 8 * 2)]
    assert counts.flops.is_exact


class Thaws(Module):
    def on_train_epoch_start(self):
        self.net[0].requires_grad_(self.current_epoch >= 1)


def test_a_layer_thaws(tmp_path):
    frozen = 2 * 32 * (4 * 8 + 2 * 8 * 2)
    assert count(tmp_path, Thaws(two_layers()), inputs(4), max_epochs=3) == [frozen, *[of_two_layers(32)] * 2]


class StartsShort(Thaws):
    """The first batch of the epoch in which a layer thaws has a shape of its own."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        is_short = self.trainer.global_step == 4
        return [batch[0][:3]] if is_short else batch


def test_a_layer_that_thaws_with_a_batch_of_a_new_shape_went_unnoticed(tmp_path):
    frozen = 2 * 32 * (4 * 8 + 2 * 8 * 2)
    assert count(tmp_path, StartsShort(two_layers()), inputs(4)) == [frozen, of_two_layers(3 + 24)]


class Freezes(Module):
    """The first layer is frozen from step 5 of the second epoch on, by the hook or inside the step."""

    def __init__(self, net, hook):
        super().__init__(net)
        self.hook = hook

    def freeze(self, hook, batch_idx):
        if hook == self.hook and self.current_epoch == 1 and batch_idx == 5:
            self.net[0].requires_grad_(False)

    def on_train_batch_start(self, batch, batch_idx):
        self.freeze("on_train_batch_start", batch_idx)

    def training_step(self, batch, batch_idx):
        self.freeze("training_step", batch_idx)
        return super().training_step(batch, batch_idx)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.freeze("on_train_batch_end", batch_idx)


@pytest.mark.parametrize("hook", ["on_train_batch_start", "training_step", "on_train_batch_end"])
def test_a_layer_frozen_inside_an_epoch_went_unnoticed_and_the_flops_were_called_exact(tmp_path, hook):
    counts, module = Counts(), Freezes(two_layers(), hook)
    make_trainer(tmp_path, [counts], max_epochs=3).fit(module, inputs(4, n=8 * 50))
    whole, frozen = of_two_layers(8), 2 * 8 * (4 * 8 + 2 * 8 * 2)
    begins = 6 if hook == "on_train_batch_end" else 5
    first, second, third = counts.epochs
    assert (first, third) == (50 * whole, 50 * frozen)
    assert abs(second - begins * whole - (50 - begins) * frozen) <= 6 * (whole - frozen)
    assert not counts.flops.is_exact
    assert sum(module.counted[100:]) <= 2


@pytest.mark.parametrize(("step", "is_exact"), [(48, False), (49, True)])
def test_a_layer_frozen_behind_the_last_look_of_an_epoch_is_seen_at_its_end(tmp_path, step, is_exact):
    class Late(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            pl_module.net[0].requires_grad_(batch_idx < step)

    counts = Counts()
    make_trainer(tmp_path, [Late(), counts], max_epochs=1).fit(Module(two_layers()), inputs(4, n=8 * 50))
    assert counts.flops.is_exact == is_exact


def test_accumulated_gradients(tmp_path):
    assert count(tmp_path, two_layers(), inputs(4), accumulate_grad_batches=3) == [of_two_layers(32)] * 2


class Whitens(torch.optim.SGD):
    """An optimizer that multiplies matrices, as Muon does."""

    def step(self, closure=None):
        loss = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim == 2:
                    p.detach() @ p.detach().T
        return loss


class Whitened(Module):
    def configure_optimizers(self):
        return Whitens(self.parameters(), lr=0.01)


def test_an_optimizer_that_multiplies_matrices_counts_where_it_steps(tmp_path):
    counted = count(tmp_path, Whitened(two_layers()), inputs(4, n=72), accumulate_grad_batches=4)
    steps = 3  # of 9 batches
    assert counted == [of_two_layers(72) + steps * 2 * (8 * 4 * 8 + 2 * 8 * 2)] * 2


class Adversarial(Module):
    """Two networks with an optimizer each; the generator takes one step in ``every``."""

    def __init__(self, every=1):
        super().__init__(nn.Linear(3, 4))
        self.critic, self.every = nn.Linear(4, 1), every
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        self.counted.append(_get_current_dispatch_mode() is not None)
        generator, critic = self.optimizers()
        fakes = self.net(batch[0][:, :3])
        self.descend(critic, self.critic(batch[0]) - self.critic(fakes.detach()))
        if batch_idx % self.every == 0:
            self.descend(generator, -self.critic(fakes))

    def descend(self, optimizer, loss):
        optimizer.zero_grad()
        self.manual_backward(loss.mean())
        optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.net, self.critic)]


def of_the_critic(samples):
    return 2 * samples * (3 * 4 + 2 * 2 * 4)  # a fake one, then two scores and two gradients


def of_the_generator(samples):
    return 2 * samples * (3 * 4 + 3 * 4)  # the gradient of its weights; a score and two gradients


def test_two_optimizers_under_manual_optimization(tmp_path):
    assert count(tmp_path, Adversarial(), inputs(4)) == [of_the_critic(32) + of_the_generator(32)] * 2


def test_steps_that_differ_are_estimated_from_one_in_seven(tmp_path):
    module, n = Adversarial(every=5), 8 * 200
    first, second = count(tmp_path, module, inputs(4, n=n))
    truth = of_the_critic(n) + of_the_generator(n / 5)
    assert first == pytest.approx(truth, rel=0.05)
    assert second == pytest.approx(truth, rel=0.03)
    assert sum(module.counted[200:]) in {44, 45}


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
def test_steps_that_differ_in_a_short_epoch_are_all_counted(tmp_path):
    class Skips(Module):
        def training_step(self, batch, batch_idx):
            return None if batch_idx % 3 == 0 else super().training_step(batch, batch_idx)

    assert count(tmp_path, Skips(two_layers()), inputs(4, n=8 * 10)) == [of_two_layers(8 * 6)] * 2


def test_lbfgs_takes_as_many_evaluations_as_it_needs(tmp_path):
    class Evaluates(Module):
        evaluations = 0

        def training_step(self, batch, batch_idx):
            self.evaluations += 1
            return self.loss(batch[0])

        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=1.0, max_iter=4, tolerance_grad=1e-2)

    module = Evaluates(two_layers())
    assert sum(count(tmp_path, module, inputs(4, n=8 * 20))) == of_two_layers(8) * module.evaluations
    assert module.evaluations % 40  # they differ


class Lengths(Module):
    """Every batch has a length of its own."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        self.length = 100 + (37 * len(self.counted)) % 211
        return [batch[0][:, :1].expand(-1, self.length)[..., None]]


def test_many_shapes_are_estimated(tmp_path):
    module = Lengths(nn.Linear(1, 2))
    first, second = count(tmp_path, module, inputs(4, n=8 * 211))
    mean = 100 + 210 / 2
    assert [first, second] == pytest.approx([2 * 8 * 211 * 2 * 2 * mean] * 2, rel=0.05)
    assert sum(module.counted[211:]) in {44, 45}


def test_few_steps_are_counted(tmp_path):
    module = Module(two_layers())
    count(tmp_path, module, inputs(4, n=8 * 422), max_epochs=3)
    assert [n for n, counted in enumerate(module.counted, 1) if counted] == [
        1,
        2,
        211,
        422,
        423,
        633,
        844,
        845,
        1055,
        1266,
    ]


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_the_precision_makes_no_difference(tmp_path, precision):
    assert count(tmp_path, two_layers(), inputs(4), precision=precision) == [of_two_layers(32)] * 2


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_module_is_counted_and_compiled_once(tmp_path, backend):
    compiled = []

    def compiler(graph, examples):
        compiled.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, examples)

    torch._dynamo.reset()
    net = torch.compile(two_layers(), backend=compiler, dynamic=False)
    assert count(tmp_path, net, inputs(4)) == [of_two_layers(32)] * 2
    if torch.torch_version.TorchVersion(torch.__version__) >= (
        2,
        13,
    ):  # older ones compile again
        assert len(compiled) == 1


class Distilled(Module):
    """A teacher that runs in inference mode."""

    def __init__(self):
        super().__init__(two_layers())
        self.teacher = nn.Linear(4, 2).requires_grad_(False)

    def loss(self, x):
        with torch.inference_mode():
            target = self.teacher(x)
        return (self.net(x) - target.clone()).square().mean()


def test_a_teacher_in_inference_mode_counts(tmp_path):
    assert count(tmp_path, Distilled(), inputs(4)) == [of_two_layers(32) + 2 * 32 * 4 * 2] * 2


class Ragged(Module):
    def loss(self, x):
        parts = torch.nested.as_nested_tensor([x[0, :2], x[1, :5]], layout=torch.jagged)
        return self.net(parts).values().square().mean()


def test_a_tensor_made_of_others_counts_as_these(tmp_path):
    module = Ragged(nn.Linear(4, 3))
    assert count(tmp_path, module, inputs(9, 4, n=2, batch_size=2)) == [2 * 7 * 4 * 3 * 2] * 2


@pytest.fixture
def mesh():
    """One rank of a process group, as FSDP2 has them."""
    from torch.distributed import HashStore, destroy_process_group, init_device_mesh, init_process_group

    init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")  # of torch, about the sum of the outputs
def test_the_state_of_adam_could_not_be_made_for_sharded_weights(tmp_path, mesh):
    """FSDP2 asks for the shapes of new tensors by computing with empty ones: the training ended there."""
    from torch.distributed.fsdp import fully_shard

    class Sharded(Module):
        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters())

    module = Sharded(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)))
    fully_shard(module.net, mesh=mesh)
    assert count(tmp_path, module, inputs(4)) == [32 * (2 * 2 * 4 * 8 + 3 * 2 * 8 * 3)] * 2


class Repeats(nn.Module):
    """One layer, computed several times: 2 x 2 x 4 x 2 FLOPs a sample each time."""

    def __init__(self):
        super().__init__()
        self.layer, self.passes = nn.Linear(4, 2), 3

    def forward(self, x):
        return sum(self.layer(x) for _ in range(self.passes))


@pytest.mark.parametrize("cheap", ["during", "after"])
def test_the_projection_takes_the_steps_that_cost_most_for_those_of_the_full_recipe(tmp_path, cheap):
    """Images may be small at first (and grow) or later: either saves something against large ones throughout."""
    changes = [Phased("net.passes", **{cheap: 1})]
    recipe = Recipe(after=Volume(0.5), changes=changes, annealing_fraction=0)
    callback, meter = CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe), CostMeter()
    trainer = make_trainer(tmp_path, [callback, meter], max_epochs=5)
    trainer.fit(Module(Repeats()), inputs(4))
    record = collect(trainer, "completed")
    a_pass = 2 * 32 * 4 * 2 * 2
    first, later = (1, 3) if cheap == "during" else (3, 1)
    assert [epoch.flops for epoch in record.epochs] == [first * a_pass] * 2 + [later * a_pass / 2] * 3
    assert record.measured.flops == (2 * first + 1.5 * later) * a_pass
    assert record.projected.flops == 5 * 3 * a_pass
    (said,) = [text for text in caveats(record) if "full recipe, which is that of the critical period" in text]
    assert ("with the steps of the run that cost most" in said) == (cheap == "during")


def trained(tmp_path, *callbacks, **arguments):
    torch.manual_seed(3)
    module = Module(nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.ReLU(), nn.Linear(64, 2)))
    make_trainer(tmp_path, callbacks, **{"max_epochs": 3, **arguments}).fit(module, inputs(4, n=33))
    return module


@pytest.mark.parametrize("arguments", [{}, {"precision": "bf16-mixed"}, {"gradient_clip_val": 0.1}])
def test_counting_changes_neither_weights_nor_the_random_state(tmp_path, arguments):
    plain, counted = trained(tmp_path, **arguments), trained(tmp_path, Counts(), **arguments)
    assert any(counted.counted)
    assert torch.equal(weights(plain), weights(counted))
    assert plain.draws == counted.draws


def test_without_a_product_nothing_is_known(tmp_path):
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return x * self.weight

    assert all(flops != flops for flops in count(tmp_path, Scale(), inputs(4)))


def test_a_formula_that_fails_is_one_warning_and_nothing_is_known(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise AssertionError("on purpose")

    monkeypatch.setitem(flop_registry, torch.ops.aten.mm, fails)
    with pytest.warns(
        UserWarning, match=r"CostMonitor failed while counting FLOPs \(AssertionError: on purpose\)"
    ) as said:
        counted = count(tmp_path, two_layers(), inputs(4))
    assert len([one for one in said if "FLOPs" in str(one.message)]) == 1
    assert all(flops != flops for flops in counted)


@pytest.fixture
def labelled():
    """A kind of tensor with a name, made as those of physics-informed libraries are; gone after the test."""

    class Labelled(torch.Tensor):
        @staticmethod
        def __new__(cls, data, name):
            return super().__new__(cls, data)

        def __init__(self, data, name):
            self.label = name

    yield [Labelled]
    del Labelled
    gc.collect()


def test_a_tensor_that_cannot_be_made_while_operations_are_counted_ended_the_training(tmp_path, labelled):
    class OfLabelled(Module):
        def training_step(self, batch, batch_idx):
            return super().training_step([labelled[0](batch[0], "x").as_subclass(torch.Tensor)], batch_idx)

    module = OfLabelled(two_layers())
    with pytest.warns(UserWarning, match="no Labelled could be made while operations are counted"):
        flops = count(tmp_path, module, inputs(4))
    assert len(module.counted) == 8
    assert not any(module.counted)
    assert all(of_epoch != of_epoch for of_epoch in flops)
    labelled.clear()


class Breaks(Module):
    def training_step(self, batch, batch_idx):
        raise RuntimeError("lights out")


def test_an_error_in_a_counted_step_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="lights out"):
        count(tmp_path, Breaks(two_layers()), inputs(4))
    assert _get_current_dispatch_mode() is None


def test_the_trainer_is_given_back_as_it_was(tmp_path):
    counts = Counts()
    trainer = make_trainer(tmp_path, [counts], max_epochs=1)
    trainer.fit(Module(two_layers()), inputs(4))
    loop = trainer.fit_loop.epoch_loop
    assert "run" not in {**vars(loop.automatic_optimization), **vars(loop.manual_optimization)}
