"""A tiny real model and tiny real data, and what an outsider sees of a run."""

import os
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SHARED = Path(__file__).parents[1].parent / "shared"
LONG = (
    "compare",
    "resume",
    "oracle",
    "examples",
    "notebooks",
    "own_project",
    "distributed",
    "namespaces",
    "metered_ranks",
)

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start


def pytest_collection_modifyitems(items):
    """The longest files come first, so that none of them is what one process still runs when the other is done."""
    order = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


@pytest.fixture(autouse=True)
def no_seed_of_workers():
    """A test that seeds its workers leaves this behind, and Lightning then sets worker_init_fn on all later loaders."""
    os.environ.pop("PL_SEED_WORKERS", None)


@pytest.fixture
def shared():
    if not (SHARED / "data").is_dir():
        pytest.skip("the reference data beside the repository is absent")
    return SHARED


class Numbered(Dataset):
    """Samples that carry their number: (number, features, target)."""

    def __init__(self, n=33):
        generator = torch.Generator().manual_seed(n)
        self.features = torch.randn(n, 4, generator=generator)
        self.targets = (self.features.sum(1) > 0).long()

    def __len__(self):
        return len(self.features)

    def __getitem__(self, number):
        return number, self.features[number], self.targets[number]


class TinyModel(L.LightningModule):
    """Two layers; records from the outside of the plugin what every epoch trained on and with which LR."""

    def __init__(self, lr=0.05, scheduler=None, interval="step", frequency=1):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        self.lr, self.scheduler, self.interval, self.frequency = lr, scheduler, interval, frequency
        self.samples, self.rates, self.validations, self.totals = {}, {}, [], {}
        self.planned_steps = None

    def loss(self, batch):
        _, x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def training_step(self, batch, batch_idx):
        self.samples.setdefault(self.current_epoch, []).append(batch[0].tolist())
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch), batch_size=len(batch[0]))

    def on_validation_end(self):
        if not self.trainer.sanity_checking:
            self.validations.append(self.current_epoch)

    def on_train_epoch_start(self):
        self.totals[self.current_epoch] = self.trainer.num_training_batches

    def on_train_batch_end(self, *_):
        self.rates.setdefault(self.current_epoch, []).append(self.optimizers().param_groups[0]["lr"])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        if self.scheduler is None:
            return optimizer
        self.planned_steps = self.trainer.estimated_stepping_batches
        config = {"interval": self.interval, "frequency": self.frequency}
        return [optimizer], [{"scheduler": self.scheduler(optimizer, self.planned_steps), **config}]

    def drawn(self):
        """Epoch -> flat list of sample numbers."""
        return {epoch: [i for batch in batches for i in batch] for epoch, batches in self.samples.items()}


class TinyData(L.LightningDataModule):
    """33 numbered samples in batches of 4, without a declared volume."""

    def __init__(self, n=33, batch_size=4, **loader):
        super().__init__()
        self.n, self.batch_size, self.loader = n, batch_size, {"shuffle": True, **loader}
        self.calls = 0

    def train_dataloader(self):
        self.calls += 1
        return DataLoader(Numbered(self.n), batch_size=self.batch_size, **self.loader)

    def val_dataloader(self):
        return DataLoader(Numbered(8), batch_size=4)


class Declares(TinyData):
    """The same with a volume of three views."""

    def __init__(self, multiplier=3, ratio=0.0, **kwargs):
        super().__init__(**kwargs)
        self.augmentation_multiplier = multiplier
        self.pruning_ratio = ratio


def make_trainer(tmp_path, callbacks=(), **arguments):
    defaults = dict(
        accelerator="cpu",
        devices=1,
        max_epochs=6,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    return L.Trainer(callbacks=list(callbacks), **{**defaults, **arguments})


@pytest.fixture
def trainer_for(tmp_path):
    return lambda *callbacks, **arguments: make_trainer(tmp_path, callbacks, **arguments)


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])
