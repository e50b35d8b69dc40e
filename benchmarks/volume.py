"""Epoch start, epoch length and peak memory of the index stream against torch's own RandomSampler at n = 1e7.

Each measurement is a process of its own, in turn, so that peak memory is its own: python benchmarks/volume.py
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

N = 10_000_000
CASES = {
    "RandomSampler": None,
    "Volume k=1": (1.0, 0.0),
    "Volume k=1, pruning 0.3": (1.0, 0.3),
    "Volume k=3": (3.0, 0.0),
}


def measure(case, n):
    from torch.utils.data import RandomSampler

    from lightning_critperiod.data import Draws, VolumeSampler
    from lightning_critperiod.recipe import Volume

    sampler = RandomSampler(range(n))
    if CASES[case] is not None:
        sampler = VolumeSampler(sampler, Draws(Volume(*CASES[case]), 0, lambda: 0, own=True))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    indices = iter(sampler)
    next(indices)
    first = time.perf_counter() - start
    count = 1 + sum(1 for _ in indices)
    total = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"first_s": first, "per_index_ns": total / count * 1e9, "peak_mb": peak / 1024, "indices": count}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--n", type=int, default=N)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.case, args.n)))
        return
    runs = {case: [] for case in CASES}
    for _ in range(args.repeats):
        for case in CASES:
            command = [sys.executable, __file__, "--case", case, "--n", str(args.n)]
            runs[case].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"n = {args.n:,}, median of {args.repeats}; in brackets the ratio to RandomSampler\n")
    print("| | first index s | ns an index | peak MB |\n|---|---|---|---|")
    for case in CASES:
        cells = []
        for key in ("first_s", "per_index_ns", "peak_mb"):
            value, base = (statistics.median(r[key] for r in runs[c]) for c in (case, "RandomSampler"))
            cells.append(f"{value:.2f} ({value / base:.2f})")
        print(f"| {case} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
