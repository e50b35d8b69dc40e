"""Layer rotation and the monitored metric, against numpy in extended precision and what the run itself logged."""

import math
import textwrap
import warnings

import lightning as L
import numpy as np
import pytest
import torch
from fresh import launched
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod.signals import LayerRotation, MonitoredMetric, layer_rotation
from lightning_critperiod.signals.cuda_distance import cuda_distance

SIGNALS = {
    "GradientConfusion",
    "GradientPredictiveness",
    "LayerRotation",
    "MonitoredMetric",
    "TrainingGradientConfusion",
}


class Forward(L.Callback):
    """Hands Lightning's hooks on to a signal; keeps the value of every epoch, None included."""

    def __init__(self, signal):
        self.signal, self.values, self.restored = signal, {}, False

    def setup(self, trainer, pl_module, stage):
        if not self.restored:
            self.signal.reset()

    def state_dict(self):
        return {"signal": self.signal.state_dict(), "values": dict(self.values)}

    def load_state_dict(self, state):
        self.restored, self.values = True, dict(state["values"])
        self.signal.load_state_dict(state["signal"])

    def on_train_start(self, trainer, pl_module):
        self.signal.on_train_start(trainer, pl_module)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.signal.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.signal.on_before_optimizer_step(trainer, pl_module, optimizer)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.signal.on_train_batch_end(trainer, pl_module)

    def on_validation_start(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.signal.on_validation_start(trainer, pl_module)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.signal.on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer, pl_module):
        self.values[trainer.current_epoch] = self.signal.measure(trainer, pl_module)


class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.second(torch.relu(self.norm(self.first(x))))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1, momentum=0.9)


def loader(n=32, batch_size=8):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(n))
    return DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=batch_size)


def trainer(*callbacks, **arguments):
    defaults = dict(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return L.Trainer(callbacks=list(callbacks), **defaults | arguments)


def fit(signal, model=None, data=None, **arguments):
    forward = Forward(signal)
    trainer(forward, **arguments).fit(model or Net(), loader() if data is None else data)
    return forward.values


def distance(initial, current):
    """The definition, in extended precision and in the form that does not cancel."""
    a, b = (np.asarray(w.detach().double().flatten(), dtype=np.longdouble) for w in (initial, current))
    return float(((a / np.sqrt(a @ a) - b / np.sqrt(b @ b)) ** 2).sum() / 2)


# ---------------------------------------------------------------------------------------------- layer_rotation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("turn", [3.0, 0.1, 1e-4])
@pytest.mark.parametrize("shape", [(3, 5), (16, 8, 3, 3), (700, 800)])
def test_rotation_is_the_cosine_distance_down_to_1e_8(shape, turn, dtype):
    generator = torch.Generator().manual_seed(1)
    initial = torch.randn(shape, generator=generator)
    uneven = torch.linspace(0.1, 3, initial.numel()).reshape(shape)  # so that chunks of a layer differ in norm
    current = initial + turn * uneven * torch.randn(shape, generator=generator)
    initial, current = initial.to(dtype), current.to(dtype)

    measured = layer_rotation([initial], [current])

    assert measured.dtype == torch.float64
    assert measured.item() == pytest.approx(distance(initial, current), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("turn", [3.0, 0.1, 1e-4])
@pytest.mark.parametrize("scale", [1.0, 3.0, 1e-4])
def test_what_a_card_computes_is_the_cosine_distance_down_to_1e_8(scale, turn, dtype):
    """Its arithmetic, on the CPU: two pieces that differ in norm, the second one short."""
    generator = torch.Generator().manual_seed(1)
    initial = torch.randn(700, 3100, generator=generator)
    uneven = torch.linspace(0.1, 3, initial.numel()).reshape(initial.shape)
    current = (initial + turn * uneven * torch.randn(initial.shape, generator=generator)) * scale
    initial, current = initial.to(dtype), current.to(dtype)
    assert cuda_distance(initial, current).item() == pytest.approx(distance(initial, current), rel=1e-8)


def test_what_a_card_computes_is_nan_where_there_is_no_angle_and_no_other():
    ones, zeros, bad = torch.ones(2, 2), torch.zeros(2, 2), torch.tensor([[1.0, math.inf], [math.nan, 1.0]])
    pairs = [(ones, zeros), (zeros, ones), (zeros, zeros), (ones, bad), (bad, ones), (bad, bad)]
    assert all(cuda_distance(*pair).isnan() for pair in pairs)
    assert cuda_distance(ones, -ones) == 2
    piece_of_zeros = torch.cat([torch.zeros(2**21), torch.ones(2**21)])
    assert cuda_distance(piece_of_zeros, torch.ones(2**22)).item() == pytest.approx(1 - math.sqrt(0.5), rel=1e-12)
    assert cuda_distance(torch.ones(2**22), piece_of_zeros).item() == pytest.approx(1 - math.sqrt(0.5), rel=1e-12)


@pytest.mark.parametrize("scale", [1e18, 1e-6, 1e-25, 1e-38])
def test_rotation_does_not_depend_on_the_size_of_the_weights(scale):
    initial = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    current = (initial + 0.01 * initial.flip(0)) * scale

    assert layer_rotation([initial], [current]).item() == pytest.approx(distance(initial, current), rel=1e-4)


@pytest.mark.parametrize("scale", [0.5, 0.99, 1.0001, 3.0])
def test_rotation_of_a_small_turn_is_as_exact_where_the_length_changed_much_more(scale):
    generator = torch.Generator().manual_seed(0)
    initial = torch.randn(300, 300, generator=generator)
    current = (initial + 1e-4 * torch.randn(300, 300, generator=generator)) * scale
    assert layer_rotation([initial], [current]).item() == pytest.approx(distance(initial, current), rel=1e-4)


def test_rotation_of_float16_weights_does_not_overflow():
    initial = torch.full((300, 300), 6e4, dtype=torch.float16)
    current = torch.cat([initial[:150], -initial[:150]])

    assert layer_rotation([initial], [current]).item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("turn", [1.0, 1e-2, 1e-4])
def test_rotation_of_equal_weights_is_as_exact_where_chunks_turn_against_each_other(turn):
    initial = torch.ones(1000, 1000)
    current = initial + turn * torch.linspace(-1, 1, initial.numel()).reshape(initial.shape)

    assert layer_rotation([initial], [current]).item() == pytest.approx(distance(initial, current), rel=1e-3)


def test_rotation_does_not_depend_on_the_memory_layout():
    initial, current = torch.randn(2, 9, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    channels_last = current.to(memory_format=torch.channels_last)

    expected = pytest.approx(distance(initial, current), rel=1e-6)
    assert layer_rotation([initial], [channels_last]).item() == expected
    assert layer_rotation([channels_last], [initial]).item() == expected


def test_rotation_of_complex_weights_takes_their_real_and_imaginary_parts():
    initial, current = torch.randn(2, 6, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))

    expected = distance(torch.view_as_real(initial), torch.view_as_real(current))
    assert layer_rotation([initial], [current]).item() == pytest.approx(expected, rel=1e-6)


def test_rotation_of_several_layers_is_nan_only_where_a_layer_has_no_angle():
    ones, zeros, nan = torch.ones(2, 2), torch.zeros(2, 2), torch.full((2, 2), math.nan)

    distances = layer_rotation([ones, zeros, ones, ones, ones], [ones, ones, zeros, -ones, nan])

    assert distances[[0, 3]].tolist() == [0, pytest.approx(2)]
    assert distances[[1, 2, 4]].isnan().all()


@pytest.mark.parametrize(("initial", "current"), [([(2, 3)], [(3, 2)]), ([(2, 3)], []), ([(4,)], [(1,)])])
def test_rotation_refuses_layers_of_different_shapes(initial, current):
    with pytest.raises(ValueError, match="equal shapes"):
        layer_rotation([torch.ones(shape) for shape in initial], [torch.ones(shape) for shape in current])


def test_rotation_leaves_its_arguments_alone_and_builds_no_graph():
    initial, current = torch.randn(3, 4), nn.Parameter(torch.randn(3, 4))
    before = initial.clone(), current.detach().clone()

    assert not layer_rotation([initial], [current]).requires_grad
    assert torch.equal(initial, before[0])
    assert torch.equal(current, before[1])


# ---------------------------------------------------------------------------------------------- LayerRotation


class KeepWeights(L.Callback):
    """What an independent observer sees of the weights: at the start, and at the end of every epoch."""

    def __init__(self):
        self.weights = []

    def on_train_start(self, trainer, pl_module):
        self.weights.append({name: p.detach().clone() for name, p in pl_module.named_parameters()})

    on_train_epoch_end = on_train_start

    def mean_distances(self, names):
        start, *epochs = self.weights
        return [np.mean([distance(start[name], epoch[name]) for name in names]) for epoch in epochs]


def test_layer_rotation_is_the_mean_distance_of_the_kernels_from_the_start_of_the_fit():
    forward, keep = Forward(LayerRotation()), KeepWeights()
    trainer(forward, keep).fit(Net(), loader())

    assert list(forward.values.values()) == pytest.approx(
        keep.mean_distances(["first.weight", "second.weight"]), rel=1e-5
    )


def test_frozen_kernels_do_not_count():
    model = Net()
    model.first.requires_grad_(False)
    forward, keep = Forward(LayerRotation()), KeepWeights()
    trainer(forward, keep).fit(model, loader())

    assert list(forward.values.values()) == pytest.approx(keep.mean_distances(["second.weight"]), rel=1e-5)


def test_a_kernel_that_starts_at_zero_is_left_out_of_the_mean():
    model = Net()
    nn.init.zeros_(model.second.weight)
    forward, keep = Forward(LayerRotation()), KeepWeights()
    trainer(forward, keep).fit(model, loader())

    assert list(forward.values.values())[1:] == pytest.approx(keep.mean_distances(["first.weight"])[1:], rel=1e-5)


@pytest.mark.parametrize("spoil", [nn.init.zeros_, lambda weight: weight.requires_grad_(False)])
def test_a_model_without_a_kernel_that_has_an_angle_is_refused_before_the_first_batch(spoil):
    model, seen = Net(), []
    spoil(model.first.weight)
    spoil(model.second.weight)
    model.on_train_batch_start = lambda batch, batch_idx: seen.append(batch_idx)

    with pytest.raises(ValueError, match="LayerRotation needs a trainable parameter of two or more dimensions"):
        fit(LayerRotation(), model)
    assert seen == []


def test_the_checkpoint_shares_the_initial_weights_with_the_signal_in_their_own_precision():
    signal, model = LayerRotation(), Net().to(torch.bfloat16)
    initial = model.first.weight.detach().clone()
    fit(signal, model, precision="bf16-true", max_epochs=1)

    (saved, _), (again, _) = signal.state_dict()["initial"].values(), signal.state_dict()["initial"].values()
    assert saved.dtype == torch.bfloat16
    assert torch.equal(saved, initial)
    assert saved.data_ptr() == again.data_ptr() != model.first.weight.data_ptr()


def test_half_precision_keeps_half_the_bytes_and_turns_no_layer_by_more_than_2e_6():
    def model():
        torch.manual_seed(7)
        return Net()

    signals = [LayerRotation(), LayerRotation(half_precision=True)]
    exact, rounded = (fit(signal, model()) for signal in signals)
    sizes = [sum(w.nbytes for w in signal.state_dict()["initial"].values()) for signal in signals]
    assert sizes[1] == sizes[0] / 2 > 0
    assert rounded == pytest.approx(exact, abs=1e-4, rel=1e-2)
    for initial in signals[0].state_dict()["initial"].values():
        assert layer_rotation([initial.bfloat16()], [initial]).item() < 2e-6


def test_half_precision_does_not_touch_weights_that_have_no_more_bits():
    signal, model = LayerRotation(half_precision=True), Net().to(torch.float16)
    initial = model.first.weight.detach().clone()
    fit(signal, model, precision="16-true", max_epochs=1)
    assert torch.equal(signal.state_dict()["initial"]["first.weight"], initial)


def test_half_precision_must_be_a_bool():
    with pytest.raises(TypeError, match="half_precision must be True or False, got 'bf16'"):
        LayerRotation(half_precision="bf16")


# The checkpoint was made with a ModelCheckpoint, the resumed run has none.
resumes = pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")


@resumes
@pytest.mark.parametrize(("last_epoch_before", "half"), [(0, False), (1, False), (0, True)])
def test_a_resumed_rotation_is_bit_equal_to_an_uninterrupted_one(tmp_path, last_epoch_before, half):
    def model():
        torch.manual_seed(7)
        return Net()

    whole = fit(LayerRotation(half), model())
    checkpoint = ModelCheckpoint(tmp_path)
    trainer(Forward(LayerRotation(half)), checkpoint, max_epochs=last_epoch_before + 1).fit(model(), loader())
    resumed = Forward(LayerRotation(half))
    trainer(resumed).fit(Net(), loader(), ckpt_path=checkpoint.best_model_path, weights_only=True)

    assert resumed.values == whole


def test_reset_measures_from_the_weights_as_they_are():
    signal, model = LayerRotation(), Net()
    first = fit(signal, model)
    second = fit(signal, model)  # Forward resets: a new run

    assert signal.state_dict()["initial"]["first.weight"].shape == (8, 4)
    assert second[0] < first[2]
    assert second[0] > 0


def test_initial_weights_of_another_model_are_refused():
    signal = LayerRotation()
    signal.load_state_dict({"initial": {"first.weight": torch.ones(3, 3)}})
    forward = Forward(signal)
    forward.restored = True

    with pytest.raises(ValueError, match=r"initial weights of 'first.weight'"):
        trainer(forward).fit(Net(), loader())


def test_the_names_of_compiled_and_checkpointed_parts_are_cleaned():
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    signal, model = LayerRotation(), Net()
    model.first = torch.compile(model.first, backend="eager")
    model.second = checkpoint_wrapper(model.second)
    fit(signal, model, max_epochs=1)

    assert list(signal.state_dict()["initial"]) == ["first.weight", "second.weight"]


SHARDED = """
import json, sys
import lightning as L, torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from test_signals import Forward, Net, loader, trainer
from lightning_critperiod.signals import LayerRotation

class Sharded(Net):
    def configure_model(self):
        for part in (self.first, self.second, self):
            fully_shard(part, mesh=self.device_mesh["data_parallel"])

    def validation_step(self, batch, batch_idx):
        self(batch[0])

class Whole(L.Callback):
    weights = []

    def on_train_start(self, trainer, pl_module):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        self.weights.append(get_model_state_dict(pl_module, options=options))

    on_train_epoch_end = on_train_start

def run(epochs, *callbacks, **arguments):
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=False)
    torch.manual_seed(3)
    forward = Forward(LayerRotation())
    run = trainer(forward, *callbacks, strategy=strategy, devices=2, max_epochs=epochs)
    run.fit(Sharded(), loader(), loader(), **arguments)
    return run, forward

run_, forward = run(3, Whole())
out = sys.argv[1]
checkpoint = ModelCheckpoint(out, filename="one")
run(1, checkpoint)
_, resumed = run(3, ckpt_path=out + "/one.ckpt")
if run_.global_rank == 0:
    torch.save({"values": forward.values, "weights": Whole.weights, "resumed": resumed.values}, out + "/result.pt")
"""


def test_sharded_rotation_is_the_unsharded_one_and_resumes(tmp_path):
    """FSDP2 on two processes, after validation has left the root's parameters unsharded."""
    script = tmp_path / "sharded.py"
    script.write_text(textwrap.dedent(SHARDED))
    launched(script, tmp_path)

    result = torch.load(tmp_path / "result.pt", weights_only=True)
    start, *epochs = result["weights"]
    names = ["first.weight", "second.weight"]
    truth = [layer_rotation([start[n] for n in names], [e[n] for n in names]).mean().item() for e in epochs]
    assert list(result["values"].values()) == truth
    assert truth[0] == pytest.approx(np.mean([distance(start[n], epochs[0][n]) for n in names]), rel=1e-5)
    assert result["resumed"] == result["values"]


# ---------------------------------------------------------------------------------------------- MonitoredMetric


class Logs(Net):
    """Logs a given value for every (epoch, validation) and counts; what the truth is, is written in the test."""

    def __init__(self, **validated):
        super().__init__()
        self.validated, self.count = validated, -1

    def on_validation_epoch_start(self):
        self.count += not self.trainer.sanity_checking

    def validation_step(self, batch, batch_idx):
        for name, values in self.validated.items():
            value = 99.0 if self.trainer.sanity_checking else values[self.count]
            if value is not None:
                self.log(name, value, batch_size=len(batch[0]))


def values(signal, model, validate=True, **arguments):
    forward = Forward(signal)
    trainer(forward, **arguments).fit(model, loader(), loader() if validate else None)
    return list(forward.values.values())


def test_a_validation_metric_has_the_value_of_its_own_epoch():
    assert values(MonitoredMetric("acc"), Logs(acc=[3.0, 5.0, 4.0])) == [3.0, 5.0, 4.0]


def test_an_epoch_without_validation_has_no_value():
    assert values(MonitoredMetric("acc"), Logs(acc=[3.0, 3.0]), max_epochs=5, check_val_every_n_epoch=2) == [
        None,
        3.0,
        None,
        3.0,
        None,
    ]


def test_the_last_of_several_validations_in_an_epoch_counts():
    model = Logs(acc=[1.0, 2.0, 3.0, 4.0])
    assert values(MonitoredMetric("acc"), model, max_epochs=2, val_check_interval=0.5) == [2.0, 4.0]


def test_a_metric_that_validation_skips_is_not_taken_from_the_epoch_before():
    assert values(MonitoredMetric("acc"), Logs(acc=[3.0, None, 3.0])) == [3.0, None, 3.0]


def test_other_callbacks_that_read_the_metric_change_nothing():
    stopping = EarlyStopping("acc", patience=9, check_on_train_epoch_end=True, strict=False)
    forward = Forward(MonitoredMetric("acc"))
    trainer(forward, stopping, max_epochs=4, check_val_every_n_epoch=2).fit(Logs(acc=[3.0, 3.0]), loader(), loader())

    assert list(forward.values.values()) == [None, 3.0, None, 3.0]


class LogsInTraining(Logs):
    def __init__(self, on_step, on_epoch, skip=(), **validated):
        super().__init__(**validated)
        self.how, self.skip, self.truth = dict(on_step=on_step, on_epoch=on_epoch), skip, {}

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.current_epoch not in self.skip:
            self.log("loss", loss, **self.how)
            self.truth.setdefault(self.current_epoch, []).append(loss.item())
        return loss


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize("validate", [True, False])
def test_a_training_metric_is_its_mean_over_the_same_epoch(validate):
    model = LogsInTraining(on_step=True, on_epoch=True, acc=[1.0, 1.0, 1.0])
    measured = values(MonitoredMetric("loss"), model, validate)

    assert measured == pytest.approx([np.mean(losses) for losses in model.truth.values()], rel=1e-6)


def test_a_training_metric_of_steps_is_that_of_the_last_step():
    model = LogsInTraining(on_step=True, on_epoch=False, acc=[1.0, 1.0, 1.0])
    assert values(MonitoredMetric("loss"), model) == [losses[-1] for losses in model.truth.values()]


@pytest.mark.parametrize("on_step", [True, False])
def test_a_training_metric_that_an_epoch_does_not_log_has_no_value_there(on_step):
    model = LogsInTraining(on_step=on_step, on_epoch=True, skip=(1,), acc=[1.0, 1.0, 1.0])
    assert [value is None for value in values(MonitoredMetric("loss"), model)] == [False, True, False]


def test_what_validation_logs_goes_before_what_training_logs_under_the_same_name():
    model = LogsInTraining(on_step=False, on_epoch=True, loss=[7.0, 8.0, 9.0])
    assert values(MonitoredMetric("loss"), model) == [7.0, 8.0, 9.0]


def test_a_metric_of_one_of_several_validation_loaders_is_found_by_its_full_name():
    class Two(Logs):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            self.log("acc", float(self.count + 10 * dataloader_idx), batch_size=1)

    forward = Forward(MonitoredMetric("acc/dataloader_idx_1"))
    trainer(forward).fit(Two(), loader(), [loader(), loader()])
    assert list(forward.values.values()) == [10.0, 11.0, 12.0]


def warned(function):
    """What ``function`` returns, and the texts of the warnings of our signals meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    texts = [str(warning.message) for warning in caught]
    return result, [text for text in texts if text.partition(":")[0] in SIGNALS]


@pytest.mark.parametrize("validate", [True, False])
def test_a_metric_that_nobody_logs_is_not_measured_and_one_warning_names_those_that_exist(validate):
    model = LogsInTraining(on_step=False, on_epoch=True, acc=[1.0, 1.0, 1.0])

    measured, said = warned(lambda: values(MonitoredMetric("val_los"), model, validate))

    assert measured == [None, None, None]
    assert len(said) == 1
    assert "monitor='val_los' must name a logged metric" in said[0]
    assert "'loss'" in said[0]
    assert ("'acc'" in said[0]) == validate


def test_a_metric_that_is_logged_later_than_it_could_be_is_measured_from_then_on():
    model = Logs(acc=[1.0, 2.0, 3.0], late=[None, 4.0, 5.0])
    measured, said = warned(lambda: values(MonitoredMetric("late"), model))
    assert measured == [None, 4.0, 5.0]
    assert len(said) == 1


def test_before_any_validation_a_missing_metric_is_no_reason_to_warn():
    _, said = warned(lambda: values(MonitoredMetric("acc"), Logs(acc=[1.0]), max_epochs=1, check_val_every_n_epoch=2))
    assert said == []


@pytest.mark.parametrize("mode", [None, "min", "max"])
def test_a_monitored_metric_says_which_direction_is_better_if_it_was_told(mode):
    assert MonitoredMetric("val_loss", mode).mode == mode


def test_a_direction_is_min_or_max():
    with pytest.raises(ValueError, match=r"mode must be .* got 'up'"):
        MonitoredMetric("val_loss", mode="up")


@resumes
@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_a_run_resumed_from_a_checkpoint_of_validation_end_has_the_same_values(tmp_path, interval):
    """Lightning calls on_train_epoch_end again there, and has forgotten every metric."""
    logged = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    checkpoint = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=False)
    whole = Forward(MonitoredMetric("acc"))
    trainer(whole, checkpoint, val_check_interval=interval).fit(Logs(acc=logged), loader(), loader())

    model, resumed = Logs(acc=logged), Forward(MonitoredMetric("acc"))
    model.count = {1.0: 1, 0.5: 3}[interval]
    saved = sorted(tmp_path.glob("epoch=1*.ckpt"))[-1]
    trainer(resumed, val_check_interval=interval).fit(model, loader(), loader(), ckpt_path=saved, weights_only=True)

    assert resumed.values == whole.values


@pytest.mark.parametrize(
    ("monitor", "error"), [(None, TypeError), (True, TypeError), ("", ValueError), (["acc"], TypeError)]
)
def test_monitor_must_be_a_name(monitor, error):
    with pytest.raises(error, match="monitor must be the name of a logged metric"):
        MonitoredMetric(monitor)


def test_a_monitored_metric_is_named_after_the_metric():
    assert MonitoredMetric("val_loss").name == "val_loss"
