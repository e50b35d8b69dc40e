"""Everything together against the paper's full recipe and against fixed schedules of the same arithmetic.

    python benchmarks/headline.py pack DATA        puts the images that are used into DATA/headline
    python benchmarks/headline.py develop DATA     the seed on which the settings were chosen
    python benchmarks/headline.py run DATA --jobs 2       seeds 0 to 9; runs that are there are kept
    python benchmarks/headline.py judge            writes docs/headline.md from the runs, trains nothing

DATA holds the data sets as torchvision stores them: cifar-10-batches-py, cifar-100-python, FashionMNIST. It trains on the
GPU if there is one; all jobs share it.
"""

import argparse
import json
import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from growing_arms import planned
from headline_arms import ARMS, CANDIDATES, CHOSEN, DEVELOPED, DEVELOPMENT, EPOCHS, SETUPS, VIEWS, run
from headline_page import page
from torchvision import datasets

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "headline"
PAGE = ROOT / "docs" / "headline.md"
SEEDS = range(10)
POOL = {"Fashion-MNIST": (10_000, 5_000), "CIFAR-10": (7_500, 5_000), "CIFAR-100": (10_000, 2_000)}
"""How many of the first training and test images are used."""
SOURCES = {"Fashion-MNIST": "FashionMNIST", "CIFAR-10": "CIFAR10", "CIFAR-100": "CIFAR100"}


def pack(data):
    target = data / "headline"
    target.mkdir(exist_ok=True)
    for name, sizes in POOL.items():
        arrays = {}
        for part, n in zip(("train", "test"), sizes, strict=True):
            found = getattr(datasets, SOURCES[name])(data, train=part == "train")
            arrays[part] = np.asarray(found.data)[:n]
            arrays[f"{part}_labels"] = np.asarray(found.targets)[:n].astype(np.uint8)
        np.savez(target / f"{name}.npz", **arrays)


def quiet():
    """Of a process that trains."""
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)


def train(path, **arguments):
    """One run, unless its record is there."""
    if not path.is_file():
        write({path.name: as_json(run(**arguments))}, path.parent)
    found = json.loads(path.read_text())
    print(path.stem, f"{found['test_acc']:.4f}", f"{found['flops']:.3g}", flush=True)
    return found


def record(results, name, arm, seed, **more):
    other = "".join(f" {word} {value}" for word, value in more.items())
    return results / f"{name} {arm} {seed}{other}.json".replace(", ", "_").replace(" ", "_")


def one_seed(name, seed, data, results):
    """Every arm; `together` first, for its operations are what the last two may spend."""
    budget = None
    for arm in ("together", "full recipe", "grown", "short"):
        found = train(record(results, name, arm, seed), name=name, arm=arm, seed=seed, data=data, budget=budget)
        budget = budget or found["flops"]


def run_all(executor, data, results, seeds):
    """Seed by seed, the data set that takes longest first."""
    names = sorted(SETUPS, key=lambda name: -SETUPS[name].images)
    for future in [executor.submit(one_seed, name, seed, data, results) for seed in seeds for name in names]:
        future.result()


def develop(executor, data, results):
    """Every baseline at three peaks of the learning rate, every candidate at two, the chosen one at the third too; one seed."""
    futures = []
    for name in DEVELOPED:
        budget = planned(SETUPS[name], 2 * VIEWS * EPOCHS // 3)
        tried = [(arm, peak, {}) for arm in ARMS if arm != "together" for peak in (0.1, 0.2, 0.4)]
        tried += [("together", peak, {"candidate": candidate}) for candidate in CANDIDATES for peak in (0.1, 0.2)]
        tried.append(("together", 0.4, {"candidate": CHOSEN}))
        for arm, peak, more in tried:
            path = record(results, name, arm, DEVELOPMENT, peak=peak, **more)
            arguments = {"name": name, "arm": arm, "seed": DEVELOPMENT, "data": data, "peak": peak, **more}
            futures.append(executor.submit(train, path, budget=budget, **arguments))
    for future in futures:
        future.result()


def judge(results, output):
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    write({output.name: page(found)}, output.parent)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pack", "develop", "run", "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--jobs", type=int, default=1, help="processes that train at the same time")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.what == "judge":
        judge(args.results, PAGE)
        return
    if args.data is None:
        parser.error(f"{args.what} needs the folder of the data")
    if args.what == "pack":
        pack(args.data)
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, spawned, quiet) as executor:
        if args.what == "develop":
            develop(executor, args.data / "headline", args.results)
        else:
            run_all(executor, args.data / "headline", args.results, args.seeds)


if __name__ == "__main__":
    main()
