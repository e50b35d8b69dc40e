import csv

import pytest
import torch
from conftest import TinyData, make_trainer, weights
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    Callback,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    StochasticWeightAveraging,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from outside import (
    SINCE_2_6,
    Witness,
    assert_each_seen,
    assert_run,
    callback,
    epochs_of,
    loaders,
    rates_of,
    run,
)
from torch import nn

CASES = pytest.mark.parametrize("case", ["shrinks", "grows"])


class Constant(Witness):
    """Validation that never gets better."""

    def validation_step(self, batch, batch_idx):
        self.log("constant", 1.0, batch_size=1)


@CASES
def test_early_stopping_sees_every_epoch(tmp_path, case):
    """The first validation sets the mark, three without a better one end the run."""
    model = Constant()
    run(tmp_path, case, model, loaders(), EarlyStopping("constant", patience=3))
    assert_run(model, epochs_of(case)[:4], rates=rates_of(epochs_of(case))[:4])


@CASES
def test_early_stopping_waits_for_min_epochs(tmp_path, case):
    model = Constant()
    run(tmp_path, case, model, loaders(), EarlyStopping("constant", patience=1), min_epochs=5)
    assert model.batches == epochs_of(case)[:5]


@CASES
def test_model_checkpoint_saves_every_epoch(tmp_path, case):
    model = Witness()
    saves = ModelCheckpoint(tmp_path / "saved", filename="{epoch}-{step}", monitor="val_loss", save_top_k=-1)
    run(tmp_path, case, model, loaders(), saves, enable_checkpointing=True)
    steps = [sum(epochs_of(case)[: e + 1]) for e in range(6)]
    names = {f"epoch={e}-step={step}.ckpt" for e, step in enumerate(steps)}
    assert {path.name for path in (tmp_path / "saved").iterdir()} == names
    assert_run(model, epochs_of(case))


@CASES
def test_model_checkpoint_saves_every_so_many_steps(tmp_path, case):
    model = Witness()
    saves = ModelCheckpoint(tmp_path / "saved", filename="{step}", every_n_train_steps=5, save_top_k=-1)
    run(tmp_path, case, model, loaders(), saves, enable_checkpointing=True)
    names = {f"step={step}.ckpt" for step in range(5, sum(epochs_of(case)) + 1, 5)}
    assert {path.name for path in (tmp_path / "saved").iterdir()} == names


class Starts(Callback):
    """Weights at the start of every epoch, and after every batch."""

    def __init__(self):
        self.epochs, self.batches = [], []

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append(weights(pl_module).double().clone())

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.batches.append(weights(pl_module).double().clone())


@CASES
@pytest.mark.filterwarnings("ignore:.*SWA is currently only supported every epoch.*")
def test_stochastic_weight_averaging(tmp_path, case):
    """It averages the weights at the start of epochs 2 to 5."""
    model, starts = Witness(scheduler=None), Starts()
    run(tmp_path, case, model, loaders(), StochasticWeightAveraging(0.01, swa_epoch_start=3), starts)
    assert model.batches == epochs_of(case)
    assert torch.allclose(weights(model).double(), torch.stack(starts.epochs[2:6]).mean(0), atol=1e-6)


class Normed(Witness):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net.insert(1, nn.BatchNorm1d(8))


@CASES
@pytest.mark.filterwarnings("ignore:.*SWA is currently only supported every epoch.*")
def test_the_extra_epoch_of_weight_averaging_with_batch_norm_moves_no_volume(tmp_path, case):
    """SWA adds an epoch of forward passes to the run: annealing must begin as planned and the signal end as planned."""
    model, ours = Normed(scheduler=None), callback(case)
    data = loaders(drop_last=True)
    run(tmp_path, case, model, data, StochasticWeightAveraging(0.01, swa_epoch_start=3), own=ours)
    batches = epochs_of(case, drop_last=True)
    assert model.batches == [*batches, batches[-1]]
    assert list(ours.history) == list(range(6))


@CASES
@SINCE_2_6
def test_weight_averaging_after_every_step(tmp_path, case):
    model, starts = Witness(), Starts()
    run(tmp_path, case, model, loaders(), starts, callbacks.WeightAveraging())
    assert_run(model, epochs_of(case))
    first = weights(Witness()).double()  # averaging begins with the weights that the run began with
    assert torch.allclose(weights(model).double(), torch.stack([first, *starts.batches][1:]).mean(0), atol=1e-5)


def halves(optimizer):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)


class Plateaus(Constant):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": halves(optimizer),
                "monitor": "constant",
                "interval": self.interval,
            },
        }


@CASES
def test_reduce_lr_on_plateau_steps_once_an_epoch(tmp_path, case):
    model = Plateaus(interval="epoch")
    run(tmp_path, case, model, loaders())
    assert_run(model, epochs_of(case), rates=[0.05, 0.05, 0.025, 0.0125, 0.00625, 0.003125])


@CASES
def test_learning_rate_monitor(tmp_path, case):
    model, logger = Witness(), CSVLogger(tmp_path)
    run(tmp_path, case, model, loaders(), LearningRateMonitor("epoch"), logger=logger, log_every_n_steps=1)
    with open(logger.experiment.metrics_file_path) as file:
        logged = [float(row["lr-SGD"]) for row in csv.DictReader(file) if row["lr-SGD"]]
    assert logged == pytest.approx([0.05, *rates_of(epochs_of(case))[:-1]], abs=1e-9)


class Tqdm(TQDMProgressBar):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        self.seen.append((self.train_progress_bar.n, self.train_progress_bar.total))


class Rich(RichProgressBar):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        task = self.progress.tasks[self.train_progress_bar_id]
        self.seen.append((task.completed, task.total))


@CASES
@pytest.mark.parametrize("kind", [Tqdm, Rich])
@pytest.mark.parametrize("order", ["before ours", "after ours"])
def test_progress_bars_end_full_in_every_epoch(tmp_path, case, kind, order):
    model, bar = Witness(), kind()
    both = [bar, callback(case)] if order == "before ours" else [callback(case), bar]
    trainer = make_trainer(tmp_path, both, enable_progress_bar=True)
    trainer.fit(model, **loaders())
    assert bar.seen == [(n, n) for n in epochs_of(case)]


@CASES
def test_gradient_accumulation_that_changes(tmp_path, case):
    model = Witness(scheduler=None)
    trainer = run(tmp_path, case, model, loaders(), GradientAccumulationScheduler({0: 1, 3: 2}))
    batches = epochs_of(case)
    assert_run(model, batches, rates=[0.05] * 6)
    assert trainer.global_step == sum(batches[:3]) + sum(-(-n // 2) for n in batches[3:])


class Forgets(Callback):
    """Forgets what was seen in front of the run."""

    def on_fit_start(self, trainer, pl_module):
        for seen in (pl_module.samples, pl_module.rates, pl_module.totals, pl_module.validations):
            seen.clear()


@CASES
def test_the_learning_rate_finder_in_front_of_a_run(tmp_path, case):
    model, finder = Witness(), LearningRateFinder(num_training_steps=20, update_attr=False)
    trainer = run(tmp_path, case, model, loaders(), finder, Forgets())
    assert len(finder.optimal_lr.results["lr"]) == 20
    assert_run(model, epochs_of(case))
    assert trainer.global_step == sum(epochs_of(case))


@CASES
def test_the_batch_size_finder_in_front_of_a_run(tmp_path, case):
    model, data = Witness(scheduler=None), TinyData()
    finder = BatchSizeFinder(max_trials=2, init_val=3, steps_per_trial=2)
    run(tmp_path, case, model, {"datamodule": data}, finder, Forgets())
    assert data.batch_size == finder.optimal_batch_size != 4
    assert_run(model, epochs_of(case, batch_size=data.batch_size), rates=[0.05] * 6)
    assert_each_seen(model, case)


class WithBackbone(Witness):
    def __init__(self):
        super().__init__()
        self.backbone = self.net[0]

    def configure_optimizers(self):
        return torch.optim.SGD((p for p in self.parameters() if p.requires_grad), lr=0.05)


@pytest.mark.filterwarnings("ignore:LayerRotation. not measured while layers are frozen")
@CASES
def test_a_backbone_that_is_unfrozen(tmp_path, case):
    model = WithBackbone()
    thaws = BackboneFinetuning(unfreeze_backbone_at_epoch=3, lambda_func=lambda epoch: 1.0)
    run(tmp_path, case, model, loaders(), thaws)
    assert_run(model, epochs_of(case), rates=[0.05] * 6)
