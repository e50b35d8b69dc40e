"""docs/cooldown.md: its table is what its formula gives, and its example under SLURM works in a process of its own."""

import math
import os
import re
import signal
import time
from pathlib import Path

import pytest
from fresh import Python

PAGE = (Path(__file__).parents[1] / "docs" / "cooldown.md").read_text()


def test_the_table_of_min_gain_is_what_the_formula_gives():
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for samples, accuracy, error, gain in rows:
        n, p = int(samples.replace(",", "")), float(accuracy)
        expected = math.sqrt(p * (1 - p) / n)
        assert (error, gain) == (f"{expected:.2g}", f"{2 * expected:.2g}")


GROWS = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer, self.sizes = nn.Conv2d(1, 2, 1), []
    def training_step(self, batch, batch_idx):
        self.sizes.append(batch[0].shape[-1])
        return self.layer(batch[0]).square().mean()
    def validation_step(self, batch, batch_idx):
        self.log("val_acc", 1 - 2.0 ** -min(self.current_epoch, 5))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

model, data = Net(), DataLoader(TensorDataset(torch.ones(2, 1, 32, 32)), batch_size=2)
trainer.fit(model, data, data)
"""
QUIET = 'max_epochs=-1, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, logger=False'


def test_the_long_form_of_early_cooldown_with_images_that_grow_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "GrowingImages" in block)
    found = {}
    exec(code.replace("max_epochs=-1", QUIET) + GROWS, found)
    callback = found["callback"]
    assert callback.cooldown_epoch == callback.end_epoch  # the rule fired, and nothing else has ended the run
    assert found["trainer"].current_epoch == callback.last_epoch + 1
    assert found["trainer"].optimizers[0].param_groups[0]["lr"] == 0
    assert sorted(set(found["model"].sizes)) == [16, 24, 32]
    assert found["model"].sizes[callback.cooldown_epoch :] == [32] * (callback.last_epoch + 1 - callback.cooldown_epoch)


REST = """
import time
from conftest import TinyData, TinyModel

class Slow(TinyModel):
    def on_train_start(self):
        print("training", flush=True)
    def training_step(self, batch, batch_idx):
        time.sleep(0.005)
        return super().training_step(batch, batch_idx)
    def validation_step(self, batch, batch_idx):
        self.log("val_acc", float(self.current_epoch))

trainer.fit(Slow(), TinyData(n=8))
print(trainer.optimizers[0].param_groups[0]["lr"], callback.reason, flush=True)
"""
SLURM = {"JOB_ID": "12", "JOB_NAME": "job", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}


def said(process, lines):
    """What it printed, once that is so many lines."""
    printed = Path(process.output, "out")
    while process.is_alive() and not (printed.exists() and printed.read_text().count("\n") >= lines):
        time.sleep(0.01)
    return printed.read_text()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="needs the signals of POSIX")
def test_a_signal_of_slurm_begins_the_cooldown_and_that_of_lightning_still_requeues(tmp_path):
    scontrol = tmp_path / "scontrol"  # stands for SLURM's own
    scontrol.write_text('#!/bin/sh\necho "$@"\n')
    scontrol.chmod(0o755)
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "SIGUSR2" in block)
    (tmp_path / "train.py").write_text(code.replace("max_epochs=-1", QUIET) + REST)
    environment = {f"SLURM_{name}": value for name, value in SLURM.items()}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    process = Python("train.py", folder=tmp_path, environment=environment)
    assert said(process, lines=1) == "training\n"
    os.kill(process.pid, signal.SIGUSR1)
    assert said(process, lines=2) == "training\nrequeue 12\n"
    assert (tmp_path / "hpc_ckpt_1.ckpt").is_file()
    os.kill(process.pid, signal.SIGUSR2)
    status, out, err = process.finish()
    assert status == 0, err
    rate, _, reason = out.splitlines()[2].partition(" ")
    assert float(rate) == 0
    assert reason.endswith("a cooldown was requested")
