"""Sharpness-aware steps in the cooldown against a longer run of SGD at the same cost.

    python benchmarks/sharpness.py develop DATA    the seed on which the settings were chosen
    python benchmarks/sharpness.py run DATA        seeds 0 to 9; runs that are in results/sharpness are kept
    python benchmarks/sharpness.py judge           writes docs/sharpness.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread; `--seeds` and `--setup` share the work among processes.
"""

from functools import partial

from sharpness_arms import ARMS, SETUPS, run
from sharpness_page import DEVELOPMENT, RATE, RHO, page
from study import command_line, parsed, quiet, study

STUDY = study("sharpness")
RATES, RHOS = (0.05, 0.1, 0.2), (0.05, 0.1, 0.2)


def train(setup, arm, seed, data, rate=RATE, rho=RHO):
    tried = f" rate {rate:g} rho {rho:g}" if seed >= DEVELOPMENT else ""
    name = f"{setup.name} {arm} {seed}{tried}"
    print(name, f"{STUDY.record(name, partial(run, setup, arm, seed, data, rate, rho))['test_acc']:.4f}", flush=True)


def develop(setups, data):
    """Three rates for SGD alone; for sharpness-aware steps these and three lengths of the step uphill."""
    for setup in setups:
        for rate in RATES:
            train(setup, "SGD, longer", DEVELOPMENT, data, rate, RHOS[0])  # it has no step uphill
            for rho in RHOS:
                train(setup, "SAM in the cooldown", DEVELOPMENT, data, rate, rho)


def main():
    parser = command_line(__doc__, "develop", "run")
    parser.add_argument("--setup", type=int, choices=range(len(SETUPS)), help="only this one")
    args = parsed(parser)
    quiet()
    setups = SETUPS if args.setup is None else [SETUPS[args.setup]]
    if args.what == "judge":
        STUDY.judge(page)
    elif args.what == "develop":
        develop(setups, args.data)
    else:
        for seed in args.seeds:
            for setup in setups:
                for arm in ARMS:
                    train(setup, arm, seed, args.data)


if __name__ == "__main__":
    main()
