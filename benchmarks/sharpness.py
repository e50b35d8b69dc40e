"""Sharpness-aware steps in the cooldown against a longer run of SGD at the same cost.

    python benchmarks/sharpness.py develop DATA    the seed on which the settings were chosen
    python benchmarks/sharpness.py run DATA        seeds 0 to 9; runs that are in results/sharpness are kept
    python benchmarks/sharpness.py judge           writes docs/sharpness.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread; `--seeds` and `--setup` share the work among processes.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

import torch
from sharpness_arms import ARMS, SETUPS, run
from sharpness_page import DEVELOPMENT, RATE, RHO, page

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "results" / "sharpness", ROOT / "docs" / "sharpness.md"
RATES, RHOS = (0.05, 0.1, 0.2), (0.05, 0.1, 0.2)


def quiet():
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "lightning_utilities.core.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)


def train(setup, arm, seed, data, rate=RATE, rho=RHO):
    """One run, unless its record is there."""
    name = f"{setup.name} {arm} {seed}".replace(", ", "_").replace(" ", "_")
    path = RESULTS / (name + (f"_rate_{rate:g}_rho_{rho:g}" if seed >= DEVELOPMENT else "") + ".json")
    if not path.is_file():
        write({path.name: as_json(run(setup, arm, seed, data, rate, rho))}, RESULTS)
        print(path.stem, f"{json.loads(path.read_text())['test_acc']:.4f}", flush=True)


def develop(setups, data):
    """Three rates for SGD alone; for sharpness-aware steps these and three lengths of the step uphill."""
    for setup in setups:
        for rate in RATES:
            train(setup, "SGD, longer", DEVELOPMENT, data, rate)
            for rho in RHOS:
                train(setup, "SAM in the cooldown", DEVELOPMENT, data, rate, rho)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("develop", "run", "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    parser.add_argument("--setup", type=int, choices=range(len(SETUPS)), help="only this one")
    args = parser.parse_args()
    quiet()
    setups = SETUPS if args.setup is None else [SETUPS[args.setup]]
    if args.what == "judge":
        found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
        write({PAGE.name: page(found)}, PAGE.parent)
    elif args.data is None:
        parser.error(f"{args.what} needs the folder of the data")
    elif args.what == "develop":
        develop(setups, args.data)
    else:
        for seed in args.seeds:
            for setup in setups:
                for arm in ARMS:
                    train(setup, arm, seed, args.data)


if __name__ == "__main__":
    main()
