"""Everything together against the paper's full recipe and against fixed schedules of the same arithmetic.

    python benchmarks/headline.py pack DATA        puts the images that are used into DATA/headline
    python benchmarks/headline.py develop DATA     the seed on which the settings were chosen
    python benchmarks/headline.py run DATA --jobs 2       seeds 0 to 9; runs that are there are kept
    python benchmarks/headline.py run DATA --jobs 5 --setups "CIFAR-10, ResNet-18"       on a GPU
    python benchmarks/headline.py judge            writes docs/headline.md from the runs, trains nothing

DATA holds the data sets as torchvision stores them: cifar-10-batches-py, cifar-100-python, FashionMNIST. Set-ups of ResNet-18
need a GPU, which all jobs share; the others train on the CPU.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from growing_arms import planned
from headline_arms import ALL, ARMS, CANDIDATES, CHOSEN, DEVELOPED, DEVELOPMENT, EPOCHS, SETUPS, VIEWS, run
from headline_page import page
from study import command_line, parsed, quiet, study
from torchvision import datasets

STUDY = study("headline")
POOL = {
    "Fashion-MNIST": ("FashionMNIST", 10_000, 5_000),
    "CIFAR-10": ("CIFAR10", 7_500, 5_000),
    "CIFAR-100": ("CIFAR100", 10_000, 2_000),
    "CIFAR-10 large": ("CIFAR10", 12_500, 5_000),
}
"""Data set, and how many of its first training and test images are used."""


def pack(data):
    target = data / "headline"
    target.mkdir(exist_ok=True)
    for name, (source, *sizes) in POOL.items():
        arrays = {}
        for part, n in zip(("train", "test"), sizes, strict=True):
            found = getattr(datasets, source)(data, train=part == "train")
            arrays[part] = np.asarray(found.data)[:n]
            arrays[f"{part}_labels"] = np.asarray(found.targets)[:n].astype(np.uint8)
        np.savez(target / f"{name}.npz", **arrays)


def train(at, name, arm, seed, budget, data, **tried):
    """One run, unless its record is there."""
    words = "".join(f" {word} {value}" for word, value in tried.items())
    found = at.record(f"{name} {arm} {seed}{words}", partial(run, name, arm, seed, budget=budget, data=data, **tried))
    print(name, arm, seed, words, f"{found['test_acc']:.4f}", f"{found['flops']:.3g}", flush=True)
    return found


def one_seed(at, name, seed, data):
    """Every arm; `together` first, for its operations are what the last two may spend."""
    budget = None
    for arm in ("together", "full recipe", "grown", "short"):
        found = train(at, name, arm, seed, budget, data)
        budget = budget or found["flops"]


def run_all(executor, at, data, seeds, setups):
    """Seed by seed, the data set that takes longest first."""
    names = sorted(setups, key=lambda name: -ALL[name].images)
    for future in [executor.submit(one_seed, at, name, seed, data) for seed in seeds for name in names]:
        future.result()


def develop(executor, at, data):
    """Every baseline at three peaks of the learning rate, every candidate at two, the chosen one at the third too; one seed."""
    futures = []
    for name in DEVELOPED:
        budget = planned(SETUPS[name], 2 * VIEWS * EPOCHS // 3)
        tried = [(arm, peak, {}) for arm in ARMS if arm != "together" for peak in (0.1, 0.2, 0.4)]
        tried += [("together", peak, {"candidate": candidate}) for candidate in CANDIDATES for peak in (0.1, 0.2)]
        tried.append(("together", 0.4, {"candidate": CHOSEN}))
        for arm, peak, more in tried:
            futures.append(executor.submit(train, at, name, arm, DEVELOPMENT, budget, data, peak=peak, **more))
    for future in futures:
        future.result()


def main():
    parser = command_line(__doc__, "pack", "develop", "run")
    parser.add_argument("--setups", nargs="+", choices=list(ALL), default=list(SETUPS))
    parser.add_argument("--jobs", type=int, default=1, help="processes that train at the same time")
    parser.add_argument("--results", type=Path, default=STUDY.results)
    args = parsed(parser)
    at = replace(STUDY, results=args.results)
    if args.what == "judge":
        at.judge(page)
        return
    if args.what == "pack":
        pack(args.data)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, spawned, quiet) as executor:
        if args.what == "develop":
            develop(executor, at, args.data / "headline")
        else:
            run_all(executor, at, args.data / "headline", args.seeds, args.setups)


if __name__ == "__main__":
    main()
