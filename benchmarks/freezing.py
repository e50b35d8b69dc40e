"""Freezing the layers that no longer rotate, against a shorter run of the same arithmetic.

    python benchmarks/freezing.py develop DATA     the seeds on which the rule and its tolerance were chosen
    python benchmarks/freezing.py run DATA         seeds 0 to 9; seeds that are in results/freezing are kept
    python benchmarks/freezing.py judge            writes docs/freezing.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread.
"""

import argparse
import json
from pathlib import Path

from freezing_arms import SETUPS, Candidate, run, slow, stopped
from freezing_page import CHOSEN, DEVELOPMENT, page
from sharpness import quiet

from lightning_critperiod.record import as_json, write

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "results" / "freezing", ROOT / "docs" / "freezing.md"
CANDIDATES = [
    *(Candidate(stopped, tolerance) for tolerance in (0.1, 0.2, 0.4, 0.6, 0.8)),
    *(Candidate(slow, tolerance) for tolerance in (0.3, 0.5, 0.7, 0.9)),
]


def train(data, seeds, candidates, setups=SETUPS):
    """Every set-up of every seed, unless its record is there."""
    for seed in seeds:
        for setup in setups:
            path = RESULTS / f"{setup.name} {seed}.json".replace(", ", "_").replace(" ", "_")
            if not path.is_file():
                write({path.name: as_json(run(setup, seed, data, candidates))}, RESULTS)
                print(path.stem, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("develop", "run", "judge"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10))
    args = parser.parse_args()
    quiet()
    if args.what == "judge":
        found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
        write({PAGE.name: page(found)}, PAGE.parent)
    elif args.data is None:
        parser.error(f"{args.what} needs the folder of the data")
    elif args.what == "develop":
        train(args.data, [DEVELOPMENT], CANDIDATES)
        train(
            args.data, [DEVELOPMENT + 1, DEVELOPMENT + 2], CANDIDATES, [setup for setup in SETUPS if setup.pretrained]
        )
    else:
        train(args.data, args.seeds, [CHOSEN])


if __name__ == "__main__":
    main()
