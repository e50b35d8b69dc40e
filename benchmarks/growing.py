"""Low resolution first against a shorter run of the same arithmetic: real fits, on the CPU with one thread.

    python benchmarks/growing.py run DATA            seeds 0 to 9, seed by seed; runs that are in results/growing are kept
    python benchmarks/growing.py run DATA --seeds 100 101 102       the development seeds
    python benchmarks/growing.py run DATA --setups "cifar10, ResNet-18" --jobs 10 --arms full grown short stretched random
                                                     needs a GPU, which the jobs share
    python benchmarks/growing.py judge               writes docs/growing.md from the runs, trains nothing

DATA holds cifar-10-batches-py and fashion-mnist/FashionMNIST as torchvision stores them, and the files headline/*.npz that
`python benchmarks/headline.py pack DATA` writes: of CIFAR-100, and of CIFAR-10 for ResNet-18.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from growing_arms import ARMS, run
from growing_page import page
from growing_setups import FIRST, PEAK, SETUPS
from study import command_line, parsed, quiet, study

STUDY = study("growing")


def one_seed(data, name, arms, peak, seed):
    done, setup = {}, SETUPS[name]
    other = "" if peak == PEAK else f" batch {setup.batch} peak {peak:g}"
    for arm in arms:
        train = partial(run, name, arm, seed, data, done, peak)
        done[arm] = STUDY.record(f"{name} {arm} {seed}{other}", train)
        print(name, arm, seed, f"{done[arm]['test_acc']:.4f}", done[arm]["cpu_seconds"], flush=True)


def main():
    parser = command_line(__doc__, "run")
    parser.add_argument("--setups", nargs="+", choices=list(SETUPS), default=FIRST)
    parser.add_argument("--jobs", type=int, default=1, help="processes that train at the same time")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--peak", type=float, default=PEAK, help="of the learning rate; others are for development")
    args = parsed(parser)
    if args.what == "judge":
        STUDY.judge(page)
    else:
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.jobs, spawned, quiet) as executor:
            jobs = [
                executor.submit(one_seed, args.data, name, args.arms, args.peak, seed)
                for seed in args.seeds
                for name in args.setups
            ]
            for job in jobs:
                job.result()


if __name__ == "__main__":
    main()
