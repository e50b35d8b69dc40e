"""Low resolution first against a shorter run of the same arithmetic: real fits on the CPU, one thread.

    python benchmarks/growing.py run DATA            seeds 0 to 9, seed by seed; runs that are in results/growing are kept
    python benchmarks/growing.py run DATA --seeds 100 101 102       the development seeds
    python benchmarks/growing.py judge               writes docs/growing.md from the runs, trains nothing

DATA holds cifar-10-batches-py and fashion-mnist/FashionMNIST as torchvision stores them, and headline/CIFAR-100.npz, which
`python benchmarks/headline.py pack DATA` writes.
"""

import argparse
import json
from pathlib import Path

import torch
from growing_arms import ARMS, BATCH, PEAK, run
from growing_page import page
from growing_setups import FIRST, SETUPS

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "growing"
PAGE = ROOT / "docs" / "growing.md"


def file(name, arm, seed, peak=PEAK):
    other = "" if peak == PEAK else f"_batch_{BATCH}_peak_{peak:g}"
    return f"{name} {arm} {seed}".replace(", ", "_").replace(" ", "_") + f"{other}.json"


def run_all(data, results, setups, arms, seeds, peak):
    torch.set_num_threads(1)
    for seed in seeds:
        for name in setups:
            done = {}
            for arm in arms:
                path = results / file(name, arm, seed, peak)
                if not path.is_file():
                    write({path.name: as_json(run(name, arm, seed, data, done, peak))}, results)
                done[arm] = json.loads(path.read_text())
                print(name, arm, seed, f"{done[arm]['test_acc']:.4f}", done[arm]["cpu_seconds"], flush=True)


def judge(results, output):
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    write({output.name: page(found)}, output.parent)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--setups", nargs="+", choices=list(SETUPS), default=FIRST)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    parser.add_argument("--peak", type=float, default=PEAK, help="of the learning rate; others are for development")
    args = parser.parse_args()
    if args.what == "judge":
        judge(RESULTS, PAGE)
    elif args.data is None:
        parser.error("run needs the folder of the data")
    else:
        run_all(args.data, RESULTS, args.setups, args.arms, args.seeds, args.peak)


if __name__ == "__main__":
    main()
