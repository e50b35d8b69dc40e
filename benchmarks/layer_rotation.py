"""Layer rotation over 85M weights in 50 layers against merely reading both sets, side by side, single thread.

    python benchmarks/layer_rotation.py

The floor is torch's own sum over every layer of both sets. Rounds alternate, so a busy machine slows all of them equally;
the best and the median round are shown. Memory is what the process's peak grows by while rotation is measured.
"""

import resource
import statistics
import time

import torch

from lightning_critperiod.signals import layer_rotation

LAYERS, SIDE, ROUNDS = 50, 1304, 25


def read(initial, current):
    for weights in (*initial, *current):
        weights.sum()


def plain_float64(initial, current):
    for a, b in zip(initial, current, strict=True):
        a, b = a.double().flatten(), b.double().flatten()
        (a / a.norm() - b / b.norm()).square().sum() / 2


def torch_cosine(initial, current):
    for a, b in zip(initial, current, strict=True):
        1 - torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    initial = [torch.randn(SIDE, SIDE, generator=generator) for _ in range(LAYERS)]
    current = [a + 1e-4 * torch.randn(a.shape, generator=generator) for a in initial]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    distances = layer_rotation(initial, current)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    contenders = {"read both sets": read, "layer_rotation": layer_rotation}
    contenders |= {"float64 throughout": plain_float64, "cosine_similarity (float32)": torch_cosine}
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, function in contenders.items():
            times[name].append(seconds(function, initial, current))

    floor = times["read both sets"]
    print(
        f"{LAYERS} layers, {LAYERS * SIDE**2 / 1e6:.0f}M weights, torch {torch.__version__}, 1 thread, {ROUNDS} rounds"
    )
    print("| | best ms | median ms | best / floor | median / floor |\n|---|---|---|---|---|")
    for name, t in times.items():
        best, median = min(t), statistics.median(t)
        ratios = f"{best / min(floor):.2f} | {median / statistics.median(floor):.2f}"
        print(f"| {name} | {best * 1e3:.1f} | {median * 1e3:.1f} | {ratios} |")
    truth = [((a / a.norm() - b / b.norm()).square().sum() / 2).item() for a, b in
             ((a.double(), b.double()) for a, b in zip(initial, current, strict=True))]  # fmt: skip
    error = max(abs(d / t - 1) for d, t in zip(distances.tolist(), truth, strict=True))
    print(f"distances near {statistics.mean(truth):.1e}: largest relative error against float64 {error:.1e}")
    print(f"peak memory grew by {grown:.1f} MiB; a layer is {SIDE**2 * 4 / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
