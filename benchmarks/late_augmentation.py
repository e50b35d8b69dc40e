"""Augmentation that ends with the cooldown, against the same augmentation throughout.

    python benchmarks/late_augmentation.py run DATA        seeds 0 to 9; runs that are in results/late_augmentation are kept
    python benchmarks/late_augmentation.py judge           writes docs/late_augmentation.md from the runs, trains nothing

DATA has cifar/ and fashion/, torchvision's roots. One thread; `--seeds` and `--setup` share the work among processes.
"""

from functools import partial

from late_augmentation_arms import ARMS, SETUPS, run
from late_augmentation_page import RATE, page
from study import command_line, parsed, quiet, study

STUDY = study("late_augmentation")


def train(setup, arm, seed, data):
    name = f"{setup.name} {arm} {seed}"
    print(name, f"{STUDY.record(name, partial(run, setup, arm, seed, data, RATE))['test_acc']:.4f}", flush=True)


def main():
    parser = command_line(__doc__, "run")
    parser.add_argument("--setup", type=int, choices=range(len(SETUPS)), help="only this one")
    args = parsed(parser)
    quiet()
    if args.what == "judge":
        STUDY.judge(page)
        return
    for seed in args.seeds:
        for setup in SETUPS if args.setup is None else [SETUPS[args.setup]]:
            for arm in ARMS:
                train(setup, arm, seed, args.data)


if __name__ == "__main__":
    main()
