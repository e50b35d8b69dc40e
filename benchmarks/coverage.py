"""Does the 95% interval of the projected full recipe cover what the full recipe really takes?

For every seed two runs on the digits, one after the other, each first in half of the seeds: one that switches at epoch 4
of 12 and projects the full recipe, and the full recipe itself. It wants a machine with nothing else to do. It goes on where
it was stopped (results/coverage.jsonl), then writes docs/coverage.md:

    python benchmarks/coverage.py --seeds 20
"""

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from lightning_critperiod import AtEpoch, CostMonitor, CriticalPeriodCallback, Never
from lightning_critperiod.datamodules import Digits
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.recorder import RunRecorder

ROOT = Path(__file__).parents[1]
EPOCHS, SWITCH = 12, 4
# What a projection takes over as it was measured, whatever the recipe, and what it does not charge.
OTHERS = ("start_up", "metering")


def train(rule, seed):
    """The record of one run."""
    seed_everything(seed, verbose=False)
    recorder = RunRecorder()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[CriticalPeriodCallback(rule=rule), CostMonitor(), recorder],
        )
        data = Digits(batch_size=64, augmentation_multiplier=3, seed=seed)
        trainer.fit(ImageClassifier(CifarResNet(8, in_channels=1)), datamodule=data)
    return recorder.record


def without_start(seconds):
    return sum(s for phase, s in seconds.items() if phase not in {*OTHERS, "detector"})


def measure(seed):
    rules = {"switched": AtEpoch(SWITCH), "full": Never()}
    order = ["switched", "full"] if seed % 2 else ["full", "switched"]
    records = {name: train(rules[name], seed) for name in order}
    projected, phases = records["switched"]["projected"], records["full"]["measured"]["seconds_by_phase"]
    start = sum(projected["seconds_by_phase"].get(phase, 0.0) for phase in OTHERS)
    return {
        "seed": seed,
        "first": order[0],
        "load": os.getloadavg()[0],
        "full": without_start(phases),
        "projected": projected["seconds"] - start,
        "low": projected["seconds_low"] - start,
        "high": projected["seconds_high"] - start,
        "switched": without_start(records["switched"]["measured"]["seconds_by_phase"]),
    }


def page(found):
    covered = sum(f["low"] <= f["full"] <= f["high"] for f in found)
    errors = [f["projected"] / f["full"] - 1 for f in found]
    widths = [(f["high"] - f["low"]) / 2 / f["projected"] for f in found]
    loads = [f["load"] for f in found]
    lines = [
        "# Does the interval of the projection cover the truth?",
        f"Written by `python benchmarks/coverage.py --seeds {len(found)}`: ResNet-8 on the digits, {EPOCHS} epochs of "
        f"three views, batch 64, CPU ({os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}). For "
        f"every seed one run switches at epoch {SWITCH} to the default recipe and projects the full recipe, and one run "
        "has the full recipe; they follow each other, each first in half of the seeds. Seconds of training, waiting for "
        "data, validation and the rest; start-up and the detector are left out of both.",
        f"- The 95% interval covers the measured full recipe in {covered} of {len(found)} seeds.",
        f"- Error of the projection (projected / measured - 1): median {statistics.median(errors):+.1%}, from "
        f"{min(errors):+.1%} to {max(errors):+.1%}. Half width of the interval: median "
        f"{statistics.median(widths):.1%}.",
        f"- The load of the machine was {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores. "
        "The interval knows the spread between the epochs of its own run; that the machine is faster or slower in "
        "another hour it cannot know.",
        "| seed | switched, s | projected full recipe, s | 95% interval | measured full recipe, s | covered |\n"
        "|--:|--:|--:|--:|--:|---|\n"
        + "\n".join(
            f"| {f['seed']} | {f['switched']:.1f} | {f['projected']:.1f} | {f['low']:.1f} to {f['high']:.1f} | "
            f"{f['full']:.1f} | {'yes' if f['low'] <= f['full'] <= f['high'] else 'no'} |"
            for f in found
        ),
    ]
    return "\n\n".join(lines).replace(".\n\n- ", ".\n- ") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "coverage.jsonl")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.is_file() else []
    left = sorted({*range(args.seeds)} - {f["seed"] for f in done})
    if left:
        train(Never(), 0)  # what a process does only once is in no run that counts
    for seed in left:
        done.append(measure(seed))
        with args.results.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(done[-1], flush=True)
    text = page(sorted(done, key=lambda f: f["seed"]))
    (ROOT / "docs" / "coverage.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
