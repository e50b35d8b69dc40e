"""First index, time an index, resume and peak memory of the index stream beside torch's own RandomSampler.

Each measurement is a process of its own, in turn, so that peak memory is its own: python benchmarks/volume.py
Times are those of the processor (all of it is one thread's), so that other programs do not matter much.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from importlib import metadata

SIZES = (10**5, 10**6, 10**7, 10**8)
BASELINE = "RandomSampler"
CASES = {
    BASELINE: ("RandomSampler", None),
    "volume k=1 of it": ("RandomSampler", (1.0, 0.0)),
    "k=1, pruning 0.3": ("RandomSampler", (1.0, 0.3)),
    "k=3": ("RandomSampler", (3.0, 0.0)),
    "k=3, pruning 0.3": ("RandomSampler", (3.0, 0.3)),
    "k=3, pruning 0.3 of a SequentialSampler": ("SequentialSampler", (3.0, 0.3)),
}
COLUMNS = {
    "first_ms": "first index, ms",
    "per_index_ns": "whole epoch, ns an index",
    "resume_ms": "first index after 90% of the epoch, ms",
    "peak_mb": "memory, MB more",
}


def measure(case, n):
    from torch.utils import data

    from lightning_critperiod.data import Draws, VolumeSampler
    from lightning_critperiod.recipe import Volume

    kind, volume = CASES[case]
    base = sampler = getattr(data, kind)(range(n))
    if volume is not None:
        sampler = VolumeSampler(base, Draws(Volume(*volume), 0, lambda: 0, own=True))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    indices = iter(sampler)
    next(indices)
    first = time.process_time() - start
    count = 1 + sum(1 for _ in indices)
    total = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    resume = resumed(sampler, count * 9 // 10, ours=volume is not None)
    return {
        "first_ms": first * 1e3,
        "per_index_ns": total / count * 1e9,
        "resume_ms": resume * 1e3,
        "peak_mb": peak / 1024,
    }


def resumed(sampler, done, ours):
    start = time.process_time()
    if ours:
        sampler.skip = done
        next(iter(sampler))
    else:
        next(itertools.islice(sampler, done, None))
    return time.process_time() - start


def table(n, repeats):
    runs = {case: [] for case in CASES}
    for _ in range(repeats):
        for case in CASES:
            command = [sys.executable, __file__, "--case", case, "--n", str(n)]
            runs[case].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"\nn = {n:,}, median of {repeats} [least, most]; in brackets the ratio to RandomSampler ({versions()})\n")
    print("| | " + " | ".join(COLUMNS.values()) + " |\n|---|" + "---|" * len(COLUMNS))
    for case in CASES:
        print(f"| {case} | " + " | ".join(cell(runs, case, key) for key in COLUMNS) + " |")


def versions():
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy"))


def cell(runs, case, key):
    values, base = ([run[key] for run in runs[name]] for name in (case, BASELINE))
    middle, baseline = statistics.median(values), statistics.median(base)
    ratio = f"{middle / baseline:.2g}" if baseline else "-"
    return f"{middle:.2f} [{min(values):.2f}, {max(values):.2f}] ({ratio})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--n", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.case, args.n[0])))
        return
    for n in args.n:
        table(n, args.repeats)


if __name__ == "__main__":
    main()
