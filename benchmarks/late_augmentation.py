"""Augmentation that ends with the cooldown, against the same augmentation throughout.

    python benchmarks/late_augmentation.py run DATA        seeds 0 to 9; runs that are in results/late_augmentation are kept
    python benchmarks/late_augmentation.py judge           writes docs/late_augmentation.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread; `--seeds` and `--setup` share the work among processes.
"""

import argparse
import json
from pathlib import Path

from late_augmentation_arms import ARMS, SETUPS, run
from late_augmentation_page import RATE, page
from sharpness import quiet

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "results" / "late_augmentation", ROOT / "docs" / "late_augmentation.md"


def train(setup, arm, seed, data):
    """One run, unless its record is there."""
    path = RESULTS / (f"{setup.name} {arm} {seed}".replace(", ", "_").replace(" ", "_") + ".json")
    if not path.is_file():
        write({path.name: as_json(run(setup, arm, seed, data, RATE))}, RESULTS)
        print(path.stem, f"{json.loads(path.read_text())['test_acc']:.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    parser.add_argument("--setup", type=int, choices=range(len(SETUPS)), help="only this one")
    args = parser.parse_args()
    quiet()
    if args.what == "judge":
        found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
        write({PAGE.name: page(found)}, PAGE.parent)
        return
    if args.data is None:
        parser.error("run needs the folder of the data")
    for seed in args.seeds:
        for setup in SETUPS if args.setup is None else [SETUPS[args.setup]]:
            for arm in ARMS:
                train(setup, arm, seed, args.data)


if __name__ == "__main__":
    main()
