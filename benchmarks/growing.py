"""Low resolution first against a shorter run of the same arithmetic: real fits on the CPU, one thread.

    python benchmarks/growing.py run DATA            seeds 0 to 9, seed by seed; runs that are in results/growing are kept
    python benchmarks/growing.py run DATA --seeds 100 101 102       the development seeds
    python benchmarks/growing.py judge               writes docs/growing.md from the runs, trains nothing

DATA holds cifar-10-batches-py and fashion-mnist/FashionMNIST as torchvision stores them, and headline/CIFAR-100.npz, which
`python benchmarks/headline.py pack DATA` writes.
"""

from functools import partial

from growing_arms import ARMS, BATCH, PEAK, run
from growing_page import page
from growing_setups import FIRST, SETUPS
from study import command_line, parsed, quiet, study

STUDY = study("growing")


def run_all(data, setups, arms, seeds, peak):
    other = "" if peak == PEAK else f" batch {BATCH} peak {peak:g}"
    for seed in seeds:
        for name in setups:
            done = {}
            for arm in arms:
                train = partial(run, name, arm, seed, data, done, peak)
                done[arm] = STUDY.record(f"{name} {arm} {seed}{other}", train)
                print(name, arm, seed, f"{done[arm]['test_acc']:.4f}", done[arm]["cpu_seconds"], flush=True)


def main():
    parser = command_line(__doc__, "run")
    parser.add_argument("--setups", nargs="+", choices=list(SETUPS), default=FIRST)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--peak", type=float, default=PEAK, help="of the learning rate; others are for development")
    args = parsed(parser)
    quiet()
    if args.what == "judge":
        STUDY.judge(page)
    else:
        run_all(args.data, args.setups, args.arms, args.seeds, args.peak)


if __name__ == "__main__":
    main()
