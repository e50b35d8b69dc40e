"""Freezing the layers that no longer rotate, against a shorter run of the same arithmetic.

    python benchmarks/freezing.py develop DATA     the seeds on which the rule and its tolerance were chosen
    python benchmarks/freezing.py run DATA         seeds 0 to 9; seeds that are in results/freezing are kept
    python benchmarks/freezing.py judge            writes docs/freezing.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread.
"""

from functools import partial

from freezing_arms import SETUPS, Candidate, run, slow, stopped
from freezing_page import CHOSEN, DEVELOPMENT, page
from study import command_line, parsed, quiet, study

STUDY = study("freezing")
CANDIDATES = [
    *(Candidate(stopped, tolerance) for tolerance in (0.1, 0.2, 0.4, 0.6, 0.8)),
    *(Candidate(slow, tolerance) for tolerance in (0.3, 0.5, 0.7, 0.9)),
]


def train(data, seeds, candidates, setups=SETUPS):
    for seed in seeds:
        for setup in setups:
            STUDY.record(f"{setup.name} {seed}", partial(run, setup, seed, data, candidates))
            print(setup.name, seed, flush=True)


def main():
    args = parsed(command_line(__doc__, "develop", "run"))
    quiet()
    if args.what == "judge":
        STUDY.judge(page)
    elif args.what == "develop":
        train(args.data, [DEVELOPMENT], CANDIDATES)
        train(
            args.data, [DEVELOPMENT + 1, DEVELOPMENT + 2], CANDIDATES, [setup for setup in SETUPS if setup.pretrained]
        )
    else:
        train(args.data, args.seeds, [CHOSEN])


if __name__ == "__main__":
    main()
