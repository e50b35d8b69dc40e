"""Does the 95% interval of the projected cost cover what the full recipe really costs?

    python benchmarks/coverage.py run --seeds 20      trains; wants a machine with nothing else to do
    python benchmarks/coverage.py judge               writes docs/coverage.md from the runs, trains nothing

For every seed there is a pair of runs on the digits: one switches after 4 of 12 epochs and projects the full recipe, the
other trains the full recipe. One runs directly after the other; each goes first in half of the seeds. A pair is one file in
results/coverage. Finished pairs are kept, so the command continues where it was stopped.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from lightning_critperiod import AtEpoch, CostMonitor, CriticalPeriodCallback, Never, RunRecorder
from lightning_critperiod.datamodules import Digits
from lightning_critperiod.models import CifarResNet, ImageClassifier
from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).parents[1]
EPOCHS, SWITCH = 12, 4
# What a projection takes over as it was measured, whatever the recipe, and what it does not charge.
OTHERS = ("start_up", "metering")


def train(rule, seed):
    """The record of one run."""
    seed_everything(seed, verbose=False)
    recorder = RunRecorder(show=False)
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


def pace(record):
    """Seconds of the epochs that draw the same in both runs, without the first, which holds the warm-up."""
    return sum(sum(epoch.seconds[p] for p in ("training", "data_wait")) for epoch in record.epochs[1:SWITCH])


def measure(seed):
    rules = {"switched": AtEpoch(SWITCH), "full": Never()}
    order = ["switched", "full"] if seed % 2 else ["full", "switched"]
    began = time.time()
    records = {name: train(rules[name], seed) for name in order}
    projected, phases = records["switched"].projected, records["full"].measured.seconds_by_phase
    start = sum(projected.seconds_by_phase.get(phase, 0.0) for phase in OTHERS)
    return {
        "seed": seed,
        "first": order[0],
        "began": began,
        "load": os.getloadavg()[0],
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {torch.get_num_threads()} threads of torch "
        f"{torch.__version__}",
        "full": without_start(phases),
        "projected": projected.seconds - start,
        "low": projected.seconds_low - start,
        "high": projected.seconds_high - start,
        "switched": without_start(records["switched"].measured.seconds_by_phase),
        "pace": pace(records["full"]) / pace(records["switched"]) - 1,
    }


def run(seeds, results):
    left = [seed for seed in range(seeds) if not (results / f"seed_{seed}.json").is_file()]
    if left:
        train(Never(), 0)  # what a process does only once is in no run that counts
    for seed in left:
        found = measure(seed)
        write({f"seed_{seed}.json": as_json(found)}, results)
        print(
            f"seed {seed}: measured {found['full']:.1f} s, interval {found['low']:.1f} to {found['high']:.1f} s",
            flush=True,
        )


def spread(fractions):
    return f"median {statistics.median(fractions):+.1%}, from {min(fractions):+.1%} to {max(fractions):+.1%}"


def page(found):
    from scipy.stats import binomtest

    covered = sum(f["low"] <= f["full"] <= f["high"] for f in found)
    true = binomtest(covered, len(found)).proportion_ci(0.95, method="exact")
    widths = [(f["high"] - f["low"]) / 2 / f["projected"] for f in found]
    loads = [f["load"] for f in found]
    as_fast = sum(f["low"] <= f["full"] / (1 + f["pace"]) <= f["high"] for f in found)
    facts = [
        f"The interval covers the measured cost in {covered} of {len(found)} pairs. From these pairs alone, its true coverage "
        f"is between {true.low:.0%} and {true.high:.0%} (95% interval of Clopper and Pearson).",
        f"Error of the projection (projected / measured - 1): {spread([f['projected'] / f['full'] - 1 for f in found])}. "
        f"Half the width of the interval: median {statistics.median(widths):.1%}.",
        "Before the switch both runs of a pair do the same work, but not at the same speed. *Pace* (seconds in the full run / "
        f"in the switched run - 1): {spread([f['pace'] for f in found])}. If the full run is scaled to the pace of the "
        f"switched run, the interval covers it in {as_fast} of {len(found)} pairs.",
        f"The load of the machine at the end of a pair was {min(loads):.1f} to {max(loads):.1f}.",
    ]
    rows = [
        f"| {f['seed']} | {f['first']} | {f['switched']:.1f} | {f['projected']:.1f} | {f['low']:.1f} to {f['high']:.1f} | "
        f"{f['full']:.1f} | {f['pace']:+.1%} | {'yes' if f['low'] <= f['full'] <= f['high'] else 'no'} |"
        for f in found
    ]
    head = "| seed | first run | switched | projected | 95% interval | measured | pace | covered |"
    return (
        "\n\n".join([
            "# How good is the projected cost of the full recipe?",
            "A run that switches to a cheaper recipe reports what the full recipe would have cost, with a 95% interval. This page "
            "compares that projection with a second run that really trains the full recipe.",
            f"**The projection is about right on average, but its interval is too narrow:** it covers the measured cost in {covered} of "
            f"{len(found)} pairs of runs. The interval knows how much the epochs of its own run differ. It does not know that the "
            "machine may be faster or slower during another run.",
            "\n".join(f"- {fact}" for fact in facts),
            "## Every pair",
            "Seconds. *Switched* is the run that switches, *projected* and *95% interval* are what it says about the full recipe, "
            "*measured* is the full recipe.",
            "\n".join([head, "|--:|---|--:|--:|--:|--:|--:|---|", *rows]),
            "## How it was measured",
            f"ResNet-8 on the digits, {EPOCHS} epochs of three views, batch size 64, on a CPU "
            f"({'; '.join(sorted({f['machine'] for f in found}))}). For every seed, one run switches to the default recipe "
            f"after {SWITCH} epochs and projects the full recipe; the other trains the full recipe. One runs directly after the "
            "other, and each goes first in half of the seeds. The seconds are those of training, waiting for data, validation and "
            "everything else, without start-up and detector.",
            f"`python benchmarks/coverage.py run --seeds {len(found)}` trains the pairs, `python benchmarks/coverage.py judge` "
            "writes this page.",
        ])
        + "\n"
    )


def judge(results, output):
    found = [json.loads(path.read_text()) for path in results.glob("seed_*.json")]
    if not found:
        raise SystemExit(f"no pair of runs in {results}: run first")
    write({output.name: page(sorted(found, key=lambda f: f["seed"]))}, output.parent)
    print(output.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "coverage")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "coverage.md")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if args.what == "run":
        run(args.seeds, args.results)
    else:
        judge(args.results, args.output)


if __name__ == "__main__":
    main()
