"""docs/cooldown.md: its table is what its formula gives, and its example under SLURM works in a process of its own."""

import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "cooldown.md").read_text()


def test_the_table_of_min_gain_is_what_the_formula_gives():
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for samples, accuracy, error, gain in rows:
        n, p = int(samples.replace(",", "")), float(accuracy)
        expected = math.sqrt(p * (1 - p) / n)
        assert (error, gain) == (f"{expected:.2g}", f"{2 * expected:.2g}")


REST = """
import sys, time
sys.path.insert(0, {tests!r})
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


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="needs the signals of POSIX")
def test_a_signal_of_slurm_begins_the_cooldown_and_that_of_lightning_still_requeues(tmp_path):
    scontrol = tmp_path / "scontrol"  # stands for SLURM's own
    scontrol.write_text('#!/bin/sh\necho "$@"\n')
    scontrol.chmod(0o755)
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "SIGUSR2" in block)
    quiet = 'max_epochs=-1, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, logger=False'
    code = code.replace("max_epochs=-1", quiet) + REST.format(tests=str(Path(__file__).parent))
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment |= {f"SLURM_{name}": value for name, value in SLURM.items()}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == "training\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "requeue 12\n"
        assert (tmp_path / "hpc_ckpt_1.ckpt").is_file()
        process.send_signal(signal.SIGUSR2)
        rate, _, reason = process.stdout.readline().partition(" ")
    assert process.returncode == 0
    assert float(rate) == 0
    assert reason.endswith("a cooldown was requested\n")
