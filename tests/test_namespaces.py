"""``lightning.pytorch`` and ``pytorch_lightning``: Trainer and LightningCLI of each, whichever is imported first."""

import pytest
from fresh import Python

pytest.importorskip("pytorch_lightning")

PROGRAM = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
for name in {imported!r}:
    importlib.import_module(name)
used = importlib.import_module({used!r})
cli = importlib.import_module({used!r} + ".cli")
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(1)

class Model(used.LightningModule):
    counts = {{}}

    def __init__(self, width: int = 2):
        super().__init__()
        self.net = nn.Linear(4, width)

    def training_step(self, batch, batch_idx):
        self.counts[self.current_epoch] = self.counts.get(self.current_epoch, 0) + len(batch[0])
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

class Data(used.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(10, 4)), batch_size=2)

def main():
    from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Recipe, Volume
    callback = CriticalPeriodCallback(rule=AtEpoch(1), recipe=Recipe(Volume(3), Volume(pruning_ratio=0.5), 0))
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer = used.Trainer(max_epochs=3, accelerator="cpu", callbacks=[callback], **quiet)
    trainer.fit(Model(), datamodule=Data())
    assert Model.counts == {{0: 30, 1: 5, 2: 5}}, Model.counts
    if not {cli}:
        return
    Model.counts.clear()
    made = cli.LightningCLI(Model, Data, args=["fit", "--config", "run.yaml"], save_config_callback=None)
    assert Model.counts == {{0: 30, 1: 5, 2: 5}}, Model.counts
    ours = [c for c in made.trainer.callbacks if isinstance(c, CriticalPeriodCallback)]
    assert len(ours) == 1 and ours[0].end_epoch == 1
    assert (ours[0].recipe, ours[0].rule) == (callback.recipe, callback.rule)

main()
print("loaded", *[name for name in ("lightning.pytorch", "pytorch_lightning") if name in sys.modules])
"""

CONFIG = """
trainer:
  max_epochs: 3
  accelerator: cpu
  logger: false
  enable_checkpointing: false
  enable_progress_bar: false
  enable_model_summary: false
  callbacks:
    - class_path: lightning_critperiod.CriticalPeriodCallback
      init_args:
        signal:
          class_path: lightning_critperiod.LayerRotation
        rule:
          class_path: lightning_critperiod.AtEpoch
          init_args: {epoch: 1}
        recipe:
          during: {augmentation_multiplier: 3}
          after: {pruning_ratio: 0.5}
          annealing_fraction: 0
"""

BOTH = ["lightning.pytorch", "pytorch_lightning"]
ORDERS = {
    "lightning alone": ([], "lightning.pytorch", BOTH[:1], True),
    "pytorch_lightning alone": ([], "pytorch_lightning", BOTH[1:], True),
    "ours, then lightning": (["lightning_critperiod"], "lightning.pytorch", BOTH[:1], True),
    "ours, then pytorch_lightning": (["lightning_critperiod"], "pytorch_lightning", BOTH[1:], True),
    "our callback, then lightning": (["lightning_critperiod.callback"], "lightning.pytorch", BOTH, True),
    "our callback, then pytorch_lightning": (["lightning_critperiod.callback"], "pytorch_lightning", BOTH, True),
    "both, then ours": (BOTH, "pytorch_lightning", BOTH, True),
    "lightning, ours, and only then pytorch_lightning": (
        [BOTH[0], "lightning_critperiod"],
        "pytorch_lightning",
        BOTH,
        True,
    ),
    "lightning, our callback, and only then pytorch_lightning: no CLI": (
        [BOTH[0], "lightning_critperiod.callback"],
        "pytorch_lightning",
        BOTH,
        False,
    ),
}


@pytest.mark.parametrize(("imported", "used", "loaded", "cli"), ORDERS.values(), ids=ORDERS)
def test_trainer_and_cli_of_either_namespace(tmp_path, imported, used, loaded, cli):
    (tmp_path / "run.yaml").write_text(CONFIG)
    (tmp_path / "program.py").write_text(PROGRAM.format(imported=imported, used=used, cli=cli))
    status, out, err = Python("program.py", folder=tmp_path).finish()
    assert status == 0, err[-2000:]
    assert out.splitlines()[-1].split() == ["loaded", *loaded]
